import { describe, expect, it } from 'vitest';
import { MemoryJournal, PositionTaken } from '../../../runbooks/engine/journal.ts';
import { exitCodes, run } from '../../../runbooks/engine/run.ts';
import type { StepContext, Verdict } from '../../../runbooks/engine/step.ts';
import { bookOf, EffectWorld, effectStep, optionsFor } from './world.ts';

const kinds = async (journal: MemoryJournal): Promise<string[]> => (await journal.read()).map(({ is }) => is);

describe('a run', () => {
  it('acts once on each step, in order, and writes each act down before it and after it', async () => {
    const world = new EffectWorld();
    const options = optionsFor(bookOf(effectStep('one'), effectStep('two', 3)), world);
    expect(await run(options)).toEqual({ is: 'completed' });
    expect([...world.acts]).toEqual([
      ['one', 1],
      ['two', 1],
    ]);
    const step = ['acting', 'acted', 'verified'];
    expect((await options.journal.read()).map(({ is }) => is)).toEqual([
      'run-started',
      ...step,
      ...step,
      'run-completed',
    ]);
  });

  it('leaves alone what stands already', async () => {
    const world = new EffectWorld();
    world.act('one', 0);
    const journal = new MemoryJournal();
    await run(optionsFor(bookOf(effectStep('one')), world, { journal }));
    expect(world.acts.get('one')).toBe(1);
    expect(await kinds(journal)).toEqual(['run-started', 'found-done', 'run-completed']);
  });

  it("waits for what is under way and does not act on it: somebody else's promotion is not done twice", async () => {
    const world = new EffectWorld();
    world.act('one', 5);
    const notes: string[] = [];
    const onWaiting = (_: unknown, note: string): number => notes.push(note);
    expect(await run(optionsFor(bookOf(effectStep('one')), world, { onWaiting }))).toEqual({ is: 'completed' });
    expect(world.acts.get('one')).toBe(1);
    expect(notes).toHaveLength(5);
  });

  it('that is blocked before any act has changed nothing (exit code 3); after an act it can be resumed (4)', async () => {
    const blocked: Verdict = { is: 'blocked', because: 'lag is 900 s', fix: 'wait for the replica' };
    const first = await run(
      optionsFor(bookOf(effectStep('one', 0, { check: async () => blocked })), new EffectWorld()),
    );
    expect(first).toEqual({ is: 'refused', step: 'one', because: 'lag is 900 s', fix: 'wait for the replica' });
    const world = new EffectWorld();
    const later = await run(
      optionsFor(bookOf(effectStep('one'), effectStep('two', 0, { check: async () => blocked })), world),
    );
    expect(later).toMatchObject({ is: 'partial', step: 'two' });
    expect([exitCodes[first.is], exitCodes[later.is]]).toEqual([3, 4]);
  });

  it('finds what would stop a later step before the first one acts, and writes nothing then', async () => {
    const world = new EffectWorld();
    const precondition = async (): Promise<Verdict> => ({ is: 'blocked', because: 'no permission to promote' });
    const journal = new MemoryJournal();
    const outcome = await run(
      optionsFor(bookOf(effectStep('one'), effectStep('two', 1, { precondition })), world, { journal }),
    );
    expect(outcome).toEqual({ is: 'refused', step: 'two', because: 'no permission to promote' });
    expect(world.acts.size).toBe(0);
    expect(await journal.read()).toEqual([]);
  });

  it('whose effect does not come in time says what it waited for (exit code 5)', async () => {
    const options = optionsFor(bookOf(effectStep('one', 1_000, { patienceSeconds: 10 })), new EffectWorld());
    const outcome = await run(options);
    expect(outcome).toMatchObject({ is: 'timed-out', step: 'one' });
    expect(outcome).toMatchObject({ waitedFor: expect.stringContaining('looks left') });
    expect(exitCodes[outcome.is]).toBe(5);
  });

  it('tells who waits what a long act is at; when the patience ends, that is what it waited for', async () => {
    const told: (readonly [note: string, remainingSeconds: number])[] = [];
    const act = async (_: EffectWorld, { progress }: StepContext): Promise<void> => {
      progress('half is copied');
      await new Promise(() => undefined);
    };
    const onWaiting = (_: unknown, note: string, remaining: number): void => void told.push([note, remaining]);
    const book = bookOf(effectStep('one', 1, { act, patienceSeconds: 0.05 }));
    expect(await run(optionsFor(book, new EffectWorld(), { onWaiting }))).toEqual({
      is: 'timed-out',
      step: 'one',
      waitedFor: 'half is copied',
    });
    expect(told).toEqual([['half is copied', 1]]);
  });

  it('ends with its patience also when a look never returns and ignores its signal', async () => {
    const check = (): Promise<Verdict> => new Promise(() => undefined);
    const outcome = await run(
      optionsFor(bookOf(effectStep('one', 1, { check, patienceSeconds: 0.05 })), new EffectWorld()),
    );
    expect(outcome).toMatchObject({ is: 'timed-out', step: 'one' });
  });

  it('takes a look that fails as "not seen yet": a throttled API does not end a recovery', async () => {
    const world = new EffectWorld();
    let looks = 0;
    const check = async (): Promise<Verdict> => {
      if (++looks < 4) throw new Error('Rate exceeded');
      return world.look('one');
    };
    expect(await run(optionsFor(bookOf(effectStep('one', 1, { check })), world))).toEqual({ is: 'completed' });
    expect(world.acts.get('one')).toBe(1);
  });

  it('whose act fails keeps the reason and goes on where it stood', async () => {
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    let broken = true;
    const act = async (): Promise<void> => {
      if (broken) throw new Error('AccessDenied');
      world.act('two', 0);
    };
    const book = bookOf(effectStep('one'), effectStep('two', 1, { act }));
    expect(await run(optionsFor(book, world, { journal }))).toEqual({
      is: 'partial',
      step: 'two',
      because: 'AccessDenied',
    });
    broken = false;
    expect(await run(optionsFor(book, world, { journal, operator: 'bob' }))).toEqual({ is: 'completed' });
    expect([...world.acts.values()]).toEqual([1, 1]);
  });

  it('acts on a dangerous step only after its name was typed', async () => {
    const world = new EffectWorld();
    const book = bookOf(effectStep('one', 1, { confirm: 'eu-west-1' }));
    const typed = (text: string) => optionsFor(book, world, { confirm: async () => text });
    expect(await run(typed('yes'))).toMatchObject({ is: 'refused', because: '"eu-west-1" was not typed' });
    expect(world.acts.size).toBe(0);
    expect(await run(typed('eu-west-1'))).toEqual({ is: 'completed' });
  });

  it('hands what a step found on to later steps, also after a resume', async () => {
    const world = new EffectWorld();
    const seen: unknown[] = [];
    const fails = { act: async () => Promise.reject(new Error('not now')) };
    const uses = {
      act: async (_: EffectWorld, { facts }: { facts: (id: string) => unknown }) => {
        seen.push(facts('one'));
        world.act('two', 0);
      },
    };
    const journal = new MemoryJournal();
    await run(optionsFor(bookOf(effectStep('one'), effectStep('two', 1, fails)), world, { journal }));
    await run(optionsFor(bookOf(effectStep('one'), effectStep('two', 1, uses)), world, { journal }));
    expect(seen).toEqual([{ seen: 'one' }]);
  });

  it('that the operator stops can be resumed', async () => {
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    const stop = new AbortController();
    const book = bookOf(effectStep('one', 5), effectStep('two'));
    const onWaiting = (): void => stop.abort(new Error('interrupted by the operator'));
    const stopped = await run(optionsFor(book, world, { journal, signal: stop.signal, onWaiting }));
    expect(stopped).toEqual({ is: 'partial', step: 'one', because: 'interrupted by the operator' });
    expect(await run(optionsFor(book, world, { journal }))).toEqual({ is: 'completed' });
    expect([...world.acts.values()]).toEqual([1, 1]);
  });

  it('that another process went on with stops at its next write', async () => {
    const journal = new MemoryJournal();
    const world = new EffectWorld();
    const book = bookOf(effectStep('one'), effectStep('two'));
    let taken = false;
    const onEvent = (): void => {
      if (taken) return;
      taken = true;
      void journal.append(1, {
        is: 'run-resumed',
        operator: 'bob',
        at: new Date(0).toISOString(),
        session: 's',
        monotonicMs: 0,
      });
    };
    await expect(run(optionsFor(book, world, { journal, onEvent }))).rejects.toThrow(PositionTaken);
    expect(world.acts.size).toBe(0);
  });

  it('does a wait again when the process that waited is gone, but not once what it waited for was done', async () => {
    let waits = 0;
    const wait = effectStep('wait', 0, {
      repeatedOnResume: true,
      check: async () => ({ is: 'ready' }),
      act: async () => {
        waits++;
      },
      verify: async () => ({ is: 'done' }),
    });
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    let broken = true;
    const act = async (): Promise<void> => {
      if (broken) throw new Error('not now');
      world.act('two', 0);
    };
    const book = bookOf(
      wait,
      effectStep('two', 1, { act }),
      effectStep('three', 0, { check: async () => ({ is: 'blocked', because: 'no' }) }),
    );
    await run(optionsFor(book, world, { journal }));
    expect(waits).toBe(1);
    broken = false;
    await run(optionsFor(book, world, { journal }));
    expect(waits).toBe(2);
    await run(optionsFor(book, world, { journal }));
    expect(waits).toBe(2);
  });

  it('refuses a book that is no book, and a journal of another one', async () => {
    const twice = bookOf(effectStep('one'), effectStep('one'));
    await expect(run(optionsFor(twice, new EffectWorld()))).rejects.toThrow('two steps are "one"');
    const journal = new MemoryJournal();
    await run(optionsFor(bookOf(effectStep('one')), new EffectWorld(), { journal }));
    const other = { ...bookOf(effectStep('one')), id: 'other-book' };
    await expect(run(optionsFor(other, new EffectWorld(), { journal }))).rejects.toThrow('not of other-book');
  });
});
