/** The requests that are running: how many, when the last one ends, and how to end them all. */

export class InFlight {
  readonly #running = new Set<AbortController>();
  #whenIdle: (() => void)[] = [];

  get count(): number {
    return this.#running.size;
  }

  enter(controller: AbortController): void {
    this.#running.add(controller);
  }

  leave(controller: AbortController): void {
    this.#running.delete(controller);
    if (this.#running.size > 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves with true when nothing runs any more, with false when the time is over first. */
  idle(timeoutMs: number): Promise<boolean> {
    if (this.#running.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#whenIdle.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  abortAll(reason: Error): void {
    for (const controller of this.#running) controller.abort(reason);
  }
}
