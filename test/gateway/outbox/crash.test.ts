import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SpendEvent, SpendLedger } from '../../../gateway/domain/spend.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { event, nobodyTold, openLedger, openLog, openStore, openTestOutbox } from './open-log.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

/** The same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed + 0x9e3779b9;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What a crashed process has said before: begun, and how it ended. */
type Acknowledged = Map<string, 'begun' | 'ended'>;

/** Loses every so many replies, and every so many questions. */
function unreliable(ledger: SpendLedger, below: (n: number) => number): SpendLedger {
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    if (below(6) === 0) throw new Error('the question was lost');
    const answer = await work();
    if (below(6) === 0) throw new Error('the reply was lost');
    return answer;
  };
  return {
    ship: (...values) => call(() => ledger.ship(...values)),
    skip: (...values) => call(() => ledger.skip(...values)),
    positions: (...values) => call(() => ledger.positions(...values)),
    close: (...values) => call(() => ledger.close(...values)),
    touch: (...values) => call(() => ledger.touch(...values)),
  };
}

it('D2: after 500 crashes at seeded points, with an unreliable database, every acknowledged end is booked once and every begin without one is interrupted once', async () => {
  const root = join(directory, 'points');
  const { ledger } = openLedger(database.url);
  const all: Acknowledged = new Map();
  /** Of a write that was cut off: some of it may be there. */
  const maybe = new Set<string>();
  for (let seed = 0; seed < 500; seed++) {
    const below = numbers(seed);
    const log = openLog(root, { segmentBytes: 1_000 + below(6_000) });
    const done: { readonly id: string; readonly is: 'begun' | 'ended'; readonly bytes: number }[] = [];
    const running: string[] = [];
    for (let turn = 5 + below(30); turn > 0; turn--) {
      // Alone, or with others in one write.
      const together = seed % 2 === 0 ? 1 : 1 + below(5);
      const begins: SpendEvent[] = [];
      const ends: SpendEvent[] = [];
      for (let count = 0; count < together; count++) {
        const [id] = below(5) < 2 ? [] : running.splice(below(running.length), 1);
        if (id === undefined) begins.push(event({ reservedMicros: 1_000 }));
        else ends.push(event({ requestId: id, costMicros: 7n }));
      }
      if (seed % 2 === 0) {
        for (const one of begins) log.begin(one);
        for (const one of ends) log.end(one);
      } else {
        log.writeTogether(begins, ends);
      }
      running.push(...begins.map(({ requestId }) => requestId));
      for (const { requestId } of begins) done.push({ id: requestId, is: 'begun', bytes: log.bytes });
      for (const { requestId } of ends) done.push({ id: requestId, is: 'ended', bytes: log.bytes });
    }
    // Some of it had been shipped, never more than what was written.
    const batch = log.lastSeq === 0 ? undefined : await log.read(1, below(log.lastSeq + 1));
    log.close();
    const newest =
      readdirSync(log.directory)
        .filter((name) => name.endsWith('.seg'))
        .toSorted()
        .at(-1) ?? '';
    const size = statSync(join(log.directory, newest)).size;
    const shippedBytes = done.filter(({ is }) => is === 'ended')[(batch?.texts.length ?? 0) - 1]?.bytes ?? 0;
    // The kernel has what was acknowledged; only what was being written when the process died can be cut.
    const cut = Math.max(log.bytes - below(size + 1), Math.min(shippedBytes, log.bytes));
    truncateSync(join(log.directory, newest), size - (log.bytes - cut));
    if (batch !== undefined && batch.texts.length > 0) await ledger.ship(log.id, 1, batch.texts);
    for (const { id, is, bytes } of done) if (bytes <= cut) all.set(id, is);
    const torn = done.find(({ bytes }) => bytes > cut)?.bytes;
    for (const { id, bytes } of done) if (bytes === torn) maybe.add(id);
  }
  const told = nobodyTold();
  const store = openStore(root, ledger, told);
  const flaky = openStore(root, Object.assign(Object.create(ledger), unreliable(ledger, numbers(1))), told);
  await flaky.sweep();
  expect(told.failures.length).toBeGreaterThan(100);
  await flaky.sweep();
  await store.sweep();
  await compare(all, database.url, maybe);
  expect(told.recovered).toHaveLength(500);
  const [row] = await query(database.url, `SELECT count(*)::int AS n FROM spend_entry WHERE ending = 'interrupted'`);
  expect(told.recovered.reduce((sum, { interrupted }) => sum + interrupted, 0)).toBe(row?.['n']);
  expect(told.recovered.some(({ tornBytes }) => tornBytes > 0)).toBe(true);
  expect(told.lost).toEqual([]);
}, 90_000);

