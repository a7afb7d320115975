/** What runbooks do to the database of a lab region. */
import { Client } from 'pg';
import type { DatabaseStatus, RegionDatabase } from '../books/region-world.ts';

const patienceMs = 10_000;

/** @param url the operator's own way to it, past every fault. */
export function labDatabase(url: () => string): RegionDatabase {
  return {
    view: async (signal) => {
      const [row] = await ask(
        url(),
        `SELECT pg_is_in_recovery() AS replica, epoch::int, writer_region, state,
                CASE WHEN pg_is_in_recovery()
                      AND (pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
                           -- Whoever hears nothing has everything that he has heard of.
                           OR NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'))
                     THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8
                     ELSE 0 END AS lag FROM region_epoch`,
        [],
        signal,
      );
      if (row === undefined) throw new Error('the database has no region row');
      const status: DatabaseStatus = {
        role: row['replica'] === true ? 'replica' : 'primary',
        row: {
          epoch: Number(row['epoch']),
          writer: String(row['writer_region']),
          state: row['state'] === 'closed' ? 'closed' : 'open',
        },
        lagSeconds: typeof row['lag'] === 'number' ? row['lag'] : undefined,
      };
      return status;
    },
    promote: async (_token, signal) => void (await ask(url(), 'SELECT pg_promote(true, 10)', [], signal)),
    close: async (signal) => void (await ask(url(), `UPDATE region_epoch SET state = 'closed'`, [], signal)),
    raise: async (epoch, writer, signal) =>
      void (await ask(url(), 'SELECT * FROM raise_region_epoch($1, $2, NULL)', [epoch, writer], signal)),
  };
}

/** One statement over a connection of its own. @throws the signal's reason when it fires first. */
export async function ask(
  url: string,
  text: string,
  values: readonly unknown[] = [],
  signal?: AbortSignal,
): Promise<readonly Record<string, unknown>[]> {
  signal?.throwIfAborted();
  const client = new Client({
    connectionString: url,
    ssl: false,
    connectionTimeoutMillis: patienceMs,
    query_timeout: 15_000,
  });
  client.on('error', () => undefined);
  const asked = (async () => {
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text, [...values])).rows;
    } finally {
      await client.end();
    }
  })();
  return signal === undefined ? asked : unlessAborted(asked, signal, () => hangUp(client));
}

/** A server behind a cut link never answers a polite end. */
const hangUp = (client: Client): void => {
  const { stream } = client.connection;
  stream.destroy();
};

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, giveUp: () => void): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    giveUp();
    reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  // What it comes to after it was given up concerns nobody.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
