/** `holdfast spend reingest` */
import { SpendArchive } from '../gateway/cluster/spend-archive.ts';
import { reingest } from '../gateway/outbox/reingest.ts';
import { readSettings } from '../gateway/settings.ts';
import { describeStartError } from '../gateway/start-error.ts';
import { describeUrl, openPool } from '../gateway/stores/postgres.ts';
import { PostgresSpendLedger } from '../gateway/stores/spend.ts';
import { fail, say } from './say.ts';

export interface ReingestOptions {
  readonly from: string;
  readonly endpoint?: string;
}

/** @param place `BUCKET@REGION`. */
export async function reingestSpend(place: string, { from, endpoint }: ReingestOptions): Promise<number> {
  const [bucket, region, ...rest] = place.split('@');
  if (bucket === undefined || bucket === '' || region === undefined || region === '' || rest.length > 0)
    return fail(`"${place}" is no archive; name it as HOLDFAST_OUTBOX_ARCHIVE does: BUCKET@REGION.`, 2);
  let pool: ReturnType<typeof openPool> | undefined;
  let archive: SpendArchive | undefined;
  try {
    const { databaseUrl, region: own } = readSettings();
    if (databaseUrl === undefined)
      return fail('Set DATABASE_URL (or POSTGRES_HOST and so on) to the database that lacks spend.', 2);
    pool = openPool({ url: databaseUrl, poolSize: 1, onError: () => undefined });
    archive = new SpendArchive({ bucket, region, endpoint, from });
    const ledger = new PostgresSpendLedger({
      pool,
      keepRows: true,
      ...(own === undefined ? {} : { region: own.name }),
    });
    const { logs, events, interrupted, missing, unfinished } = await reingest(archive, ledger, (id, count) => {
      if (count > 0) say(`... log ${id}: ${count}`);
    });
    say(
      `${describeUrl(databaseUrl)}: ${events} requests of ${logs} logs from ${from} came back, ${interrupted} of them interrupted.${
        missing > 0 ? ` ${missing} are neither in the archive nor in the database.` : ''
      }${unfinished.length > 0 ? ` ${unfinished.length} logs have no end there: they go on elsewhere, or a disk was lost with it.` : ''}`,
    );
    return missing > 0 ? 3 : 0;
  } catch (error) {
    const { message, exitCode } = describeStartError(error);
    return fail(message, exitCode);
  } finally {
    archive?.close();
    await pool?.end();
  }
}
