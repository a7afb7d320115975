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
/** The running second is a part of one: retries are counted in one more, or the bound would not hold in every ten seconds. */
const retrySlots = windowSeconds + 1;

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
    const slot = window.second % retrySlots;
    window.retries[slot] = (window.retries[slot] ?? 0) + 1;
    window.retrySum++;
  }

  mayRetry(group: string): boolean {
    // Asking takes no memory, since the name may be anything a client wrote.
    if (!this.#windows.has(group)) return true;
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
        retries: new Int32Array(retrySlots),
        requestSum: 0,
        retrySum: 0,
      };
      this.#windows.set(group, window);
    }
    for (let step = Math.min(second - window.second, retrySlots); step > 0; step--) {
      const begun = second - step + 1;
      window.requestSum -= clear(window.requests, begun);
      window.retrySum -= clear(window.retries, begun);
    }
    window.second = second;
    return window;
  }
}

/** Empties the slot of a second that begins. @returns what it held. */
function clear(ring: Int32Array, second: number): number {
  const slot = second % ring.length;
  const held = ring[slot] ?? 0;
  ring[slot] = 0;
  return held;
}
