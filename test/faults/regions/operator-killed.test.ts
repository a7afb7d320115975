/**
 * An operator's process is killed with SIGKILL in the middle of a failover, and another operator goes on with the run.
 *
 *     HOLDFAST_KILL_AT=all npm run test:faults -- operator-killed     # at every step, one lab each
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { FileJournals } from '../../../runbooks/engine/file-journal.ts';
import type { JournalEvent } from '../../../runbooks/engine/journal.ts';
import type { LabMap } from '../../../runbooks/lab/operator-world.ts';
import { labMasterKey, makeTemplate, regionNames, startTwoRegions } from '../../../runbooks/lab/two-regions.ts';
import { startUpstream } from '../../../runbooks/lab/upstream.ts';
import { configFor } from '../../support/gateway.ts';
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

const operatorFile = fileURLToPath(new URL('../../../runbooks/lab/operator-process.ts', import.meta.url));
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
    const upstream = await startUpstream({ name: 'the upstream' });
    const lab = await startTwoRegions({ directory, template, ttlSeconds: 2, config: configFor([upstream.url]) });
    onTestFinished(async () => {
      await lab.stop();
      await upstream.close();
    });
    const map: LabMap = {
      stores: lab.stores.map(({ url }) => url),
      regions: Object.fromEntries(
        regionNames.map((name) => {
          const { operatorUrl, gateways } = lab.region(name);
          return [name, { operatorUrl, gateways: gateways.map(({ url }) => url) }];
        }),
      ),
      key: labMasterKey,
      model: 'chat',
    };
    const mapFile = join(directory, 'lab.json');
    await writeFile(mapFile, JSON.stringify(map), { mode: 0o600 });
    const journals = join(directory, 'runs');
    const journal = new FileJournals(journals).of('run-1');
    const operator = (name: string) => {
      const child = spawn(process.execPath, [operatorFile, mapFile, journals, 'run-1', name], { stdio: 'pipe' });
      onTestFinished(() => void child.kill('SIGKILL'));
      return child;
    };
    lab.region('a').database.kill('SIGKILL');
    for (const gateway of lab.region('a').gateways) gateway.kill('SIGKILL');

    const first = operator('the first');
    const gone = once(first, 'exit');
    const isThere = (event: JournalEvent): boolean => event.is === is && 'step' in event && event.step === step;
    await until(async () => (await journal.read()).some(isThere), 30_000);
    first.kill('SIGKILL');
    expect(await gone).toEqual([null, 'SIGKILL']);

    const second = operator('the second');
    let output = '';
    for (const stream of [second.stdout, second.stderr]) stream.on('data', (text) => (output += String(text)));
    const [code] = await once(second, 'exit');
    expect(output).toContain('completed');
    expect(code).toBe(0);

    const events = await journal.read();
    expect(events.at(-1)?.is).toBe('run-completed');
    expect(events.some((event) => event.is === 'run-resumed' && event.operator === 'the second')).toBe(true);
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
