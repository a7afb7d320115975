/** Spend outside of the region: what is archived, what may be forgotten, and what comes back after a restore. */
import { randomUUIDv7 } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { SpendArchive } from '../../../gateway/cluster/spend-archive.ts';
import { LogArchiver } from '../../../gateway/outbox/archive.ts';
import { mayLeave } from '../../../gateway/outbox/forgetting.ts';
import { LogStore } from '../../../gateway/outbox/log-store.ts';
import { reingest } from '../../../gateway/outbox/reingest.ts';
import { mayForget } from '../../../gateway/region/right-to-write.ts';
import { type ObjectStore, startObjectStore, storeObject } from '../../../runbooks/lab/object-store.ts';
import { copyOf } from '../../support/copied-database.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import {
  event,
  idsIn,
  nobodyTold,
  openLedger,
  openLog,
  openStore,
  openTestOutbox,
  rowsIn,
  setBack,
} from './open-log.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
beforeAll(async () => {
  process.env['AWS_ACCESS_KEY_ID'] ??= 'AKIAEXAMPLE';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'not-a-secret';
  database = await migratedDatabase();
});
afterAll(() => database.drop());

async function openArchive(port?: number): Promise<{ store: ObjectStore; archive: SpendArchive }> {
  const store = await startObjectStore(port === undefined ? {} : { port });
  const archive = new SpendArchive({ bucket: 'spend-copies', region: 'elsewhere', endpoint: store.url, from: 'here' });
  onTestFinished(async () => {
    archive.close();
    await store.close();
  });
  return { store, archive };
}

const segmentsIn = (root: string): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.seg'));

describe('what may leave the disk', () => {
  const shipped = { isOld: true, isShort: false, isArchived: true, isSafe: true };
  it.each([
    ['old, archived, and safe from a failover', {}, true],
    ['not archived yet', { isArchived: false }, false],
    ['not archived, and the disk has no room', { isArchived: false, isShort: true }, true],
    ['no archive at all', { isArchived: undefined }, true],
    ['too young', { isOld: false }, false],
    ['a failover could lose it', { isSafe: false }, false],
    ['a failover could lose it, and the disk has no room', { isSafe: false, isShort: true }, false],
  ])('%s', (_case, over, leaves) => expect(mayLeave({ ...shipped, ...over })).toBe(leaves));

  it.each([
    ['shown by every candidate', [7, 9], false, true],
    ['one candidate lacks it, archived or not', [7, 6], true, false],
    ['there is no candidate', [], false, false],
    ['there is no candidate, and it is archived', [], true, true],
  ])('%s', (_case, applied, isArchived, forgets) => expect(mayForget(7, applied, isArchived)).toBe(forgets));
});

