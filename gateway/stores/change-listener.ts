/**
 * Word of changes from the database, over a connection of its own: PgBouncer in transaction mode passes none on, and a
 * replica sends none. Whoever listens polls all the same; this only makes it quicker.
 */
import { z } from 'zod';
import { type Client, openConnection } from './postgres.ts';

export type Change = 'identity' | 'config';

export interface ChangeListenerOptions {
  /** Of the server itself. */
  readonly url: string;
  /** Something changed, or may have while nobody listened. */
  readonly onChange: (change: Change) => void;
  readonly onError: (error: Error) => void;
}

const channel = 'holdfast_changes';
const changes = z.enum(['identity', 'config']);
const queryTimeoutSeconds = 2;
/** A connection that hangs is not closed by anybody; a question without an answer shows it. */
const checkEveryMs = 5_000;
const firstPauseMs = 250;
const longestPauseMs = 10_000;

export class ChangeListener {
  readonly #options: ChangeListenerOptions;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = firstPauseMs;
  #stopped = false;

  constructor(options: ChangeListenerOptions) {
    this.#options = options;
  }

  /** Whether changes would be heard. */
  get up(): boolean {
    return this.#client !== undefined;
  }

  /** Connects in the background, for ever. */
  start(): void {
    void this.#connect();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    await this.#end(client);
  }

  async #connect(): Promise<void> {
    let client: Client | undefined;
    try {
      client = await openConnection(this.#options.url, queryTimeoutSeconds, 'holdfast-listen');
      client.on('error', (error) => this.#lost(error));
      client.on('notification', ({ payload }) => {
        const change = changes.safeParse(payload);
        if (change.success) this.#options.onChange(change.data);
      });
      await client.query(`LISTEN ${channel}`);
      if (this.#stopped) {
        await client.end();
        return;
      }
      this.#client = client;
      this.#pauseMs = firstPauseMs;
      for (const change of changes.options) this.#options.onChange(change);
      this.#later(checkEveryMs, () => this.#check());
    } catch (error) {
      void this.#end(client);
      this.#lost(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #check(): Promise<void> {
    try {
      await this.#client?.query('SELECT 1');
      this.#later(checkEveryMs, () => this.#check());
    } catch (error) {
      this.#lost(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #lost(error: Error): void {
    if (this.#stopped) return;
    this.#options.onError(error);
    const client = this.#client;
    this.#client = undefined;
    void this.#end(client);
    this.#later(this.#pauseMs * (0.5 + Math.random() / 2), () => this.#connect());
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
  }

  /** Of a connection that is broken or not needed; nobody waits for what may never come. */
  async #end(client: Client | undefined): Promise<void> {
    try {
      await client?.end();
    } catch (error) {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #later(afterMs: number, work: () => Promise<void>): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void work(), afterMs);
    this.#timer.unref();
  }
}
