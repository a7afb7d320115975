/**
 * Bounds how much retries add to an outage: per model group, retries of the last ten seconds stay within a tenth of its
 * requests, or within three a second where that is more. A retry beyond it is not made; fallbacks are not counted, since
 * they go elsewhere.
 */

/** Retries may add so much to the requests of the window. */
const share = 0.1;
/** A group that sends little, or has just begun to, may still retry so often. */
const floorPerSecond = 3;
const windowSeconds = 10;

interface Window {
  /** Second of the newest slot. */
  second: number;
  /** By second, as a ring. */
  readonly requests: Int32Array;
  readonly retries: Int32Array;
  requestSum: number;
  retrySum: number;
}

export class RetryBudget {
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();

  /** @param now monotonic, milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A request of the group begins. */
  countRequest(group: string): void {
    const window = this.#window(group);
    const slot = window.second % windowSeconds;
    window.requests[slot] = (window.requests[slot] ?? 0) + 1;
    window.requestSum++;
  }

  /** A retry is made. */
  countRetry(group: string): void {
    const window = this.#window(group);
    const slot = window.second % windowSeconds;
    window.retries[slot] = (window.retries[slot] ?? 0) + 1;
    window.retrySum++;
  }

  mayRetry(group: string): boolean {
    const window = this.#window(group);
    return window.retrySum < Math.max(floorPerSecond * windowSeconds, Math.floor(share * window.requestSum));
  }

  #window(group: string): Window {
    const second = Math.floor(this.#now() / 1000);
    let window = this.#windows.get(group);
    if (window === undefined) {
      window = {
        second,
        requests: new Int32Array(windowSeconds),
        retries: new Int32Array(windowSeconds),
        requestSum: 0,
        retrySum: 0,
      };
      this.#windows.set(group, window);
    }
    for (let step = Math.min(second - window.second, windowSeconds); step > 0; step--) {
      const slot = (second - step + 1) % windowSeconds;
      window.requestSum -= window.requests[slot] ?? 0;
      window.retrySum -= window.retries[slot] ?? 0;
      window.requests[slot] = 0;
      window.retries[slot] = 0;
    }
    window.second = second;
    return window;
  }
}
