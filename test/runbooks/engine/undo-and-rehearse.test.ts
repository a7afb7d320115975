import { describe, expect, it } from 'vitest';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { rehearse } from '../../../runbooks/engine/rehearse.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { bookOf, EffectWorld, effectStep, optionsFor } from './world.ts';

const never = new AbortController().signal;

describe('taking a run back', () => {
  it('goes from the newest step to the oldest, and leaves what the run had only found', async () => {
    const world = new EffectWorld();
    world.act('found', 0);
    const journal = new MemoryJournal();
    const book = bookOf(effectStep('found'), effectStep('one'), effectStep('two'));
    await run(optionsFor(book, world, { journal }));
    expect(await undo(optionsFor(book, world, { journal }))).toEqual({ is: 'completed', undone: ['two', 'one'] });
    expect(world.done).toEqual(['found']);
  });

  it('stops at a step that cannot be taken back, and says why', async () => {
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    const promote = effectStep('promote', 1, { undo: { irreversible: 'a promoted replica cannot be demoted' } });
    const book = bookOf(effectStep('one'), promote, effectStep('two'));
    await run(optionsFor(book, world, { journal }));
    expect(await undo(optionsFor(book, world, { journal }))).toEqual({
      is: 'partial',
      step: 'promote',
      because: 'it cannot be taken back: a promoted replica cannot be demoted',
    });
    expect(world.done).toEqual(['one', 'promote']);
  });

  it('is not done before the effect is seen to be gone', async () => {
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    const book = bookOf(effectStep('one', 0, { undo: async () => undefined, patienceSeconds: 5 }));
    await run(optionsFor(book, world, { journal }));
    expect(await undo(optionsFor(book, world, { journal }))).toMatchObject({
      is: 'partial',
      because: expect.stringContaining('its effect is still there'),
    });
  });

  it('can be followed by the run again, which does everything again', async () => {
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    const book = bookOf(effectStep('one'), effectStep('two'));
    await run(optionsFor(book, world, { journal }));
    await undo(optionsFor(book, world, { journal }));
    expect(await run(optionsFor(book, world, { journal }))).toEqual({ is: 'completed' });
    expect([...world.acts.values()]).toEqual([2, 2]);
  });
});

describe('a rehearsal', () => {
  it('changes nothing and says what each step would find', async () => {
    const world = new EffectWorld();
    world.act('one', 0);
    const acts = new Map(world.acts);
    const later = effectStep('three', 1, {
      check: async (_, { facts }) => ({ is: 'done', facts: { ...facts('two') } }),
    });
    const { steps, wouldBegin } = await rehearse(bookOf(effectStep('one'), effectStep('two'), later), world, never);
    expect(steps.map(({ verdict }) => verdict.is)).toEqual(['done', 'ready', 'later']);
    expect(wouldBegin).toBe(true);
    expect(world.acts).toEqual(acts);
  });

  it('says that a run would not begin when a precondition of any step does not hold', async () => {
    const precondition = async () => ({ is: 'blocked', because: 'no quota' }) as const;
    const book = bookOf(effectStep('one'), effectStep('two', 1, { precondition }));
    const { wouldBegin, steps } = await rehearse(book, new EffectWorld(), never);
    expect(wouldBegin).toBe(false);
    expect(steps[1]?.precondition).toEqual({ is: 'blocked', because: 'no quota' });
  });
});