it('D2: processes killed with SIGKILL while they write lose nothing that they acknowledged, and the next one books it once', async () => {
  const root = join(directory, 'killed');
  const own = await migratedDatabase();
  const all: Acknowledged = new Map();
  const below = numbers(2);
  for (let kill = 0; kill < 4; kill++) {
    const writers = [0, 1].map(() => spawnWriter(root, own.url, 60 + below(250)));
    for (const said of await Promise.all(writers)) for (const [id, is] of said) all.set(id, is);
  }
  const told = nobodyTold();
  const { ledger, pool } = openLedger(own.url);
  const outbox = openTestOutbox(root, ledger, told);
  await openStore(root, ledger, told).sweep();
  expect(await outbox.close(5_000)).toBe(0);
  await compare(all, own.url, 'all that runs');
  const [account] = await query(own.url, `SELECT lifetime_micros, leased_micros FROM account WHERE id = 'z:global'`);
  const [sum] = await query(own.url, 'SELECT sum(cost_micros)::bigint AS cost FROM spend_entry');
  expect(account).toEqual({ lifetime_micros: sum?.['cost'], leased_micros: 0n });
  const [open] = await query(own.url, 'SELECT count(*)::int AS n FROM spend_log WHERE closed_at IS NULL');
  expect(open?.['n']).toBe(0);
  expect(all.size).toBeGreaterThan(300);
  await pool.end();
  await own.drop();
}, 90_000);

/** Runs a writer, kills it so long after its first word, and returns what it had said. */
async function spawnWriter(root: string, url: string, afterMs: number): Promise<Acknowledged> {
  const writer = spawn(process.execPath, [fileURLToPath(new URL('crash-writer.ts', import.meta.url)), root, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  writer.stdout.setEncoding('utf8').on('data', (piece: string) => {
    if (text === '') setTimeout(() => writer.kill('SIGKILL'), afterMs);
    text += piece;
  });
  await once(writer, 'close');
  expect(text).not.toContain('lost');
  const said: Acknowledged = new Map();
  // The last line may be cut.
  for (const line of text.split('\n').slice(0, -1)) {
    const [is, id = ''] = line.split(' ');
    said.set(id, is === 'ended' ? 'ended' : 'begun');
  }
  return said;
}

/** @param more what was written and never acknowledged may be there, too: these, or what runs in eight processes at once. */
async function compare(all: Acknowledged, url: string, more: ReadonlySet<string> | 'all that runs'): Promise<void> {
  const rows = await query(url, 'SELECT id::text, ending, cost_micros, estimated FROM spend_entry');
  const found = new Map(rows.map((row) => [String(row['id']), row]));
  expect(found.size).toBe(rows.length);
  const wrong = [...all].filter(([id, is]) => {
    const ending = found.get(id)?.['ending'];
    const mayBeFinished = more === 'all that runs' || more.has(id);
    return is === 'ended'
      ? ending !== 'finished'
      : !(ending === 'interrupted' || (mayBeFinished && ending === 'finished'));
  });
  expect(wrong).toEqual([]);
  const interrupted = rows.filter((row) => row['ending'] === 'interrupted');
  expect(interrupted.length).toBeGreaterThan(0);
  expect(interrupted.filter((row) => row['cost_micros'] !== 1_000n || row['estimated'] !== true)).toEqual([]);
  expect(rows.filter((row) => row['estimated'] === true && row['ending'] !== 'interrupted')).toEqual([]);
  const unknown = rows.map((row) => String(row['id'])).filter((id) => !all.has(id));
  if (more === 'all that runs') expect(unknown.length).toBeLessThanOrEqual(8 * 20);
  else expect(unknown.filter((id) => !more.has(id))).toEqual([]);
}
