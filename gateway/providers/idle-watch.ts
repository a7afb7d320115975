/**
 * Notices when a running stream stalls. Chunks are what a client waits for; other bytes (comments, pings) only show that
 * somebody is there: they buy time, but not for ever.
 */

/** So many idle times may pass without a chunk while the upstream says that it is alive. */
const patience = 4;

export class IdleWatch {
  readonly #idleMs: number;
  readonly #onStalled: (silentMs: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #heardAtMs = 0;
  #chunkAtMs = 0;
  #paused = false;

  /** @param onStalled is called once, with the time since the last chunk. */
  constructor(idleMs: number, onStalled: (silentMs: number) => void) {
    this.#idleMs = idleMs;
    this.#onStalled = onStalled;
  }

  start(): void {
    this.#heardAtMs = this.#chunkAtMs = performance.now();
    this.#timer = setTimeout(this.#look, this.#idleMs);
  }

  /** Bytes arrived. One look at the clock for each piece; the timer is only looked after when it fires. */
  heard(withChunk: boolean): void {
    this.#heardAtMs = performance.now();
    if (withChunk) this.#chunkAtMs = this.#heardAtMs;
  }

  /** While nothing is read, nothing can arrive. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.heard(true);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  readonly #look = (): void => {
    const nowMs = performance.now();
    const dueMs = this.#paused
      ? nowMs + this.#idleMs
      : Math.min(this.#heardAtMs + this.#idleMs, this.#chunkAtMs + patience * this.#idleMs);
    // Timers may fire a fraction of a millisecond early.
    if (dueMs - nowMs < 1) this.#onStalled(nowMs - this.#chunkAtMs);
    else this.#timer = setTimeout(this.#look, dueMs - nowMs);
  };
}