describe('an outbox with an archive', () => {
  it('uploads complete segments, reads them back, and only then forgets them; while the archive is away they stay', async () => {
    const { store, archive } = await openArchive();
    const root = join(directory, randomUUIDv7());
    const told = nobodyTold();
    const { ledger } = openLedger(database.url);
    await store.close();
    // Without candidates: only what is archived may go.
    const outbox = openTestOutbox(root, ledger, told, {
      retainSeconds: 0,
      archive,
      mayForget: (_log, seq, isArchived) => mayForget(seq, [], isArchived),
    });
    onTestFinished(() => outbox.close(1_000).then(() => undefined));
    for (let count = 0; count < 60; count++) {
      outbox.end(event());
      outbox.flush();
    }
    await until(() => outbox.queued === 0);
    const before = segmentsIn(root).length;
    expect(before).toBeGreaterThan(3);
    await outbox.maintain();
    await until(() => told.failures.length > 0);
    await outbox.maintain();
    expect(segmentsIn(root)).toHaveLength(before);
    expect(outbox.unarchived?.bytes).toBeGreaterThan(0);
    expect(outbox.unarchived?.oldestSeconds).toBeGreaterThan(0);

    const again = await startObjectStore({ port: store.port });
    onTestFinished(() => again.close());
    await until(async () => {
      await outbox.maintain();
      return segmentsIn(root).length === 1;
    });
    expect(outbox.unarchived).toEqual({ bytes: 0, oldestSeconds: 0 });
    const names = [...again.objects.keys()].toSorted();
    expect(names).toHaveLength(before - 1);
    expect(names.every((name) => /^spend-copies\/spend\/here\/[0-9a-f-]{36}\/\d{6}\.seg$/.test(name))).toBe(true);
  });

  it('does not wait for a segment to fill: what is old goes, and a log that ends goes whole', async () => {
    const { store, archive } = await openArchive();
    const root = join(directory, randomUUIDv7());
    const { ledger } = openLedger(database.url);
    const outbox = openTestOutbox(root, ledger, nobodyTold(), { archive, archiveAfterMs: 50 });
    outbox.end(event());
    await until(async () => {
      await outbox.maintain();
      return store.objects.size === 1;
    });
    outbox.end(event());
    expect(await outbox.close(5_000)).toBe(0);
    const [log = ''] = readdirSync(root);
    expect([...store.objects.keys()].toSorted()).toEqual(
      ['000001.seg', '000002.seg', 'whole.json'].map((name) => `spend-copies/spend/here/${log}/${name}`),
    );
  });

  it('does not take an upload for done that reads back differently', async () => {
    const { store, archive } = await openArchive();
    const put = archive.put('log/000001.seg', Buffer.from('what was written'));
    await put;
    await expect(archive.get('log/000001.seg').then((bytes) => Buffer.from(bytes ?? []).toString())).resolves.toBe(
      'what was written',
    );
    const spoiling = await startObjectStore({
      onPut: (name) => void storeObject(spoiling.objects, name, Buffer.from('something else')),
    });
    onTestFinished(() => spoiling.close());
    const other = new SpendArchive({ bucket: 'b', region: 'elsewhere', endpoint: spoiling.url, from: 'here' });
    onTestFinished(() => other.close());
    await expect(other.put('log/000001.seg', Buffer.from('x'))).rejects.toThrow(
      'what lies at s3://b/spend/here/log/000001.seg is not what was put there',
    );
    expect(store.objects.size).toBe(1);
  });
});

describe('a database restored from a backup', () => {
  it('gets back from the archive what it lacks, each request once, also of a process that died; repeating changes nothing', async () => {
    const { archive } = await openArchive();
    const lived = await migratedDatabase();
    onTestFinished(() => lived.drop());
    const root = join(directory, randomUUIDv7());
    const { ledger, pool } = openLedger(lived.url);
    const account = `a:key:${randomUUIDv7()}`;
    const priced = () => event({ costMicros: 1n, accounts: [account] });
    const outbox = openTestOutbox(root, ledger, nobodyTold(), { archive, retainSeconds: 0 });
    for (let count = 0; count < 30; count++) outbox.end(priced());
    await until(() => outbox.queued === 0);
    await pool.end();

    // The backup is made; the rest of the day is lost with the database.
    const restored = await copyOf(lived);
    onTestFinished(() => restored.drop());
    const later = openLedger(lived.url);
    const other = openTestOutbox(join(directory, randomUUIDv7()), later.ledger, nobodyTold(), { archive });
    for (let count = 0; count < 30; count++) other.end(priced());
    // A process that is killed in the middle of a request.
    const dead = openLog(root);
    const running = event({ costMicros: 1n, accounts: [account] });
    dead.begin({ ...running, reservedMicros: 5 });
    dead.end(priced());
    dead.close();
    await other.close(5_000);
    const told = nobodyTold();
    const recovering = new LogStore({
      root,
      ledger: later.ledger,
      retainSeconds: 0,
      mayForget: () => true,
      isOwn: () => false,
      archiver: new LogArchiver(archive, (error) => told.failures.push(error)),
      onRecovered: (log) => told.recovered.push(log),
      onLost: (_log, count) => told.lost.push(count),
      onReduced: (id) => told.reduced.push(id),
      onFailed: (error) => told.failures.push(error),
    });
    // It is recovered and archived, and its disk is forgotten. What the living process has stays where it is.
    await recovering.sweep();
    expect(told).toMatchObject({ recovered: [{ events: 1, interrupted: 1 }], failures: [] });
    expect(readdirSync(root)).not.toContain(dead.id);
    expect(await rowsIn(lived.url)).toHaveLength(62);

    const { ledger: ours } = openLedger(restored.url);
    expect(await idsIn(restored.url)).toHaveLength(30);
    const came = await reingest(archive, ours, () => undefined);
    expect(came).toMatchObject({ events: 32, interrupted: 1, missing: 0 });
    expect(await idsIn(restored.url)).toEqual(await idsIn(lived.url));
    const spent = `SELECT lifetime_micros::int AS spent FROM account WHERE id = '${account}'`;
    // 61 requests of a millionth, and one of what was set aside for it.
    expect(await query(restored.url, spent)).toEqual([{ spent: 66 }]);
    expect(await reingest(archive, ours, () => undefined)).toMatchObject({ events: 0, interrupted: 0, missing: 0 });
    expect(await query(restored.url, spent)).toEqual([{ spent: 66 }]);
  }, 40_000);
});

