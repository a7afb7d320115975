import { describe, expect, it } from 'vitest';
import { runHistories } from './run.ts';
import { brokenVariants } from './variants.ts';

/**
 * A history that failed once goes on failing: the seeds are fixed. Any number, variant and seed:
 * `node test/gateway/admission/simulation/run.ts HISTORIES VARIANT SEED`.
 */
const histories = 100_000;
/** Enough for each wrong variant to be caught many times over. */
const brokenHistories = 500;

it(`no budget is exceeded, no cost is lost or doubled and nothing stays set aside in ${histories} random histories`, {
  timeout: 120_000,
}, () => {
  const { failing, first, tally } = runHistories(histories, 'protocol', 1);
  expect(first).toBeUndefined();
  expect(failing).toBe(0);
  // Guards the simulation: histories in which nothing happens would prove nothing.
  expect(tally.requests).toBeGreaterThan(histories * 30);
  expect(tally.refused).toBeGreaterThan(histories * 30);
  expect(tally.crashes).toBeGreaterThan(histories);
  expect(tally.promotions).toBeGreaterThan(histories / 20);
});

describe('the simulation catches', () => {
  it.each(brokenVariants)('%s', (variant) => {
    const { failing } = runHistories(brokenHistories, variant, 1);
    expect(failing).toBeGreaterThan(5);
  });
});
