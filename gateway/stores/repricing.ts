/** Costs for rows of the ledger that have none: one bounded batch, within the caller's transaction. */
import type { LedgerPlace, PriceEntry, Repriced, UnpricedEntry } from '../domain/repricing.ts';
import { mostRepricedAtOnce } from '../domain/repricing.ts';
import { openPool, type Pool, type PoolClient } from './postgres.ts';

export async function repriceBatch(
  client: PoolClient,
  price: PriceEntry,
  after: LedgerPlace | undefined,
  most = mostRepricedAtOnce,
): Promise<Repriced> {
  const { rows } = await client.query<UnpricedEntry>(
    `SELECT to_char(day, 'YYYY-MM-DD') AS day, id, extract(epoch FROM at)::float8 * 1000 AS "atMs",
            model_group AS "modelGroup", deployment_id AS "deploymentId", provider, model, prompt_tokens AS "promptTokens",
            completion_tokens AS "completionTokens", cached_tokens AS "cachedTokens"
       FROM spend_entry
      WHERE cost_micros IS NULL AND ($1::date IS NULL OR (day, id) > ($1::date, $2::uuid)) ORDER BY day, id LIMIT $3`,
    [after?.day ?? null, after?.id ?? null, most],
  );
  const costs = rows.flatMap((row) => {
    const cost = price(row);
    return cost === null ? [] : [{ day: row.day, id: row.id, cost: String(cost) }];
  });
  const last = rows.at(-1);
  const next = rows.length < most || last === undefined ? undefined : { day: last.day, id: last.id };
  if (costs.length === 0) return { seen: rows.length, priced: 0, micros: 0n, next };
  const { rows: done } = await client.query<{ entries: number; micros: bigint }>(
    'SELECT * FROM reprice_spend($1::json)',
    [JSON.stringify(costs)],
  );
  return { seen: rows.length, priced: done[0]?.entries ?? 0, micros: done[0]?.micros ?? 0n, next };
}

const longestBatchMs = 30_000;

/** The whole ledger, batch by batch, each its own transaction: it may be ended and begun again at any time. */
export async function repriceLedger(
  url: string,
  price: PriceEntry,
  onBatch: (batch: Repriced) => void,
): Promise<Omit<Repriced, 'next'>> {
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  let [seen, priced, micros] = [0, 0, 0n];
  try {
    let after: LedgerPlace | undefined;
    do {
      const batch = await inTransaction(pool, (client) => repriceBatch(client, price, after));
      onBatch(batch);
      seen += batch.seen;
      priced += batch.priced;
      micros += batch.micros;
      after = batch.next;
    } while (after !== undefined);
    return { seen, priced, micros };
  } finally {
    await pool.end();
  }
}

async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query(`BEGIN; SET LOCAL statement_timeout = ${longestBatchMs}`);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // Its end ends the transaction, too.
    broken = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.release(broken);
  }
}
