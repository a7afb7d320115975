import { spawnSync } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, utimesSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Refusal } from '../../../gateway/domain/errors.ts';
import { lockLog } from '../../../gateway/outbox/log-lock.ts';
import { pressureOf } from '../../../gateway/outbox/pressure.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { event, idsIn, nobodyTold, openLedger, openLog, openStore, openTestOutbox } from './open-log.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

/** Takes nothing until it is let. */
function closedLedger() {
  const { ledger } = openLedger(database.url);
  let isOpen = false;
  const ship = ledger.ship.bind(ledger);
  ledger.ship = (...values) => (isOpen ? ship(...values) : Promise.reject(new Error('the ledger is away')));
  return {
    ledger,
    letIn: () => {
      isOpen = true;
    },
  };
}

describe('pressure', () => {
  const room = { diskFault: false, bytes: 0, maxBytes: 1_000, freeBytes: 100, minFreeBytes: 64 };
  it.each([
    ['none while there is room', {}, 'none'],
    ['none while nobody knows how much is free', { freeBytes: undefined }, 'none'],
    ['soft from 80 % on', { bytes: 800 }, 'soft'],
    ['soft when the disk runs short', { freeBytes: 63 }, 'soft'],
    ['hard at the bound', { bytes: 1_000, freeBytes: 1 }, 'hard'],
    ['hard when the disk takes nothing', { diskFault: true }, 'hard'],
  ] as const)('is %s', (_case, over, expected) => {
    expect(pressureOf({ ...room, ...over })).toBe(expected);
  });
});

it('at 80 % requests with a budget are refused, at 100 % all, with 503 and Retry-After; what runs still ends; room comes back with the database', async () => {
  const { ledger, letIn } = closedLedger();
  const told = nobodyTold();
  const outbox = openTestOutbox(join(directory, 'bound'), ledger, told, { maxBytes: 40_000 });
  const budgeted = event({ reservedMicros: 1 });
  const running = event();
  await outbox.begin(running);
  const ended: string[] = [];
  const endUntil = (pressure: string): void => {
    while (outbox.pressure !== pressure) {
      const one = event();
      outbox.end(one);
      outbox.flush();
      ended.push(one.requestId);
    }
  };
  endUntil('soft');
  expect(() => outbox.begin(budgeted)).toThrow(Refusal);
  const free = event();
  await outbox.begin(free);
  endUntil('hard');
  await expect(async () => outbox.begin(event())).rejects.toMatchObject({ status: 503, retryAfterSeconds: 5 });
  outbox.end(running);
  outbox.end(free);
  letIn();
  await until(() => outbox.queued === 0);
  await outbox.maintain();
  await outbox.maintain();
  expect(outbox.pressure).toBe('none');
  await outbox.begin(budgeted);
  outbox.end(budgeted);
  expect(await outbox.close(5_000)).toBe(0);
  const expected = [...ended, running.requestId, free.requestId, budgeted.requestId];
  expect(await idsIn(database.url, `id IN (${expected.map((id) => `'${id}'`).join(',')})`)).toEqual(
    expected.toSorted(),
  );
  expect(told.lost).toEqual([]);
});

const small = join(directory, 'small');
mkdirSync(small);
const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', small]).status === 0;
afterAll(() => {
  if (isMounted) spawnSync('umount', [small]);
});

