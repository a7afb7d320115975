/** Disk space that is kept for the ends of requests that were running when the disk became full. */
import { randomFillSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Reserve {
  readonly #path: string;
  readonly #bytes: number;
  #held = false;

  constructor(directory: string, bytes: number) {
    this.#path = join(directory, 'reserve');
    this.#bytes = bytes;
  }

  /** @returns whether the space is held. */
  take(): boolean {
    if (this.#held) return true;
    try {
      // Random, since some file systems store zeros without taking space for them.
      writeFileSync(this.#path, randomFillSync(Buffer.allocUnsafe(this.#bytes)), { mode: 0o600 });
      this.#held = true;
    } catch {
      // The disk has no room for it; what was written of it must not take the last.
      this.release();
    }
    return this.#held;
  }

  /** Gives the space free. @returns whether there was any. */
  release(): boolean {
    const held = this.#held;
    this.#held = false;
    rmSync(this.#path, { force: true });
    return held;
  }
}
