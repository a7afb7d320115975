/**
 * Many seeded histories, and the chosen design under every script that breaks a naive one:
 * `node test/faults/regions/explore.ts [RUNS] [FIRST SEED] [AT ONCE] [LEASE SECONDS]`. Ends with 1 on a violation. On a machine
 * that is busy with other things the lease must be longer: one that cannot be renewed in time lets nobody write.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { makeRunTemplate, type RunOptions, run } from './run.ts';
import { scripts, ttlSecondsOf } from './scripts.ts';

const [runs = 200, first = 1, atOnce = 4, leaseSeconds = 2] = process.argv.slice(2).map(Number);
const directory = await mkdtemp(join(tmpdir(), 'holdfast-regions-'));
const template = await makeRunTemplate(join(directory, 'template'), async (url) => void (await migrate(url)));
const begun = performance.now();
const histories: { readonly name: string; readonly options: Partial<RunOptions> & { seed: number } }[] = [
  ...Object.entries(scripts).map(([name, script]) => {
    const ttlSeconds = Object.entries(ttlSecondsOf).find(([of]) => of === name)?.[1] ?? leaseSeconds;
    return { name: `against "${name}"`, options: { seed: 100, buckets: 1 as const, script, ttlSeconds } };
  }),
  ...Array.from({ length: runs }, (_, index) => ({
    name: `seed ${first + index}`,
    options: { seed: first + index, ttlSeconds: leaseSeconds },
  })),
];
let [done, failed, acknowledged, events, killed] = [0, 0, 0, 0, 0];

const attempts = 3;

/** What cannot be begun (a port that was taken meanwhile, a machine that is too busy) is begun anew; it shows nothing. */
async function attempt(options: Partial<RunOptions> & { seed: number }): Promise<Awaited<ReturnType<typeof run>>> {
  for (let count = 1; ; count++) {
    try {
      return await run({ directory, template, ...options });
    } catch (error) {
      if (count < attempts) continue;
      const because = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return {
        seed: options.seed,
        violations: [`it could not be done: ${because}`],
        acknowledged: 0,
        events: 0,
        did: [],
      };
    }
  }
}

async function work(): Promise<void> {
  for (let next = histories.shift(); next !== undefined; next = histories.shift()) {
    const result = await attempt(next.options);
    done++;
    if (done % 10 === 0) process.stdout.write(`${done} done\n`);
    acknowledged += result.acknowledged;
    events += result.events;
    killed += result.did.filter((what) => what === 'killed').length;
    if (result.violations.length === 0) continue;
    failed++;
    process.stdout.write(
      `${next.name}: ${result.did.join(', ')}, ${result.violations.length} violations\n${result.violations
        .slice(0, 5)
        .map((line) => `  ${line}\n`)
        .join('')}`,
    );
  }
}

await Promise.all(Array.from({ length: atOnce }, work));
await rm(directory, { recursive: true, force: true });
const all = runs + Object.keys(scripts).length;
const seconds = ((performance.now() - begun) / 1000).toFixed(0);
process.stdout.write(
  `${all - failed} of ${all} histories hold I1 to I6: ${acknowledged} changes acknowledged, ${events} spend events, ${killed} gateways killed, ${seconds} s\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
