/** Tells the database every few seconds that this process lives and what it runs on. Nothing waits for it. */
import type { ProcessRegistry, ProcessReport } from '../stores/process-registry.ts';

export interface PresenceOptions {
  readonly registry: Pick<ProcessRegistry, 'tell' | 'leave'>;
  readonly report: () => ProcessReport;
  /** The database is away, or takes no writes. */
  readonly onError: (error: Error) => void;
}

const everyMs = 5_000;

export class Presence {
  readonly #options: PresenceOptions;
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> | undefined;
  #stopped = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  start(): void {
    this.tell();
  }

  /** Tells now, and at most once more when it is asked to meanwhile. Never fails. */
  tell(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = undefined;
    });
    this.#timer = setTimeout(() => this.tell(), everyMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#telling;
    await this.#quietly(() => this.#options.registry.leave(this.#options.report().id));
  }

  async #tell(): Promise<void> {
    await this.#quietly(() => this.#options.registry.tell(this.#options.report()));
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
