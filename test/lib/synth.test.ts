import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { regionalStackKinds } from '../../lib/platform/names.ts';
import { reviewWidth } from '../../lib/review/wrap.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Runs a command without a network and with nothing in its environment but the path. */
const isolated = (...command: string[]) =>
  run('env', ['-i', `PATH=${process.env['PATH']}`, 'unshare', '-n', ...command], { cwd: root });

const canIsolate = spawnSync('unshare', ['-n', 'true']).status === 0;

test.skipIf(!canIsolate)(
  'npm run synth needs no network, credentials or environment, and leaves an assembly that the CDK command line reads',
  { timeout: 120_000 },
  async () => {
    // Time of the processor, which a busy machine does not stretch.
    const { stdout, stderr } = await isolated('sh', '-c', 'npm run --silent synth && times >&2');
    const times = [...stderr.matchAll(/(\d+)m([\d.]+)s/g)].map(
      ([, minutes, seconds]) => 60 * Number(minutes) + Number(seconds),
    );
    // User and system time of the shell, then of what it started.
    const [, , user = Number.NaN, system = Number.NaN] = times;
    expect(user + system).toBeGreaterThan(0);
    expect(user + system).toBeLessThan(20);
    expect(stdout).toContain('Rules: 0 errors, 0 warnings');
    expect(stdout).toContain('Deploy, in this order');
    expect(stdout.split('\n').filter((line) => line.length > reviewWidth)).toEqual([]);
    expect(stdout, 'no colour where nobody sees it').not.toContain('\u001B');
    for (const { region } of shipped.regions) {
      expect(readdirSync(`${root}dist/k8s/${region}`).length).toBeGreaterThan(0);
    }
    expect(existsSync(`${root}cdk.out/review.md`)).toBe(true);

    const { stdout: listed } = await isolated(`${root}node_modules/.bin/cdk`, 'ls', '--app', 'cdk.out');
    expect(listed.trim().split('\n')).toHaveLength(1 + regionalStackKinds.length * shipped.regions.length);
  },
);
