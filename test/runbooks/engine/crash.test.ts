import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { bookOf, Crash, CrashingJournal, EffectWorld, effectStep, optionsFor } from './world.ts';

const steps = ['first', 'second', 'third', 'fourth'];

async function untilItEnds(attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
}

it('killed at any write, before or after it lands, and resumed: the same end, each act once', async () => {
  const whole = new MemoryJournal();
  const book = bookOf(...steps.map((id, index) => effectStep(id, index)));
  await run(optionsFor(book, new EffectWorld(), { journal: whole }));
  const writes = (await whole.read()).length;
  expect(writes).toBe(2 + steps.length * 3);
  for (let position = 0; position < writes; position++) {
    for (const when of ['before', 'after'] as const) {
      const world = new EffectWorld();
      const journal = new MemoryJournal();
      const crashing = new CrashingJournal(journal, position, when);
      await untilItEnds(() => run(optionsFor(book, world, { journal: crashing })));
      const outcome = await run(optionsFor(book, world, { journal, operator: 'bob' }));
      expect(outcome, `${when} write ${position + 1}`).toEqual({ is: 'completed' });
      expect([...world.acts], `${when} write ${position + 1}`).toEqual(steps.map((id) => [id, 1]));
    }
  }
});

it('any book, killed any number of times anywhere while it runs and while it is taken back: nothing is left, nothing done twice', async () => {
  const kill = fc.record({ position: fc.nat(25), when: fc.constantFrom('before' as const, 'after' as const) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }),
      fc.array(kill, { maxLength: 4 }),
      fc.array(kill, { maxLength: 4 }),
      async (delays, kills, killsOfUndo) => {
        const world = new EffectWorld();
        const journal = new MemoryJournal();
        const book = bookOf(...delays.map((delay, index) => effectStep(`step-${index}`, delay)));
        for (const { position, when } of kills) {
          const crashing = new CrashingJournal(journal, position, when);
          await untilItEnds(() => run(optionsFor(book, world, { journal: crashing })));
        }
        expect(await run(optionsFor(book, world, { journal }))).toEqual({ is: 'completed' });
        expect([...world.acts.values()]).toEqual(delays.map(() => 1));
        for (const { position, when } of killsOfUndo) {
          const crashing = new CrashingJournal(journal, position, when);
          await untilItEnds(() => undo(optionsFor(book, world, { journal: crashing })));
        }
        expect(await undo(optionsFor(book, world, { journal }))).toMatchObject({ is: 'completed' });
        expect(world.done).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
