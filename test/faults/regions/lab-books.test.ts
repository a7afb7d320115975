/**
 * The books against a lab that is up, as an operator of another process runs them: over its control port and the protocols
 * of claims, databases and gateways.
 *
 *     HOLDFAST_LAB_BOOKS=all npm test -- test/faults/regions/lab-books     # also those that take longer
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { bookArchives } from '../../../bin/runbook/archived-spend.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { buildBook, type Parameters } from '../../../runbooks/books/registry.ts';
import type { World } from '../../../runbooks/books/world.ts';
import type { RunbookId } from '../../../runbooks/catalog.ts';
import { type JournalEvent, MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { reportOf } from '../../../runbooks/engine/report.ts';
import { type Outcome, run } from '../../../runbooks/engine/run.ts';
import { bookedRequests } from '../../../runbooks/lab/booked-requests.ts';
import { askLab, callingLab, findLab, type LabControl, openLabControl } from '../../../runbooks/lab/lab-control.ts';
import { labParameters } from '../../../runbooks/lab/lab-parameters.ts';
import { findLabParts } from '../../../runbooks/lab/lab-parts.ts';
import { remoteServices } from '../../../runbooks/lab/lab-verbs.ts';
import { operatorWays, operatorWorld } from '../../../runbooks/lab/operator-world.ts';
import { findPostgresClient } from '../../../runbooks/lab/postgres-client.ts';
import { ask } from '../../../runbooks/lab/region-database.ts';
import { regionNames } from '../../../runbooks/lab/region-name.ts';
import { labPlaceFile, type RunningLab, startRunningLab } from '../../../runbooks/lab/running-lab.ts';
import { labMasterKey, makeTemplate, type RegionName } from '../../../runbooks/lab/two-regions.ts';
import { LedgerClients } from '../../../runbooks/load/ledger-clients.ts';
import { unbooked } from '../../../runbooks/load/ledger-measurements.ts';
import { until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

let directory: string;
let file: string;
let running: RunningLab;
let control: LabControl;
let world: World;
let close: () => void = () => undefined;
const longer = process.env['HOLDFAST_LAB_BOOKS'] === 'all';

beforeAll(async () => {
  directory = await temporaryDirectory();
  const template = await makeTemplate(directory, async (url) => void (await migrate(url)));
  // Fetched once; a backup waits no half a minute for it.
  await findPostgresClient();
  const { parts, missing } = await findLabParts();
  if (process.env['CI'] !== undefined) expect(missing).toEqual([]);
  running = await startRunningLab({
    directory: join(directory, 'lab'),
    template,
    gateways: 2,
    requestsPerSecond: 20,
    ttlSeconds: 2,
    parts,
    bookArchives,
  });
  file = labPlaceFile(directory);
  control = await openLabControl(running, file);
  const place = await findLab(file);
  const ways = operatorWays(place.map);
  close = () => ways.close();
  world = operatorWorld(ways, remoteServices(callingLab(file, place)));
}, 240_000);
afterAll(async () => {
  close();
  await control?.close();
  await running?.stop();
}, 30_000);

async function runBook(
  id: RunbookId,
  parameters: Parameters = {},
): Promise<{ outcome: Outcome; events: readonly JournalEvent[] }> {
  const journal = new MemoryJournal();
  const outcome = await run<World>({
    book: buildBook(id, { ...labParameters(id), ...parameters }),
    world,
    worldName: 'lab',
    journal,
    runId: `r-${id}-${randomUUID().slice(0, 8)}`,
    parameters,
    operator: 'the operator',
    session: randomUUID(),
    clock: {
      now: () => performance.now(),
      date: () => new Date(),
      sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    },
    pollSeconds: 0.1,
    signal: new AbortController().signal,
    confirm: async (_, expected) => expected,
    onEvent: () => undefined,
    onWaiting: () => undefined,
  });
  return { outcome, events: await journal.read() };
}

const completed = { is: 'completed' };

/** A gateway that was the keeper of the claim may just have ended with its zone: writes resume within seconds. */
async function makeKey(alias: string): Promise<string> {
  let key = '';
  await until(async () => {
    const answer = await fetch(`${running.lab.region('a').addresses[0]}/key/generate`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${labMasterKey}`,
        'content-type': 'application/json',
        'idempotency-key': alias,
      },
      body: JSON.stringify({ key_alias: alias }),
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.status !== 200) return false;
    key = z.object({ key: z.string() }).parse(await answer.json()).key;
    return true;
  }, 15_000);
  return key;
}

/** What each gateway of the region answers to it. */
const answersTo = (key: string): Promise<number[]> =>
  Promise.all(
    running.lab.region('a').gateways.map(async ({ url }) => {
      const headers = { authorization: `Bearer ${key}` };
      return (await fetch(`${url}/v1/models`, { headers, signal: AbortSignal.timeout(10_000) })).status;
    }),
  );

const aliases = async (): Promise<readonly unknown[]> =>
  (await ask(running.lab.region('a').operatorUrl, 'SELECT key_alias FROM api_key')).map((row) => row['key_alias']);

/** Of the clients of the lab: in the last seconds every request was answered in the end. */
function expectNoFailures(): void {
  const recent = { requests: 0, answered: -1, ...running.clients() };
  expect(recent.requests).toBeGreaterThan(20);
  expect(recent.answered).toBe(recent.requests);
}

/** With a ledger of their own. */
const startClients = (): LedgerClients =>
  new LedgerClients({
    resolve: () => running.lab.region('a').addresses,
    key: labMasterKey,
    model: running.map.model,
    requestsPerSecond: 20,
    streaming: 0.3,
    dnsTtlMs: 1_000,
    timeoutMs: 4_000,
    betweenWritesMs: 60_000,
  });

/** What they were answered until now is booked, archived, and on no disk any more. */
async function onlyTheArchiveHas({ entries }: LedgerClients): Promise<void> {
  await until(() => entries.length > 50, 20_000);
  const region = running.lab.region('a');
  for (const index of region.places.keys()) await region.replaceGateway(index);
  const outboxes = region.places.map((_, index) => join(directory, 'lab', `a-gateway-${index}`, 'outbox'));
  const logs = async (): Promise<number[]> =>
    Promise.all(outboxes.map(async (outbox) => (await readdir(outbox)).filter((name) => !name.startsWith('.')).length));
  // Each process has one.
  await until(async () => (await logs()).every((count) => count === 1), 60_000);
}

/** Requests of these clients: every one that was answered has one row that ended well, and the sums agree with the rows. */
async function expectBookedOnce(clients: LedgerClients, writer: RegionName = 'a'): Promise<void> {
  await clients.stop();
  const requests = clients.entries;
  expect(requests.filter(({ isAnswered }) => isAnswered).length).toBeGreaterThan(50);
  const { operatorUrl } = running.lab.region(writer);
  await until(async () => unbooked({ requests, ...(await bookedRequests(operatorUrl)) }).length === 0, 30_000);
  const { booked, ledger } = await bookedRequests(operatorUrl);
  expect([...booked].filter(([, count]) => count > 1)).toEqual([]);
  expect(ledger.rows).toBe(ledger.summed);
}

describe('the books in the lab', () => {
  it('zone-evacuation: traffic and stores leave the zone, and its end is not noticed by any client', async () => {
    expect((await runBook('zone-evacuation')).outcome).toEqual(completed);
    const inZone = running.lab.region('a').places.filter(({ zone }) => zone === 'a1');
    expect(inZone).not.toEqual([]);
    await askLab(file, 'kill', { region: 'a', zone: 'a1' });
    await sleep(2_000);
    expectNoFailures();
    await askLab(file, 'heal');
    await running.services.zones.endShift('a', 'a1', AbortSignal.timeout(5_000));
  }, 60_000);

  it('backup-verify: a copy is restored beside the database to the end of its log, and read', async () => {
    await running.takeBackups(AbortSignal.timeout(30_000));
    await makeKey('made-after-the-copy');
    const there = (await aliases()).length;
    const { outcome, events } = await runBook('backup-verify', { way: 'point-in-time' });
    expect(outcome).toEqual(completed);
    const read = events.find((event) => event.is === 'found-done' && event.step === 'read');
    // The administrator among the clients goes on meanwhile.
    expect(read !== undefined && 'facts' in read ? read.facts?.['keys'] : 0).toBeGreaterThanOrEqual(there);
  }, 60_000);

  it('backup-verify: what pg_dump wrote is restored by pg_restore into a cluster of its own, and read', async () => {
    await makeKey('in-the-dump');
    // The administrator among the clients goes on meanwhile.
    const before = (await aliases()).length;
    await running.takeBackups(AbortSignal.timeout(30_000));
    const after = (await aliases()).length;
    const { outcome, events } = await runBook('backup-verify', { way: 'dump' });
    expect(outcome).toEqual(completed);
    const read = events.find((event) => event.is === 'found-done' && event.step === 'read');
    const keys = read !== undefined && 'facts' in read ? read.facts?.['keys'] : 0;
    expect(keys).toBeGreaterThanOrEqual(before);
    expect(keys).toBeLessThanOrEqual(after);
  }, 60_000);

  it.runIf(longer).each(['dump', 'snapshot', 'point-in-time'])(
    'database-restore by %s: the region writes in a new epoch, and all spend since the backup is booked once',
    async (way) => {
      const kept = await makeKey(`before-the-${way}`);
      await running.takeBackups(AbortSignal.timeout(30_000));
      const clients = startClients();
      onTestFinished(() => clients.stop());
      await onlyTheArchiveHas(clients);
      const lost = await makeKey(`after-the-${way}`);
      await until(async () => (await answersTo(lost)).every((status) => status === 200), 15_000);
      const { epoch = 0 } = (await running.lab.claims.read(AbortSignal.timeout(5_000))).agreed ?? {};
      const { outcome, events } = await runBook('database-restore', { way });
      expect(outcome).toEqual(completed);
      await expectBookedOnce(clients);
      expect(reportOf(buildBook('database-restore', labParameters('database-restore')), events).losses).toEqual({
        spendEventsLost: 0,
        spendEventsDoubled: 0,
      });
      expect(await aliases()).toContain(`before-the-${way}`);
      if (way !== 'point-in-time') expect(await aliases()).not.toContain(`after-the-${way}`);
      // Nor does any gateway remember it; an evacuation leaves one more.
      if (way !== 'point-in-time') expect(new Set(await answersTo(lost))).toEqual(new Set([401]));
      expect(new Set(await answersTo(kept))).toEqual(new Set([200]));
      expect((await running.lab.claims.read(AbortSignal.timeout(5_000))).agreed).toMatchObject({
        epoch: epoch + 1,
        writer: 'a',
        phase: 'held',
      });
      // It follows the old database; until it shows what is booked, no disk forgets it.
      await running.lab.region('b').rebuildDatabase();
    },
    240_000,
  );

  it.runIf(longer).each(['database', 'cache', 'provider/lab'])(
    'credential-rotation of %s: no client notices, and the old one is refused',
    async (credential) => {
      const signal = AbortSignal.timeout(60_000);
      const before = await running.services.credentials.view(credential, 'a', signal);
      expect((await runBook('credential-rotation', { credential, overlapSeconds: '1' })).outcome).toEqual(completed);
      const after = await running.services.credentials.view(credential, 'a', signal);
      expect(after.current).not.toBe(before.current);
      expect(after).toMatchObject({ accepted: [after.current], used: [after.current] });
      expectNoFailures();
    },
    90_000,
  );

  it.runIf(longer)(
    'release: a version that fails its clients goes back by itself, from the one zone that had it and from the standby',
    async () => {
      const image = join(directory, 'a-bad-release');
      const holdfast = fileURLToPath(new URL('../../../bin/holdfast.ts', import.meta.url));
      await mkdir(join(image, 'bin'), { recursive: true });
      await writeFile(
        join(image, 'bin/holdfast.ts'),
        `process.env.LAB_UPSTREAM = 'http://127.0.0.1:9/v1';\nawait import(${JSON.stringify(holdfast)});\n`,
      );
      const { outcome } = await runBook('release', { image, bakeSeconds: '5' });
      expect(outcome).toMatchObject({ is: 'partial', step: 'bake-zone' });
      const images = regionNames.flatMap((name) => running.lab.region(name).places.map((place) => place.image));
      expect(images).not.toContain(image);
      await until(() => {
        const recent = { requests: 0, atTheFirstTry: -1, ...running.clients() };
        return recent.requests === recent.atTheFirstTry;
      }, 20_000);
    },
    120_000,
  );

  it.runIf(longer)(
    'disaster-restore: both regions are lost, and all archived spend since the backup is booked once in the one that comes back',
    async () => {
      await makeKey('before-the-disaster');
      await running.takeBackups(AbortSignal.timeout(30_000));
      const clients = startClients();
      await until(() => clients.entries.length > 50, 20_000);
      await clients.stop();
      await onlyTheArchiveHas(clients);
      for (const region of ['a', 'b']) await askLab(file, 'kill', { region });
      const { outcome, events } = await runBook('disaster-restore');
      expect(outcome).toEqual(completed);
      await expectBookedOnce(clients, 'b');
      // Of processes that were killed the last minute is on their disks alone; of what is known nothing is lost.
      const { losses } = reportOf(buildBook('disaster-restore', labParameters('disaster-restore')), events);
      expect({ spendEventsLost: 0, ...losses }).toMatchObject({ spendEventsLost: 0, spendEventsDoubled: 0 });
      expect((await running.lab.claims.read(AbortSignal.timeout(5_000))).agreed).toMatchObject({
        writer: 'b',
        phase: 'held',
      });
      await until(() => {
        const recent = { dnsLeadsTo: '', requests: 0, atTheFirstTry: -1, ...running.clients() };
        return recent.dnsLeadsTo === 'b' && recent.requests > 20 && recent.requests === recent.atTheFirstTry;
      }, 30_000);
    },
    240_000,
  );
});
