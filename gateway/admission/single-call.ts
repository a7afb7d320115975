/** One call at a time; whoever asks meanwhile shares the next one. A burst of requests is a few calls. */
export class SingleCall {
  readonly #work: () => Promise<void>;
  #wanted = false;
  #running: Promise<void> | undefined;

  /** @param work must not reject, and must end by itself. */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** A call that starts after this moment will follow. @returns its end, and that of all that follow it at once. */
  ask(): Promise<void> {
    this.#wanted = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    // What arrives in the same turn of the event loop goes along.
    await Promise.resolve();
    try {
      while (this.#wanted) {
        this.#wanted = false;
        await this.#work();
      }
    } finally {
      this.#running = undefined;
    }
  }
}
