/** Costs for rows of the ledger that have none: one bounded batch, within the caller's transaction. */
import type { LedgerPlace, PriceEntry, Repriced, UnpricedEntry } from '../domain/repricing.ts';
import { mostRepricedAtOnce } from '../domain/repricing.ts';
import { usageDetailSchema } from '../domain/usage-detail.ts';
import { openPool, type Pool, type PoolClient } from './postgres.ts';
import { onlyRegion, WriteTransaction } from './write-transaction.ts';

export async function repriceBatch(
  client: PoolClient,
  price: PriceEntry,
  after: LedgerPlace | undefined,
  most = mostRepricedAtOnce,
): Promise<Repriced> {
  const { rows } = await client.query<EntryRow>(
    `SELECT to_char(day, 'YYYY-MM-DD') AS day, id, round(extract(epoch FROM at) * 1000)::float8 AS "atMs", operation,
            model_group AS "modelGroup", deployment_id AS "deploymentId", provider, model, prompt_tokens AS "promptTokens",
            completion_tokens AS "completionTokens", cached_tokens AS "cachedTokens", usage_detail AS "usageDetail"
       FROM spend_entry
      WHERE cost_micros IS NULL AND ($1::date IS NULL OR (day, id) > ($1::date, $2::uuid)) ORDER BY day, id LIMIT $3`,
    [after?.day ?? null, after?.id ?? null, most],
  );
  const costs = rows.flatMap((row) => {
    const cost = price({ ...row, usageDetail: readDetail(row.usageDetail) });
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

type EntryRow = Omit<UnpricedEntry, 'usageDetail'> & { readonly usageDetail: unknown };

/** @returns undefined for what a newer gateway wrote. */
const readDetail = (stored: unknown): UnpricedEntry['usageDetail'] =>
  stored === null ? null : usageDetailSchema.safeParse(stored).data;

/** Nothing was done: rows of a replica come from the database that takes writes, which is in this region. */
export class ReplicaOf extends Error {
  readonly writer: string;
  constructor(writer: string) {
    super(`a replica of the database in ${writer}`);
    this.name = 'ReplicaOf';
    this.writer = writer;
  }
}

/**
 * The whole ledger, batch by batch, each its own control-plane write: it may be ended and begun again at any time. The
 * database is asked which region writes, so a job needs no setting for it.
 * @throws ReplicaOf when the database is a replica, NotWriter when nobody has the right to write now; OutcomeUnknown for a batch, which may be repeated.
 */
export async function repriceLedger(
  url: string,
  price: PriceEntry,
  onBatch: (batch: Repriced) => void,
): Promise<Omit<Repriced, 'next'>> {
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  let [seen, priced, micros] = [0, 0, 0n];
  try {
    const region = await writerRegion(pool);
    let after: LedgerPlace | undefined;
    do {
      const batch = await inWriteTransaction(pool, region, (client) => repriceBatch(client, price, after));
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

async function writerRegion(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ replica: boolean; region: string }>(
    'SELECT pg_is_in_recovery() AS replica, writer_region AS region FROM region_epoch',
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the database does not say which region writes');
  if (row.replica) throw new ReplicaOf(row.region);
  return row.region;
}

async function inWriteTransaction<T>(pool: Pool, region: string, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    const transaction = new WriteTransaction(pool, client, { ...onlyRegion, region }, () => performance.now());
    await transaction.begin();
    const result = await work(client);
    await transaction.commit();
    return result;
  } catch (error) {
    // Its end ends the transaction, too.
    broken = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.release(broken);
  }
}
