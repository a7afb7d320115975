/** Says that this process lives, and learns how many do: the denominator of every share. */
import { randomUUIDv7 } from 'node:crypto';
import type { Siblings } from '../domain/slices.ts';
import type { Pool } from './postgres.ts';

interface TouchRow {
  live: number;
  rank: number;
  closed: boolean;
}

const beatEveryMs = 3_000;
const timeoutMs = 2_000;

export class LogHeartbeat implements Siblings {
  readonly #pool: Pool;
  readonly #onError: (error: Error) => void;
  #logId: string = randomUUIDv7();
  #live: number | undefined;
  #rank: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: Pool, onError: (error: Error) => void) {
    this.#pool = pool;
    this.#onError = onError;
  }

  get logId(): string {
    return this.#logId;
  }

  /** Kept while the database is away: the processes are still there. */
  get live(): number | undefined {
    return this.#live;
  }

  get rank(): number | undefined {
    return this.#rank;
  }

  /** The first beat is waited for, since a process that knows nobody takes a limit for its own. */
  async start(): Promise<void> {
    await this.beat();
    this.#timer = setInterval(() => void this.beat(), beatEveryMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects. */
  async beat(): Promise<void> {
    try {
      const query = {
        text: 'SELECT live, rank, closed FROM touch_log($1)',
        values: [this.#logId],
        query_timeout: timeoutMs,
      };
      const { rows } = await this.#pool.query<TouchRow>(query);
      const [row] = rows;
      if (row === undefined) return;
      if (row.closed) {
        this.#logId = randomUUIDv7();
        return;
      }
      this.#live = row.live;
      this.#rank = row.rank;
    } catch (error) {
      this.#onError(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
