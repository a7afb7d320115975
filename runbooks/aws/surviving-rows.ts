/** What a database has of a drill's ledger: keys by the alias, spend by the id that the clients gave them. */
import type { Ledger } from '../load/ledger-file.ts';
import type { LedgerRecords } from '../load/ledger-measurements.ts';
import { withDatabase } from './with-database.ts';

export type SurvivingRows = Pick<LedgerRecords, 'survivors' | 'booked'>;

const statementTimeoutMs = 30_000;
/** Between this machine and the gateways, at most. Only times have an index. */
const clocksApartMs = 3_600_000;

/** Requests count once they have ended. @throws when the database cannot be asked. */
export function survivingRows(url: string, { sessions }: Ledger, signal: AbortSignal): Promise<SurvivingRows> {
  const callIds = sessions.flatMap(({ requests }) => requests.map(({ callId }) => callId));
  const aliases = sessions.flatMap(({ writes }) => writes.map(({ alias }) => alias));
  const firstMs = Math.min(
    Date.now(),
    ...sessions.flatMap(({ requests }) => requests.slice(0, 1).map(({ atMs }) => atMs)),
  );
  return withDatabase(url, statementTimeoutMs, signal, async (client) => {
    const keys = await client.query<{ key_alias: string }>(
      'SELECT key_alias FROM api_key WHERE key_alias = ANY($1::text[])',
      [aliases],
    );
    const spend = await client.query<{ call_id: string; n: number }>(
      `SELECT call_id, count(*) FILTER (WHERE ending = 'finished')::int AS n
         FROM spend_entry WHERE at >= $2 AND call_id = ANY($1::text[]) GROUP BY call_id`,
      [callIds, new Date(firstMs - clocksApartMs)],
    );
    return {
      survivors: new Set(keys.rows.map(({ key_alias: alias }) => alias)),
      booked: new Map(spend.rows.map(({ call_id: callId, n }) => [callId, n])),
    };
  });
}