describe('a gateway whose ledger was set back to before what it has forgotten', () => {
  /** 60 events: shipped, archived, and but for the last of them gone from the disk. */
  async function forgetful() {
    const { store, archive } = await openArchive();
    const { ledger } = openLedger(database.url);
    const told = nobodyTold();
    const root = join(directory, randomUUIDv7());
    const outbox = openTestOutbox(root, ledger, told, { archive, retainSeconds: 0 });
    onTestFinished(() => outbox.close(1_000).then(() => undefined));
    for (let count = 0; count < 60; count++) {
      outbox.end(event());
      outbox.flush();
    }
    await until(() => outbox.queued === 0);
    await until(async () => {
      await outbox.maintain();
      return segmentsIn(root).length === 1;
    });
    const { logId } = outbox.heartbeat;
    const booked = () => idsIn(database.url, `log_id = '${logId}'`);
    return { store, archive, ledger, root, told, outbox, logId, booked, before: await booked() };
  }

  it('goes back to its archive and books everything once, while it goes on', async () => {
    const { told, outbox, logId, booked, before } = await forgetful();
    await setBack(database.url, logId, 7);
    const newer = event();
    outbox.end(newer);
    await outbox.heartbeat.beat();
    await until(() => outbox.queued === 0);
    expect(await booked()).toEqual([...before, newer.requestId].toSorted());
    expect(told).toMatchObject({ lost: [], failures: [] });
  });

  it('does so for a log that its successor finds closed', async () => {
    const { told, outbox, root, logId, ledger, archive, booked, before } = await forgetful();
    expect(await outbox.close(5_000)).toBe(0);
    await setBack(database.url, logId, 7);
    await openStore(root, ledger, told, 3_600, archive).sweep();
    expect(await booked()).toEqual(before);
    expect((await ledger.positions([logId])).get(logId)).toEqual({ appliedSeq: 60, closed: true });
    expect(told).toMatchObject({ lost: [], failures: [] });
  });

  it('waits for an archive that is away', async () => {
    const { store, told, outbox, logId, booked, before } = await forgetful();
    await store.close();
    await setBack(database.url, logId, 7);
    await outbox.heartbeat.beat();
    await until(() => told.failures.length > 1);
    expect(outbox.queued).toBe(53);
    const again = await startObjectStore({ port: store.port });
    onTestFinished(() => again.close());
    for (const [name, object] of store.objects) again.objects.set(name, object);
    await until(() => outbox.queued === 0);
    expect(await booked()).toEqual(before);
    expect(told.lost).toEqual([]);
  });
});
