/** Many seeded histories: `node test/faults/regions/explore.ts [RUNS] [FIRST SEED] [AT ONCE]`. Ends with 1 on a violation. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { makeRunTemplate, run } from './run.ts';

const [runs = 200, first = 1, atOnce = 4] = process.argv.slice(2).map(Number);
const directory = await mkdtemp(join(tmpdir(), 'holdfast-regions-'));
const template = await makeRunTemplate(join(directory, 'template'), async (url) => void (await migrate(url)));
const begun = performance.now();
let next = first;
let [failed, acknowledged, events] = [0, 0, 0];

async function work(): Promise<void> {
  for (let seed = next++; seed < first + runs; seed = next++) {
    const result = await run({ directory, template, seed }).catch((error: unknown) => ({
      violations: [
        `the run could not be done: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      ],
      acknowledged: 0,
      events: 0,
      did: [],
    }));
    acknowledged += result.acknowledged;
    events += result.events;
    if (result.violations.length === 0) continue;
    failed++;
    process.stdout.write(
      `seed ${seed}: ${result.did.join(', ')}, ${result.violations.length} violations\n${result.violations
        .slice(0, 5)
        .map((line) => `  ${line}\n`)
        .join('')}`,
    );
  }
}

await Promise.all(Array.from({ length: atOnce }, work));
await rm(directory, { recursive: true, force: true });
const seconds = ((performance.now() - begun) / 1000).toFixed(0);
process.stdout.write(
  `${runs - failed} of ${runs} histories hold I1 to I6: ${acknowledged} changes acknowledged, ${events} spend events, ${seconds} s\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
