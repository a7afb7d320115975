/** Spend rows: queued in memory, written in batches after the answer has left. */
import type { SpendEvent, SpendRecorder } from '../domain/spend.ts';
import { isRefusedValue, type Pool } from './postgres.ts';

export interface SpendWriterOptions {
  /** Undefined without a database: then nothing is kept. */
  readonly pool: Pool | undefined;
  readonly onDropped: (count: number, reason: string) => void;
  readonly onFlushFailed: (error: Error) => void;
}

const flushEveryMs = 200;
const batchSize = 2_000;
/** About 20 MB. Beyond it the oldest are dropped and counted; the outbox on disk will take this place. */
const queueLimit = 50_000;

/** Columns with their types, in the order of the values. */
const columns = {
  request_id: 'uuid',
  call_id: 'text',
  key_hash: 'text',
  operation: 'text',
  requested_model: 'text',
  model_group: 'text',
  deployment_id: 'text',
  provider: 'text',
  model: 'text',
  status: 'smallint',
  ending: 'text',
  stream: 'boolean',
  prompt_tokens: 'integer',
  completion_tokens: 'integer',
  cost_micros: 'bigint',
  attempts: 'smallint',
  fallbacks: 'smallint',
  started_at: 'timestamptz',
  duration_ms: 'integer',
} as const;

const insert = `INSERT INTO spend_event (${Object.keys(columns).join(', ')})
  SELECT * FROM unnest(${Object.values(columns)
    .map((type, index) => `$${index + 1}::${type}[]`)
    .join(', ')})
  ON CONFLICT (request_id) DO NOTHING`;

export class SpendWriter implements SpendRecorder {
  readonly #options: SpendWriterOptions;
  #queue: SpendEvent[] = [];
  /** Events of the batch that is under way. */
  #writing = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;

  constructor(options: SpendWriterOptions) {
    this.#options = options;
  }

  /** Events that the database does not have yet. */
  get queued(): number {
    return this.#queue.length + this.#writing;
  }

  record(event: SpendEvent): void {
    if (this.#options.pool === undefined) return;
    if (this.#queue.length >= queueLimit) {
      const dropped = this.#queue.splice(0, batchSize).length;
      this.#options.onDropped(dropped, 'the queue is full');
    }
    this.#queue.push(event);
    this.#timer ??= setTimeout(() => void this.flush(), flushEveryMs);
  }

  /** Writes what is queued; what could not be written stays queued. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing ??= this.#writeAll().finally(() => {
      this.#flushing = undefined;
      if (this.#queue.length > 0) this.#timer ??= setTimeout(() => void this.flush(), flushEveryMs * 5);
    });
    return this.#flushing;
  }

  /** The last flush before the end. @returns how many events could not be written. */
  async close(): Promise<number> {
    await this.#flushing;
    await this.flush();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#queue.length;
  }

  async #writeAll(): Promise<void> {
    const { pool } = this.#options;
    if (pool === undefined) return;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, batchSize);
      this.#writing = batch.length;
      const left = await this.#write(pool, batch);
      this.#writing = 0;
      if (left.length > 0) {
        this.#queue = [...left, ...this.#queue];
        return;
      }
    }
  }

  /** @returns what has to be tried again later; a repetition doubles nothing, the request id is unique. */
  async #write(pool: Pool, batch: readonly SpendEvent[]): Promise<readonly SpendEvent[]> {
    try {
      await pool.query(insert, toColumns(batch));
      return [];
    } catch (error) {
      this.#options.onFlushFailed(error instanceof Error ? error : new Error(String(error)));
      // One bad row must not hold back the others for ever; anything else may be mended, and then nothing is lost.
      return isRefusedValue(error) ? this.#writeOneByOne(pool, batch) : batch;
    }
  }

  async #writeOneByOne(pool: Pool, batch: readonly SpendEvent[]): Promise<readonly SpendEvent[]> {
    for (const [index, event] of batch.entries()) {
      try {
        await pool.query(insert, toColumns([event]));
      } catch (error) {
        if (!isRefusedValue(error)) return batch.slice(index);
        this.#options.onDropped(1, error instanceof Error ? error.message : String(error));
      }
    }
    return [];
  }
}

/** One array a column, as unnest takes them. */
function toColumns(events: readonly SpendEvent[]): unknown[][] {
  const rows = events.map((event) => [
    event.requestId,
    event.callId,
    event.keyHash,
    event.operation,
    event.requestedModel,
    event.modelGroup,
    event.deploymentId,
    event.provider,
    event.model,
    event.status,
    event.ending,
    event.stream,
    event.promptTokens,
    event.completionTokens,
    event.costMicros?.toString() ?? null,
    event.attempts,
    event.fallbacks,
    new Date(event.startedAtMs),
    event.durationMs,
  ]);
  return Object.keys(columns).map((_, column) => rows.map((row) => row[column]));
}
