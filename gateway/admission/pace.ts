/** How fast a slice is used up: what slack is measured by. */

/** Weight of the newest second: the pace follows a change within a few seconds, and one request does not make a pace. */
const newestWeight = 0.2;

export class Pace {
  perSecond = 0;
  #recent = 0;

  add(amount: number): void {
    this.#recent += amount;
  }

  tick(elapsedSeconds: number): void {
    const weight = 1 - (1 - newestWeight) ** elapsedSeconds;
    this.perSecond += (this.#recent / elapsedSeconds - this.perSecond) * weight;
    if (this.perSecond < 1e-6) this.perSecond = 0;
    this.#recent = 0;
  }
}
