/**
 * The right to write over real parts: two PostgreSQL, object stores, the gateways' own code on both sides, partitions. A
 * few histories here; `node test/faults/regions/explore.ts 200` for many.
 */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { makeRunTemplate, type RunOptions, type RunResult, run } from './run.ts';
import { scripts, ttlSecondsOf } from './scripts.ts';
import { naive } from './variants.ts';

let directory: string;
let template: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  template = await makeRunTemplate(`${directory}/template`, async (url) => void (await migrate(url)));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const patience = 300_000;

/** Each history waits most of its time; more at once would make them wait for each other. */
const atOnce = 3;
const waiting: (() => void)[] = [];
let running = 0;

async function history(options: Omit<RunOptions, 'directory' | 'template'>): Promise<RunResult> {
  if (running === atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await run({ directory, template, ...options });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

describe.concurrent('X1 X2 two regions', () => {
  it.each([1, 2])(
    'hold I1 to I6, whatever goes wrong in history %i',
    async (seed) => {
      // Long enough to be renewed in time on a busy machine.
      const { violations, acknowledged, did } = await history({ seed, ttlSeconds: 4 });
      expect(violations.slice(0, 5), did.join(', ')).toEqual([]);
      expect(acknowledged).toBeGreaterThan(10);
    },
    patience,
  );

  it.each([
    ['no lease', 'I2'],
    ['no second look', 'I2'],
    ['a row that does not name its writer', 'I1'],
    ['no lock on the row', 'I6'],
    ['forgets what is committed', 'I4'],
    ['forgets by the position in the log', 'I4'],
    ['counts again what it is sent again', 'I4'],
    ['no report before the rebuild', 'I5'],
    ['no wait before the promotion', 'I2'],
    ['an epoch that is counted up', 'stuck'],
  ] as const)(
    'would break with %s: %s',
    async (name, invariant) => {
      const { violations, did } = await history({
        seed: 100,
        buckets: 1,
        variant: naive[name],
        script: scripts[name],
        settleSeconds: name === 'an epoch that is counted up' ? 10 : 5,
        ttlSeconds: ttlSecondsOf[name] ?? 2,
      });
      const broken = new Set(violations.map((violation) => violation.split(' ')[0]?.replace(':', '')));
      expect([...broken], did.join(', ')).toContain(invariant);
    },
    patience,
  );
});
