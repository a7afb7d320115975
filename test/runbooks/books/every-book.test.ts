import { describe, expect, it } from 'vitest';
import { typedParameters } from '../../../runbooks/books/registry.ts';
import type { World } from '../../../runbooks/books/world.ts';
import { runbookTitles } from '../../../runbooks/catalog.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { rehearse } from '../../../runbooks/engine/rehearse.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { faultsOf } from '../../../runbooks/engine/step.ts';
import { Crash, CrashingJournal, optionsFor } from '../engine/world.ts';
import { type BookCase, everyBook } from './every-book.ts';
import type { SimulatedWorld } from './simulated-world.ts';

const options = ({ book }: BookCase, world: SimulatedWorld, more: Partial<RunOptions<World>> = {}) =>
  optionsFor<World>(book, world, { confirm: async (_, expected) => expected, ...more });

it('every book of the catalog is tested here', () => {
  expect([...new Set(everyBook.map(({ id }) => id))].toSorted()).toEqual(Object.keys(runbookTitles).toSorted());
});

const named = everyBook.map((one) => [`${one.id} ${typedParameters(one.parameters).join(' ')}`, one] as const);

describe.each(named)('%s', (_, one) => {
  it('is a whole runbook, and its last step verifies', () => {
    expect(faultsOf(one.book)).toEqual([]);
    expect(one.book.id).toBe(one.id);
    expect(one.book.steps.at(-1)?.id).toMatch(/verify$/);
  });

  it('runs to its end, acting once for each effect', async () => {
    const world = one.world();
    expect(await run(options(one, world))).toEqual({ is: 'completed' });
    expect([...world.acts].filter(([, times]) => times > 1)).toEqual([]);
  });

  it('rehearsed changes nothing', async () => {
    const world = one.world();
    const before = JSON.stringify(world.state);
    await rehearse<World>(one.book, world, new AbortController().signal);
    expect(JSON.stringify(world.state)).toBe(before);
    expect(world.waits).toEqual([]);
  });

  it('killed at any write of its journal, before or after it lands, and resumed by another operator, ends alike', async () => {
    const whole = new MemoryJournal();
    const undisturbed = one.world();
    await run(options(one, undisturbed, { journal: whole }));
    const writes = (await whole.read()).length;
    expect(writes).toBeGreaterThan(one.book.steps.length);
    for (let position = 0; position < writes; position++) {
      for (const when of ['before', 'after'] as const) {
        const world = one.world();
        const journal = new MemoryJournal();
        const killed = run(options(one, world, { journal: new CrashingJournal(journal, position, when) }));
        await expect(killed, `${when} write ${position + 1}`).rejects.toThrow(Crash);
        const outcome = await run(options(one, world, { journal, operator: 'bob' }));
        expect(outcome, `${when} write ${position + 1}`).toEqual({ is: 'completed' });
        expect(world.state, `${when} write ${position + 1}`).toEqual(undisturbed.state);
      }
    }
  });
});
