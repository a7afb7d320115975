/** What a restore lacks of spend, out of the archives: the same as `holdfast spend reingest` for each region. */
import { SpendArchive, type SpendArchiveOptions } from '../../gateway/cluster/spend-archive.ts';
import { reingest } from '../../gateway/outbox/reingest.ts';
import { openPool } from '../../gateway/stores/postgres.ts';
import { PostgresSpendLedger } from '../../gateway/stores/spend.ts';
import { archivePlace } from '../../lib/platform/places.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { BookedSpend } from '../../runbooks/books/archived-spend.ts';

/**
 * Whichever region a request was served in, it was booked in this database.
 * @param region whose database it is, as its row says.
 */
export async function bookArchivedSpend(
  platform: Platform,
  region: string,
  databaseUrl: string,
  signal: AbortSignal,
): Promise<BookedSpend> {
  const archives = platform.regions.flatMap(({ region: from }) => {
    const place = archivePlace(platform, { region: from });
    return place === undefined ? [] : [{ ...place, from }];
  });
  return bookArchives(archives, region, databaseUrl, signal);
}

/** One archive after the other. @param signal ends it between two logs. */
export async function bookArchives(
  archives: readonly SpendArchiveOptions[],
  region: string,
  databaseUrl: string,
  signal: AbortSignal,
): Promise<BookedSpend> {
  const pool = openPool({ url: databaseUrl, poolSize: 1, onError: () => undefined });
  try {
    const ledger = new PostgresSpendLedger({ pool, keepRows: true, region });
    // Asked first: a log that is booked for the first time looks as if it had just been heard of.
    const living = await ledger.livingLogs();
    let missing = 0;
    let unfinished = 0;
    for (const place of archives) {
      const archive = new SpendArchive(place);
      try {
        const found = await reingest(archive, ledger, () => undefined, signal);
        missing += found.missing;
        unfinished += found.unfinished.filter((log) => !living.has(log)).length;
      } finally {
        archive.close();
      }
    }
    return { missing, unfinished };
  } finally {
    await pool.end();
  }
}
