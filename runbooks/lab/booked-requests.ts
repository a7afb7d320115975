/** What a database's ledger has of the clients' requests, by the id that they gave them. */
import type { DrillRecords } from './drill-measurements.ts';
import { ask } from './region-database.ts';

/** Rows of requests that ended; and whether sums and rows agree, at one moment. */
export async function bookedRequests(url: string): Promise<Pick<DrillRecords, 'booked' | 'ledger'>> {
  const rows = await ask(
    url,
    `SELECT call_id, count(*) FILTER (WHERE ending = 'finished')::int AS n,
            (SELECT count(*)::int FROM spend_entry) AS rows,
            (SELECT coalesce(sum(requests), 0)::int FROM spend_daily) AS summed
       FROM spend_entry WHERE call_id LIKE 'drill-%' GROUP BY call_id`,
  );
  const booked = new Map(rows.map((row) => [String(row['call_id']), Number(row['n'])]));
  const [first] = rows;
  return { booked, ledger: { rows: Number(first?.['rows'] ?? 0), summed: Number(first?.['summed'] ?? 0) } };
}
