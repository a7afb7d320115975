/** The requests that are running: how many, and how to end them all. */

export class InFlight {
  readonly #running = new Set<AbortController>();

  get count(): number {
    return this.#running.size;
  }

  enter(controller: AbortController): void {
    this.#running.add(controller);
  }

  leave(controller: AbortController): void {
    this.#running.delete(controller);
  }

  abortAll(reason: Error): void {
    for (const controller of this.#running) controller.abort(reason);
  }
}
