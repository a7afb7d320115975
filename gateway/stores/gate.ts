/** Lets so many through at once, so many wait, and turns the rest away: a flood takes no more than its share. */

/** The waiting line is full. */
export class GateFull extends Error {
  constructor() {
    super('too many at once');
    this.name = 'GateFull';
  }
}

export class Gate {
  readonly #places: number;
  readonly #longestLine: number;
  readonly #line: (() => void)[] = [];
  #inside = 0;

  constructor(places: number, longestLine: number) {
    this.#places = places;
    this.#longestLine = longestLine;
  }

  /** @throws GateFull without having started. The work must end by itself: its time-out is its own affair. */
  async through<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#places) {
      if (this.#line.length >= this.#longestLine) throw new GateFull();
      // Whoever leaves hands over its place, so the count does not change.
      await new Promise<void>((enter) => this.#line.push(enter));
    } else {
      this.#inside++;
    }
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#inside--;
      else next();
    }
  }
}
