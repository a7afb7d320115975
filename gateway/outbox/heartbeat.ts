/** Says that this process lives, and learns which others do and whether its log was closed from outside. */
import type { Siblings } from '../domain/slices.ts';
import type { Census, SpendLedger } from '../domain/spend.ts';

export interface HeartbeatOptions {
  readonly ledger: SpendLedger;
  /** The log of this process; another one after it was closed. */
  readonly logId: () => string;
  /** Called before a question is asked; what it returns is called with the answer. */
  readonly listen: () => (heard: Census) => void;
  readonly onFailed: (error: Error) => void;
  /** Monotonic and wall clock, milliseconds. */
  readonly now: () => number;
  readonly wallNow: () => number;
}

const beatEveryMs = 3_000;

export class SpendLogHeartbeat implements Siblings {
  readonly #options: HeartbeatOptions;
  readonly #onClosed: (() => void)[] = [];
  #live: number | undefined;
  #rank: number | undefined;
  #contact: { readonly ms: number; readonly wallMs: number };
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#contact = { ms: options.now(), wallMs: options.wallNow() };
  }

  /** Names this process towards the database. */
  get logId(): string {
    return this.#options.logId();
  }

  /** Processes that live. Kept while the database is away: they are still there. Undefined until it has said so. */
  get live(): number | undefined {
    return this.#live;
  }

  /** This one's place among them, from 0. */
  get rank(): number | undefined {
    return this.#rank;
  }

  /** Since the database was last heard, by the clock that says more; a machine that slept stops the other. */
  get silentMs(): number {
    const { now, wallNow } = this.#options;
    return Math.max(now() - this.#contact.ms, wallNow() - this.#contact.wallMs);
  }

  /** The log was closed from outside, and what this process held was returned; `logId` names the new one already. */
  onClosed(listener: () => void): void {
    this.#onClosed.push(listener);
  }

  /** Resolves after the first beat, heard or not: a process that knows nobody takes a limit for its own. */
  async start(): Promise<void> {
    await this.beat();
    this.#timer = setInterval(() => void this.beat(), beatEveryMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#asking;
  }

  /** Never rejects. */
  beat(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const { ledger, logId, listen, onFailed, now, wallNow } = this.#options;
    const asked = logId();
    const answer = listen();
    try {
      const heard = await ledger.touch(asked);
      this.#contact = { ms: now(), wallMs: wallNow() };
      this.#live = heard.live;
      this.#rank = heard.rank;
      answer(heard);
    } catch (error) {
      onFailed(error instanceof Error ? error : new Error(String(error)));
    }
    if (logId() !== asked) for (const listener of this.#onClosed) listener();
  }
}
