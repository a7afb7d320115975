/** How long a start waits for stores, all of them together: they may all be away at once, and say nothing. */
export class Patience {
  readonly #now: () => number;
  readonly #endMs: number;

  /** @param now monotonic, milliseconds. */
  constructor(milliseconds: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#endMs = now() + milliseconds;
  }

  get leftMs(): number {
    return Math.max(0, this.#endMs - this.#now());
  }

  /** @returns undefined when it is over before the work is done; the work goes on. @throws what the work throws in time. */
  async wait<T>(work: Promise<T>): Promise<{ readonly is: T } | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.leftMs);
    });
    try {
      return await Promise.race([work.then((is) => ({ is })), over]);
    } finally {
      clearTimeout(timer);
    }
  }
}
