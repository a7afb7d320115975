/** `holdfast region ready --watch`: what it logs, the pages that a pod is probed by, and command lines that cannot work. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Published } from '../../../bin/region/published.ts';
import { regionReady } from '../../../bin/region/ready.ts';
import platform from '../../../holdfast.config.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import type { ReadyCheck } from '../../../runbooks/region/ready.ts';
import { verdictChanges, verdictLine } from '../../../runbooks/region/verdict.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { fakeHost } from './fake-host.ts';

const lag = (note: string, is: ReadyCheck['is'] = 'failed'): ReadyCheck => ({ check: 'lag', is, note });
const at = new Date(1_700_000_000_000);

describe('the log of a watch', () => {
  it('has a line for each change of the verdict or of its reasons, and none for what was measured anew', () => {
    const looks = [
      [[lag('1 s', 'ok')], undefined],
      [[lag('900 s')], undefined],
      [[lag('901 s')], undefined],
      [[lag('it does not say', 'unknown')], undefined],
      [[lag('2 s', 'ok')], undefined],
      [undefined, 'west'],
      [undefined, 'west'],
    ] as const;
    let verdicts: ReadonlyMap<string, string> = new Map();
    const said = looks.map(([checks, writes]) => {
      const results = checks === undefined ? [] : [{ region: 'west', checks }];
      const next = verdictChanges(verdicts, results, writes);
      verdicts = next.verdicts;
      return next.changes.map(({ is }) => is);
    });
    expect(said).toEqual([['ready'], ['not-ready'], [], ['not-ready'], ['ready'], ['writes'], []]);
  });

  it('is JSON that says when, which region, how bad, and what was found', () => {
    const change = { region: 'west', is: 'not-ready', doubts: [lag('900 s')] } as const;
    expect(JSON.parse(verdictLine(change, at))).toEqual({
      level: 'warn',
      time: at.getTime(),
      region: 'west',
      is: 'not-ready',
      doubts: [{ check: 'lag', is: 'failed', note: '900 s' }],
      msg: 'west could not take over: lag',
    });
  });
});

it('is healthy while looks end, also before the first; it has metrics after the first, which name whom it looked at', async () => {
  const host = fakeHost({ world: new SimulatedWorld() });
  let nowMs = 0;
  const port = await freePort();
  const put: unknown[] = [];
  const published = new Published(
    { ...host, clock: { ...host.clock, now: () => nowMs, date: () => at } },
    { longestLookMs: 60_000, publishReadiness: async (results) => void put.push(results) },
    { world: 'aws', watch: 60, listen: port, inCluster: 'west', cloudwatch: true },
  );
  await published.open();
  onTestFinished(() => published.close());
  const read = async (path: string): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return [answer.status, await answer.text()];
  };
  expect((await read('/health'))[0]).toBe(200);
  expect((await read('/metrics'))[0]).toBe(404);
  nowMs = 239_000;
  expect((await read('/health'))[0]).toBe(200);
  nowMs = 241_000;
  expect(await read('/health')).toEqual([503, 'no look has ended for 241 s\n']);
  await published.publish({ results: [], writes: 'west' });
  expect((await read('/health'))[0]).toBe(200);
  const [status, metrics] = await read('/metrics');
  expect(status).toBe(200);
  expect(metrics).toContain('holdfast_region_ready_checked_timestamp_seconds{region="west"} 1700000000');
  expect(metrics).not.toContain('holdfast_region_ready{');
  // Its alarm hears that somebody looks, and that nothing is wrong with a region that writes.
  expect(put).toEqual([[{ region: 'west', checks: [] }]]);
  expect(host.output()).toContain('west writes: it has nothing to take over');
});

describe('a command line that cannot work is refused with its mend:', () => {
  const refusal = async (given: Partial<Parameters<typeof regionReady>[1]>): Promise<string> => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const host = fakeHost({ world: new SimulatedWorld() });
    expect(await regionReady(host, { world: 'aws', ...given })).toBe(2);
    return host.output();
  };

  it('outside of a pod, in the lab, for a region that there is not, with a file that is none', async () => {
    const file = join(await temporaryDirectory(), 'platform.json');
    await writeFile(file, JSON.stringify({ ...platform, regions: 'none' }));
    expect(await refusal({ inCluster: 'us-west-2' })).toContain('KUBERNETES_SERVICE_HOST is not set');
    expect(await refusal({ inCluster: 'b', world: 'lab' })).toContain('only in the world aws');
    expect(await refusal({ inCluster: 'mars' })).toContain('only us-east-1, us-west-2, eu-west-1');
    expect(await refusal({ platform: file })).toContain('only with --in-cluster');
    expect(await refusal({ inCluster: 'us-west-2', platform: file })).toMatch(
      /platform\.json cannot be used: [^]*regions: /,
    );
    expect(await refusal({ inCluster: 'us-west-2', platform: `${file}.none` })).toContain('ENOENT');
  });
});
