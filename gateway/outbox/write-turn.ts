/**
 * What requests write down in one turn of the event loop goes to the disk together, in one call of the system. A call for
 * each record would cost a busy process a tenth of its time; a process with one request writes no later than before.
 */
import type { SpendEvent, SpendIntent } from '../domain/spend.ts';

/** @throws when the begins could not be written; the ends are kept all the same. */
export type WriteTogether = (begins: readonly SpendIntent[], ends: readonly SpendEvent[]) => void;

/** More of them are written at once: memory and the time of one call stay bounded. */
const mostTogether = 256;

export class WriteTurn {
  readonly #write: WriteTogether;
  #begins: SpendIntent[] = [];
  #ends: SpendEvent[] = [];
  #begun: PromiseWithResolvers<void> | undefined;
  #written: PromiseWithResolvers<void> | undefined;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(write: WriteTogether) {
    this.#write = write;
  }

  get waitingEnds(): number {
    return this.#ends.length;
  }

  /** Resolves when it is written, for all of a turn at once. Rejects with what the write throws. */
  begin(intent: SpendIntent): Promise<void> {
    this.#begun ??= Promise.withResolvers();
    const { promise } = this.#begun;
    this.#begins.push(intent);
    this.#later();
    return promise;
  }

  end(event: SpendEvent): void {
    this.#ends.push(event);
    this.#later();
  }

  /** Resolves when the ends that wait are written, or kept where they are as safe as can be; undefined when none waits. */
  whenWritten(): Promise<void> | undefined {
    if (this.#ends.length === 0) return undefined;
    this.#written ??= Promise.withResolvers();
    return this.#written.promise;
  }

  /** Writes what waits, at once. */
  flush(): void {
    if (this.#begins.length + this.#ends.length === 0) return;
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const [begins, ends, begun, written] = [this.#begins, this.#ends, this.#begun, this.#written];
    this.#begins = [];
    this.#ends = [];
    this.#begun = undefined;
    this.#written = undefined;
    try {
      this.#write(begins, ends);
      begun?.resolve();
    } catch (error) {
      // Without a begin there is nobody to tell it to: a fault of the code, which must not pass unseen.
      if (begun === undefined) throw error;
      begun.reject(error);
    } finally {
      written?.resolve();
    }
  }

  #later(): void {
    if (this.#begins.length + this.#ends.length >= mostTogether) this.flush();
    else this.#scheduled ??= setImmediate(() => this.flush());
  }
}
