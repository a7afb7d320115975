/** People who think before they type, worlds that do not answer, journals that go away. */
import { mkdtemp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileJournal } from '../../../runbooks/engine/file-journal.ts';
import { JournalAway, type JournalEvent, MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { rehearse } from '../../../runbooks/engine/rehearse.ts';
import { reportOf } from '../../../runbooks/engine/report.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { atWork } from '../../../runbooks/engine/standing.ts';
import type { Verdict } from '../../../runbooks/engine/step.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { bookOf, Crash, CrashingJournal, EffectWorld, effectStep, optionsFor, realClock } from './world.ts';

const forEver = (): Promise<Verdict> => new Promise(() => undefined);
const blocked = (because: string) => async (): Promise<Verdict> => ({ is: 'blocked', because });

describe('a step that asks for its name', () => {
  it('does not lose its patience while the operator thinks, and looks again before it acts', async () => {
    const world = new EffectWorld();
    const pause = (milliseconds: number) => realClock.sleep(milliseconds, new AbortController().signal);
    const act = async (): Promise<void> => {
      await pause(20);
      world.act('one', 0);
    };
    const step = effectStep('one', 0, { confirm: 'b', patienceSeconds: 0.5, act });
    const confirm = async (): Promise<string> => {
      await pause(700);
      return 'b';
    };
    expect(await run(optionsFor(bookOf(step), world, { confirm, clock: realClock }))).toEqual({ is: 'completed' });
    expect(world.acts.get('one')).toBe(1);
  });

  it('does not do what somebody else has done while the operator was thinking', async () => {
    const world = new EffectWorld();
    const confirm = async (): Promise<string> => {
      world.act('one', 0);
      return 'b';
    };
    await run(optionsFor(bookOf(effectStep('one', 0, { confirm: 'b' })), world, { confirm }));
    expect(world.acts.get('one')).toBe(1);
  });

  it('says how to type it beforehand when it was not typed', async () => {
    const outcome = await run(optionsFor(bookOf(effectStep('one', 0, { confirm: 'b' })), new EffectWorld()));
    expect(outcome).toMatchObject({ is: 'refused', fix: expect.stringContaining("--confirm 'b'") });
  });
});

describe('before the first act', () => {
  it('everything that would stop the run is told at once', async () => {
    const book = bookOf(
      effectStep('one'),
      effectStep('two', 0, { precondition: blocked('too few buckets answer') }),
      effectStep('three', 0, { precondition: blocked('the replica lags') }),
    );
    const outcome = await run(optionsFor(book, new EffectWorld()));
    expect(outcome).toEqual({
      is: 'refused',
      step: 'two',
      because: 'too few buckets answer',
      more: [{ step: 'three', because: 'the replica lags' }],
    });
  });

  it('a look that never answers is not waited for', async () => {
    const book = bookOf(effectStep('one', 0, { precondition: forEver }));
    const because = 'cannot be seen: no answer within 0.05 s';
    const outcome = await run(optionsFor(book, new EffectWorld(), { lookSeconds: 0.05 }));
    expect(outcome).toMatchObject({ is: 'refused', step: 'one', because });
    const { steps } = await rehearse(
      bookOf(effectStep('one', 0, { check: forEver }), effectStep('two')),
      new EffectWorld(),
      new AbortController().signal,
      0.05,
    );
    expect(steps.map(({ verdict }) => verdict)).toEqual([{ is: 'underway', note: because }, { is: 'ready' }]);
  });
});

describe('the journal of a run', () => {
  const book = bookOf(effectStep('one'), effectStep('two'));

  it('gets its end from whoever resumes, when the run was killed before the last write', async () => {
    const journal = new MemoryJournal();
    const world = new EffectWorld();
    const killed = run(optionsFor(book, world, { journal: new CrashingJournal(journal, 7, 'before') }));
    await expect(killed).rejects.toThrow(Crash);
    expect(await run(optionsFor(book, world, { journal, operator: 'bob' }))).toEqual({ is: 'completed' });
    expect(reportOf(book, await journal.read()).outcome).toBe('completed');
    const length = (await journal.read()).length;
    expect(await run(optionsFor(book, world, { journal }))).toEqual({ is: 'completed' });
    expect(await journal.read()).toHaveLength(length);
  });

  it('that cannot be written any more ends the run before another act, and a resume goes on where it stood', async () => {
    const parent = await temporaryDirectory();
    const folder = join(parent, 'run-1');
    const aside = join(await mkdtemp(join(parent, 'aside-')), 'run-1');
    const world = new EffectWorld();
    const loseIt = async (): Promise<void> => {
      await rename(folder, aside);
      await writeFile(folder, 'no folder any more');
    };
    const breaking = bookOf(
      effectStep('one', 0, { verify: async () => (await loseIt(), { is: 'done' }) }),
      effectStep('two'),
    );
    const ended = run(optionsFor(breaking, world, { journal: new FileJournal(folder) }));
    await expect(ended).rejects.toMatchObject({ name: 'JournalAway', hasBegun: true });
    expect([...world.acts.keys()]).toEqual(['one']);
    expect(await run(optionsFor(book, world, { journal: new FileJournal(aside) }))).toEqual({ is: 'completed' });
    expect([...world.acts.values()]).toEqual([1, 1]);
  });

  it('that cannot be begun changes nothing', async () => {
    const file = join(await temporaryDirectory(), 'file');
    await writeFile(file, '');
    const world = new EffectWorld();
    const ended = run(optionsFor(book, world, { journal: new FileJournal(join(file, 'run-1')) }));
    await expect(ended).rejects.toThrow(JournalAway);
    await expect(ended).rejects.toMatchObject({ hasBegun: false });
    expect(world.acts.size).toBe(0);
  });

  it('names who is at work as long as no end is written', async () => {
    const journal = new MemoryJournal();
    const world = new EffectWorld();
    await expect(run(optionsFor(book, world, { journal: new CrashingJournal(journal, 1, 'after') }))).rejects.toThrow(
      Crash,
    );
    expect(atWork(await journal.read())).toMatchObject({ operator: 'alice', step: 'one' });
    await run(optionsFor(book, world, { journal, operator: 'bob' }));
    expect(atWork(await journal.read())).toBeUndefined();
  });
});

describe('taking a run back', () => {
  const book = bookOf(effectStep('one', 0));

  async function takenBack(journal: MemoryJournal): Promise<readonly JournalEvent[]> {
    const world = new EffectWorld();
    await run(optionsFor(book, world, { journal }));
    await undo(optionsFor(book, world, { journal, operator: 'bob' }));
    return journal.read();
  }

  it('names who took it back, and leaves nothing to do', async () => {
    const report = reportOf(book, await takenBack(new MemoryJournal()));
    expect(report).toMatchObject({ outcome: 'taken back', operators: ['alice', 'bob'], actionItems: [] });
  });

  it('says what it waits for', async () => {
    const world = new EffectWorld();
    const journal = new MemoryJournal();
    const slow = bookOf(
      effectStep('one', 0, {
        undo: async () => {
          world.undo('one');
          world.act('going', 2);
        },
        check: async () =>
          world.acts.has('going')
            ? world.look('going').is === 'done'
              ? { is: 'ready' }
              : { is: 'underway', note: 'it is going' }
            : world.look('one'),
      }),
    );
    const notes: string[] = [];
    await run(optionsFor(slow, world, { journal }));
    await undo(optionsFor(slow, world, { journal, onWaiting: (_, note) => void notes.push(note) }));
    expect(notes).toEqual(['it is going', 'it is going']);
  });
});
