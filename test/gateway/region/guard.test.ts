import { describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

const template = { name: 'migrated_for_region', prepare: async (url: string) => void (await migrate(url)) };

async function database() {
  const fresh = await freshDatabase(template);
  onTestFinished(() => fresh.drop());
  return fresh;
}

/** A guarded table in a database whose row says what the test needs. */
async function guarded(row: { epoch: number; writer: string; state: string; leaseMs: number }): Promise<string> {
  const { url } = await database();
  await query(
    url,
    `UPDATE region_epoch SET epoch = ${row.epoch}, writer_region = '${row.writer}', state = '${row.state}';
     UPDATE region_lease SET epoch = ${row.epoch}, region = '${row.writer}',
       until = clock_timestamp() + interval '${row.leaseMs} ms';
     CREATE TABLE thing (id integer);
     CREATE TRIGGER guarded BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON thing
       FOR EACH STATEMENT EXECUTE FUNCTION require_control_write()`,
  );
  return url;
}

const write = (url: string, epoch: number, region: string) =>
  query(url, `BEGIN; SELECT begin_control_write(${epoch}, '${region}', '1 s'); INSERT INTO thing VALUES (1); COMMIT`);

describe('a control-plane write', () => {
  it('passes in the open epoch of its own region while the lease lasts', async () => {
    const url = await guarded({ epoch: 7, writer: 'eu-west-1', state: 'open', leaseMs: 15_000 });
    await write(url, 7, 'eu-west-1');
    expect(await query(url, 'SELECT count(*)::int AS n FROM thing')).toEqual([{ n: 1 }]);
  });

  it.each([
    ['of an older epoch', { epoch: 8, writer: 'eu-west-1', state: 'open', leaseMs: 15_000 }, 'HF001'],
    ['of another region', { epoch: 7, writer: 'us-east-1', state: 'open', leaseMs: 15_000 }, 'HF001'],
    ['in a closed epoch', { epoch: 7, writer: 'eu-west-1', state: 'closed', leaseMs: 15_000 }, 'HF001'],
    ['with a lease that is nearly over', { epoch: 7, writer: 'eu-west-1', state: 'open', leaseMs: 900 }, 'HF002'],
    ['with a lease that is over', { epoch: 7, writer: 'eu-west-1', state: 'open', leaseMs: -1 }, 'HF002'],
  ])('%s is refused inside its transaction', async (_, row, code) => {
    const url = await guarded(row);
    await expect(write(url, 7, 'eu-west-1')).rejects.toMatchObject({ code });
    expect(await query(url, 'SELECT count(*)::int AS n FROM thing')).toEqual([{ n: 0 }]);
  });

  it('that did not ask is refused, be it a job, a repair by hand or TRUNCATE', async () => {
    const url = await guarded({ epoch: 7, writer: 'eu-west-1', state: 'open', leaseMs: 15_000 });
    for (const statement of ['INSERT INTO thing VALUES (1)', 'DELETE FROM thing', 'TRUNCATE thing']) {
      await expect(query(url, statement)).rejects.toMatchObject({ code: 'HF003' });
    }
  });

  it('needs no claim where there is one region only', async () => {
    const { url } = await database();
    expect(await query(url, `SELECT begin_control_write(1, 'local', '5 s') AS ms`)).toEqual([{ ms: 86_400_000n }]);
  });
});
