/** Kills a run at every write of its journal, before and after it lands, and has another operator go on with it. */
import { expect } from 'vitest';
import { type JournalEvent, MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import type { Runbook } from '../../../runbooks/engine/step.ts';
import { Crash, CrashingJournal, optionsFor } from '../engine/world.ts';

export interface Crashed<World> {
  readonly world: World;
  /** Everything that two worlds at the end of the same book must have alike; acts as a list, so that one too many shows. */
  readonly state: () => object;
}

/**
 * @param at which writes; all if not given. Where a world is dear, those around its own acts: the rest is the engine's.
 * @returns the state in which an undisturbed run ends, and all others.
 */
export async function endsAlike<World>(
  book: Runbook<World>,
  fresh: () => Promise<Crashed<World>>,
  at: (event: JournalEvent) => boolean = () => true,
): Promise<{ readonly state: object; readonly crashes: number }> {
  const confirm = async (_: unknown, expected: string): Promise<string> => expected;
  const whole = new MemoryJournal();
  const undisturbed = await fresh();
  expect(await run(optionsFor(book, undisturbed.world, { confirm, journal: whole }))).toEqual({ is: 'completed' });
  const state = structuredClone(undisturbed.state());
  const positions = (await whole.read()).flatMap((event, position) => (at(event) ? [position] : []));
  for (const position of positions) {
    for (const when of ['before', 'after'] as const) {
      const { world, state: now } = await fresh();
      const journal = new MemoryJournal();
      const killed = run(optionsFor(book, world, { confirm, journal: new CrashingJournal(journal, position, when) }));
      await expect(killed, `${when} write ${position + 1}`).rejects.toThrow(Crash);
      const outcome = await run(optionsFor(book, world, { confirm, journal, operator: 'bob' }));
      expect(outcome, `${when} write ${position + 1}`).toEqual({ is: 'completed' });
      expect(now(), `${when} write ${position + 1}`).toEqual(state);
    }
  }
  return { state, crashes: positions.length * 2 };
}
