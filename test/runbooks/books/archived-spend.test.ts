/** What a restore says of spend: counted, not countable, or without an archive. */
import { expect, it } from 'vitest';
import { ArchivedSpend, type BookedSpend } from '../../../runbooks/books/archived-spend.ts';
import { reingestStep } from '../../../runbooks/books/database-restore.ts';
import { SimulatedWorld } from './simulated-world.ts';

const { signal } = new AbortController();

/** As the book looks, acts and looks again. */
async function looks(oldest: number | undefined, booked: BookedSpend | undefined) {
  const { missingSpend, reingest } = new ArchivedSpend({
    oldestUnshippedSeconds: async () => oldest,
    drainedSeconds: 5,
    ...(booked === undefined ? {} : { reingest: async () => booked }),
  });
  const simulated = new SimulatedWorld();
  const world = Object.assign(simulated, { inUse: { ...simulated.inUse, missingSpend, reingest } });
  const step = reingestStep('a');
  const facts = () => ({ takenAt: '2026-01-01T00:00:00Z' });
  const context = { runId: 'r-1', token: 'r-1/reingest', signal, facts, progress: () => undefined };
  const before = await step.check(world, context);
  if (before.is !== 'ready') return before;
  await step.act(world, context);
  return step.check(world, context);
}

it.each([
  ['all of it is there', 0, { missing: 0, unfinished: 0 }, 'done', { spendEventsLost: 0, spendEventsDoubled: 0 }],
  ['some is nowhere', 0, { missing: 3, unfinished: 0 }, 'done', { spendEventsLost: 3, spendEventsDoubled: 0 }],
  [
    'of a process the end is on its disk alone: none is not said to be lost',
    0,
    { missing: 0, unfinished: 2 },
    'done',
    { spendLogsUnfinished: 2, spendEventsDoubled: 0 },
  ],
  ['there is no archive: no number is said', 0, undefined, 'done', undefined],
  ['outboxes still ship', 9, { missing: 0, unfinished: 0 }, 'underway', undefined],
  ['nobody can tell what outboxes hold', undefined, { missing: 0, unfinished: 0 }, 'underway', undefined],
] as const)('%s', async (_case, oldest, booked, is, facts) => {
  const verdict = await looks(oldest, booked);
  expect(verdict.is).toBe(is);
  expect('facts' in verdict ? verdict.facts : undefined).toEqual(facts);
});
