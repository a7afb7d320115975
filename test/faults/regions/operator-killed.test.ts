/**
 * An operator's command is killed with SIGKILL in the middle of a failover, and another one goes on with the run.
 *
 *     HOLDFAST_KILL_AT=all npm test -- test/faults/regions/operator-killed     # at every step, one lab each
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { bookArchives } from '../../../bin/runbook/archived-spend.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { FileJournals } from '../../../runbooks/engine/file-journal.ts';
import type { JournalEvent } from '../../../runbooks/engine/journal.ts';
import { openLabControl } from '../../../runbooks/lab/lab-control.ts';
import { labPlaceFile, startRunningLab } from '../../../runbooks/lab/running-lab.ts';
import { makeTemplate } from '../../../runbooks/lab/two-regions.ts';
import { until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Steps of region-failover that act, in a lab whose standby is large enough. */
const steps = ['traffic', 'seize', 'wait', 'promote', 'raise', 'open'] as const;
type Wound = `${(typeof steps)[number]} ${'acting' | 'acted' | 'verified'}`;
const wounds: readonly Wound[] = steps.flatMap((step) =>
  (['acting', 'acted', 'verified'] as const).map((is): Wound => `${step} ${is}`),
);
/** Between the promotion and the row: the database writes already, and nobody may. */
const inCi: readonly Wound[] = ['promote acted'];
const chosen = process.env['HOLDFAST_KILL_AT'];
const picked = chosen === 'all' ? wounds : chosen === undefined ? inCi : wounds.filter((wound) => wound === chosen);

const holdfast = fileURLToPath(new URL('../../../bin/holdfast.ts', import.meta.url));
let template: string;

beforeAll(async () => {
  const directory = await temporaryDirectory();
  template = await makeTemplate(directory, async (url) => void (await migrate(url)));
}, 60_000);

it.each(picked)(
  'an operator killed at "%s" is followed by another: each act happens once, and the standby writes',
  async (wound) => {
    const [step = '', is = ''] = wound.split(' ');
    const directory = await temporaryDirectory();
    const running = await startRunningLab({
      directory: join(directory, 'lab'),
      template,
      gateways: 1,
      requestsPerSecond: 0,
      ttlSeconds: 2,
      parts: {},
      bookArchives,
    });
    const { lab } = running;
    const control = await openLabControl(running, labPlaceFile(directory));
    onTestFinished(async () => {
      await control.close();
      await running.stop();
    });
    const journals = join(directory, 'runs');
    const operator = (...words: string[]) => {
      const args = [holdfast, 'runbook', ...words, '--journal', journals, '--confirm', 'b', '--poll', '0.1'];
      const env = { ...process.env, HOLDFAST_LAB: directory };
      const child = spawn(process.execPath, args, { stdio: 'pipe', env });
      onTestFinished(() => void child.kill('SIGKILL'));
      return child;
    };
    await lab.region('a').kill();

    const first = operator('run', 'region-failover', '--world', 'lab');
    const gone = once(first, 'exit');
    let runId = '';
    await until(async () => (runId = (await new FileJournals(journals).runs())[0] ?? '') !== '', 30_000);
    const journal = new FileJournals(journals).of(runId);
    const isThere = (event: JournalEvent): boolean => event.is === is && 'step' in event && event.step === step;
    await until(async () => (await journal.read()).some(isThere), 30_000);
    first.kill('SIGKILL');
    expect(await gone).toEqual([null, 'SIGKILL']);

    const second = operator('resume', runId);
    let output = '';
    for (const stream of [second.stdout, second.stderr]) stream.on('data', (text) => (output += String(text)));
    const [code] = await once(second, 'exit');
    expect(output).toContain('The run is complete.');
    expect(code).toBe(0);

    const events = await journal.read();
    expect(events.at(-1)?.is).toBe('run-completed');
    expect(events.some((event) => event.is === 'run-resumed')).toBe(true);
    const { newest } = await lab.claims.read(AbortSignal.timeout(5_000));
    expect(newest).toMatchObject({ epoch: 2, writer: 'b', phase: 'held' });
    expect(lab.epochs.map(({ epoch, writer }) => `${epoch} ${writer}`)).toEqual(['1 a', '2 b']);
    expect(await lab.region('b').operator.view(AbortSignal.timeout(5_000))).toMatchObject({
      role: 'primary',
      row: { epoch: 2, writer: 'b', state: 'open' },
    });
    // An act that was seen to stand is never asked for again; only time must pass again in the new process.
    const standing = new Set<string>();
    for (const event of events) {
      if (event.is === 'acting' && event.step !== 'wait') expect([...standing]).not.toContain(event.step);
      if (event.is === 'verified' || event.is === 'found-done') standing.add(event.step);
    }
  },
  120_000,
);
