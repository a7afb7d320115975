/** What the command line says when journals are broken, away, or somebody else's. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { resumeRun, runBook } from '../../../bin/runbook/perform.ts';
import { reportRun } from '../../../bin/runbook/report.ts';
import { listBooks } from '../../../bin/runbook/show.ts';
import { FileJournals } from '../../../runbooks/engine/file-journal.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';

const options = { world: 'lab', poll: 1, confirm: ['b'] } as const;

async function onDisk(world = new SimulatedWorld()): Promise<{ readonly host: FakeHost; readonly folder: string }> {
  const folder = await temporaryDirectory();
  return { host: fakeHost({ world, journals: new FileJournals(folder) }), folder };
}

const runs = async ({ journals }: FakeHost): Promise<string> => (await journals.runs())[0] ?? 'none';

it('a journal with half an event in it is named with its event, is not trusted, and hides no other run', async () => {
  const { host, folder } = await onDisk();
  expect(await runBook(host, 'region-switchover', [], options)).toBe(0);
  const sound = await runs(host);
  await mkdir(join(folder, 'r-broken'));
  await writeFile(join(folder, 'r-broken', '000001.json'), '{"is":"run-sta');
  const again = fakeHost({ world: new SimulatedWorld(), journals: host.journals });
  expect(await resumeRun(again, 'r-broken', options)).toBe(4);
  expect(again.output()).toContain('Event 1 of the journal cannot be read');
  expect(await listBooks(again, { runs: true })).toBe(0);
  expect(again.output()).toContain('r-broken in memory cannot be read');
  expect(again.output()).toContain(`  ${sound}  region-switchover`);
});

it('a journal that goes away in the middle ends the run with 4, before another act, and says all ways on', async () => {
  const world = new SimulatedWorld();
  const { host, folder } = await onDisk(world);
  const { takeOver } = world.traffic;
  world.traffic.takeOver = async (...given) => {
    await takeOver(...given);
    const run = await runs(host);
    await rename(join(folder, run), join(folder, `${run}-aside`));
    await writeFile(join(folder, run), 'the disk is gone');
  };
  expect(await runBook(host, 'region-failover', [], options)).toBe(4);
  for (const said of ['The journal cannot be written', 'runbook resume r-', '--journal ANOTHER-PLACE']) {
    expect(host.output()).toContain(said);
  }
  expect(world.database('b').promotions).toBe(0);
});

it('a journal that cannot be begun ends with 3: nothing was changed', async () => {
  const world = new SimulatedWorld();
  const file = join(await temporaryDirectory(), 'file');
  await writeFile(file, '');
  const host = fakeHost({ world, journals: new FileJournals(file) });
  expect(await runBook(host, 'region-failover', [], options)).toBe(3);
  expect(world.takeovers.size).toBe(0);
});

it('who resumes a run whose end nobody wrote is told who was at it, and that it is theirs now', async () => {
  const { host } = await onDisk();
  const stuck = { ...host, clock: { ...host.clock, sleep: () => Promise.reject(new Error('killed')) } };
  expect(await runBook(stuck, 'region-failover', [], options)).toBe(1);
  const bob = fakeHost({ world: new SimulatedWorld(), journals: host.journals, operator: 'bob@phone' });
  await resumeRun(bob, await runs(host), options);
  expect(bob.output()).toMatch(/alice@desk was at this run \d+ s ago \(".+"\)/);
  expect(await reportRun(bob, await runs(host), { format: 'md' })).toBe(0);
  expect(bob.output()).toContain('alice@desk, bob@phone');
});
