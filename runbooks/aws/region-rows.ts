/** The region's row inside a database of RDS. The runbook's own connection, with timeouts; nothing is pooled. */
import type { RegionRow } from '../../gateway/region/claim.ts';
import { withDatabase } from './with-database.ts';

/** Where a region's database is reached from here: through a tunnel or from inside the VPC. */
export interface RegionRowAccess {
  read(signal: AbortSignal): Promise<RegionRow>;
  close(signal: AbortSignal): Promise<void>;
  raise(epoch: number, writer: string, signal: AbortSignal): Promise<void>;
}

const statementTimeoutMs = 15_000;

export function regionRows(url: string): RegionRowAccess {
  return {
    read: async (signal) => {
      const [row] = await ask(url, signal, 'SELECT epoch::text, writer_region, state FROM region_epoch');
      if (row === undefined) throw new Error('the database has no region row; run: holdfast migrate');
      return {
        epoch: Number(row['epoch']),
        writer: String(row['writer_region']),
        state: row['state'] === 'closed' ? 'closed' : 'open',
      };
    },
    close: async (signal) => {
      await ask(url, signal, `UPDATE region_epoch SET state = 'closed', changed_at = clock_timestamp()`);
    },
    raise: async (epoch, writer, signal) => {
      await ask(
        url,
        signal,
        `UPDATE region_epoch SET epoch = $1, writer_region = $2, state = 'open', changed_at = clock_timestamp()
          WHERE epoch < $1`,
        [epoch, writer],
      );
    },
  };
}

async function ask(
  url: string,
  signal: AbortSignal,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Record<string, unknown>[]> {
  return withDatabase(url, statementTimeoutMs, signal, async (client) => {
    return (await client.query<Record<string, unknown>>(text, [...values])).rows;
  });
}