describe.skipIf(!isMounted)('on a full disk (a tmpfs of 2 MB; mounting needs root)', () => {
  const filler = join(small, 'filler');

  it('what had begun ends in the reserve and then in memory, nothing more begins, and all of it is booked once', async () => {
    const { ledger, letIn } = closedLedger();
    const told = nobodyTold();
    const outbox = openTestOutbox(join(small, 'outbox'), ledger, told, {
      sizes: { segmentBytes: 256 * 1024, reserveBytes: 64 * 1024, minFreeBytes: 0, mostInMemory: 100 },
    });
    const running = Array.from({ length: 500 }, () => event({ reservedMicros: 9_000 }));
    await Promise.all(running.map((one) => outbox.begin(one)));
    fill(filler);
    const late: string[] = [];
    // The segment's last page may have room for some.
    await expect(async () => {
      for (;;) {
        const one = event();
        await outbox.begin(one);
        late.push(one.requestId);
      }
    }).rejects.toThrow(Refusal);
    expect(outbox.pressure).toBe('hard');
    expect(told.disk.at(-1)).toBeInstanceOf(Error);
    for (const one of running) outbox.end(one);
    for (const id of late) outbox.end(event({ requestId: id }));
    expect(outbox.queued).toBe(500 + late.length);
    letIn();
    await until(() => outbox.queued === 0);
    await outbox.maintain();
    expect(() => outbox.begin(event())).toThrow(Refusal);

    rmSync(filler);
    await outbox.maintain();
    expect(outbox.pressure).toBe('none');
    expect(told.disk.at(-1)).toBeUndefined();
    const after = event();
    await outbox.begin(after);
    outbox.end(after);
    expect(await outbox.close(5_000)).toBe(0);
    const expected = [...running.map(({ requestId }) => requestId), ...late, after.requestId];
    const rows = await query(
      database.url,
      `SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM spend_entry
       WHERE ending = 'finished' AND id IN (${expected.map((id) => `'${id}'`).join(',')})`,
    );
    expect(rows).toEqual([{ n: expected.length, ids: expected.length }]);
    expect(told.lost).toEqual([]);
  });

  it('a process that dies there after shipping from memory leaves nothing that is booked twice', async () => {
    const { ledger } = openLedger(database.url);
    const log = openLog(join(small, 'dying'), { segmentBytes: 1e6, reserveBytes: 4_096 });
    const running = Array.from({ length: 60 }, () => event({ reservedMicros: 9_000, costMicros: 5n }));
    for (const one of running) log.begin(one);
    fill(filler);
    // The first ten never end.
    for (const one of running.slice(10)) log.end(one);
    const { texts } = await log.read(1, 1_000);
    expect(texts).toHaveLength(50);
    expect(log.fault).toBeInstanceOf(Error);
    expect(await ledger.ship(log.id, 1, texts)).toBe(50);
    log.close();
    rmSync(filler);
    const told = nobodyTold();
    await openStore(join(small, 'dying'), ledger, told).sweep();
    expect(told.failures).toEqual([]);
    const rows = await query(
      database.url,
      `SELECT ending, count(*)::int AS n, sum(cost_micros)::int AS cost FROM spend_entry
       WHERE log_id = '${log.id}' GROUP BY ending ORDER BY ending`,
    );
    expect(rows).toEqual([
      { ending: 'finished', n: 50, cost: 250 },
      { ending: 'interrupted', n: 10, cost: 90_000 },
    ]);
  });

  function fill(path: string): void {
    try {
      writeFileSync(path, Buffer.alloc(8 * 1024 * 1024));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
});

describe('what was shipped', () => {
  const segmentsIn = (root: string): string[] =>
    readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.seg'));

  it.each([
    ['stays for the time that was asked for', 3_600, true, true],
    ['is deleted after it', 0, true, false],
    ['stays while it could be lost elsewhere', 0, false, true],
  ])('%s', async (_case, retainSeconds, mayForget, stays) => {
    const root = join(directory, randomUUIDv7());
    const { ledger } = openLedger(database.url);
    const outbox = openTestOutbox(root, ledger, nobodyTold(), { retainSeconds, mayForget: () => mayForget });
    for (let count = 0; count < 100; count++) {
      outbox.end(event());
      outbox.flush();
    }
    await until(() => outbox.queued === 0);
    const before = segmentsIn(root).length;
    expect(before).toBeGreaterThan(3);
    await outbox.maintain();
    expect(segmentsIn(root).length > 1).toBe(stays);
    expect(await outbox.close(5_000)).toBe(0);
    const store = openTestOutbox(root, ledger, nobodyTold(), { retainSeconds, mayForget: () => mayForget });
    await store.start();
    if (stays) expect(segmentsIn(root).length).toBeGreaterThan(3);
    else await until(() => segmentsIn(root).length === 1);
    await store.close(1_000);
  });

  it('is no log any more before the first of its files goes, so that a crash in between books nothing again', async () => {
    const root = join(directory, randomUUIDv7());
    const { ledger } = openLedger(database.url);
    const log = openLog(root);
    log.begin(event());
    log.close();
    const told = nobodyTold();
    const store = openStore(root, ledger, told, 0);
    const seen: (string | null)[] = [];
    const watcher = watch(root, (_event, name) => seen.push(name));
    onTestFinished(() => watcher.close());
    await store.sweep();
    await until(() => seen.includes(`.gone-${log.id}`));
    expect(readdirSync(root)).toEqual([]);

    // What a crash left of one: a begin whose end is gone.
    const torn = openLog(root);
    torn.begin(event());
    torn.close();
    const left = join(root, `.gone-${torn.id}`);
    renameSync(join(root, torn.id), left);
    utimesSync(left, 0, 0);
    await store.sweep();
    expect(readdirSync(root)).toEqual([]);
    expect(await idsIn(database.url, `log_id = '${torn.id}'`)).toEqual([]);
    expect(told.failures).toEqual([]);
  });
});

it('a request that runs when its process leaves is interrupted once, at what was set aside for it', async () => {
  const { ledger } = openLedger(database.url);
  const told = nobodyTold();
  const outbox = openTestOutbox(join(directory, 'leaving'), ledger, told);
  const [priced, unpriced] = [event({ reservedMicros: 777 }), event()];
  await Promise.all([outbox.begin(priced), outbox.begin(unpriced)]);
  expect(await outbox.close(5_000)).toBe(0);
  expect(told.interrupted).toBe(2);
  const rows = await query(
    database.url,
    `SELECT id, ending, cost_micros FROM spend_entry WHERE id IN ('${priced.requestId}', '${unpriced.requestId}') ORDER BY seq`,
  );
  expect(rows).toEqual([
    { id: priced.requestId, ending: 'interrupted', cost_micros: 777n },
    { id: unpriced.requestId, ending: 'interrupted', cost_micros: null },
  ]);
});

it('an attempt that may be billed has a row of its own, of unknown cost, beside that of the request', async () => {
  const { ledger } = openLedger(database.url);
  const outbox = openTestOutbox(join(directory, 'doubt'), ledger, nobodyTold());
  onTestFinished(async () => {
    await outbox.close(1_000);
  });
  const request = event({ callId: randomUUIDv7(), attempts: 2, accounts: ['a:key:doubt'] });
  const first = { deploymentId: 'd0', provider: 'azure', model: 'm0', modelGroup: 'chat', status: 504 };
  await outbox.begin(request);
  outbox.doubt(request.requestId, first);
  outbox.end(request);
  await until(() => outbox.queued === 0);
  const rows = await query(
    database.url,
    `SELECT ending, provider, cost_micros, status FROM spend_entry WHERE call_id = '${request.callId}' ORDER BY seq`,
  );
  expect(rows).toEqual([
    { ending: 'failed', provider: 'azure', cost_micros: null, status: 504 },
    { ending: 'finished', provider: 'openai', cost_micros: 123n, status: 200 },
  ]);
});

it('a request that runs for long is interrupted also when the segment it began in was deleted meanwhile', async () => {
  const root = join(directory, 'long');
  const { ledger } = openLedger(database.url);
  const log = openLog(root);
  const long = event({ reservedMicros: 4_000 });
  log.begin(long);
  for (let count = 0; count < 60; count++) log.end(event());
  const { texts } = await log.read(1, 100);
  log.applied(await ledger.ship(log.id, 1, texts), 0);
  expect(log.shippedSegments().length).toBeGreaterThan(2);
  for (const segment of log.shippedSegments()) await log.remove(segment);
  log.close();
  await openStore(root, ledger, nobodyTold()).sweep();
  const rows = await query(database.url, `SELECT ending, cost_micros FROM spend_entry WHERE id = '${long.requestId}'`);
  expect(rows).toEqual([{ ending: 'interrupted', cost_micros: 4_000n }]);
});

it('a log has one owner: nobody recovers it while its process lives', async () => {
  const root = join(directory, 'owned');
  const { ledger } = openLedger(database.url);
  const told = nobodyTold();
  const log = openLog(root);
  log.begin(event());
  await openStore(root, ledger, told).sweep();
  expect(told.recovered).toEqual([]);
  log.close();
  await openStore(root, ledger, told).sweep();
  expect(told.recovered).toMatchObject([{ id: log.id, interrupted: 1 }]);
});

it('whoever finds a log locked for a moment looks again at once, not with the next sweep', async () => {
  const root = join(directory, 'contended');
  const { ledger } = openLedger(database.url);
  const told = nobodyTold();
  const log = openLog(root);
  log.begin(event());
  log.close();
  const other = lockLog(log.directory);
  const sweep = openStore(root, ledger, told).sweep();
  setTimeout(() => other?.release(), 10);
  await sweep;
  expect(told.recovered).toMatchObject([{ id: log.id, interrupted: 1 }]);
});

it('a folder of logs that cannot be read is a fault that is told and tried again, not an empty one', async () => {
  const root = join(directory, 'no-folder');
  writeFileSync(root, '');
  const { ledger } = openLedger(database.url);
  const told = nobodyTold();
  expect(await openStore(root, ledger, told).sweep()).toBe(false);
  expect(told.failures).toMatchObject([{ code: 'ENOTDIR' }]);
});
