/** Finds a run by its id, wherever it is kept. */
import { buildBook, isRunbookId, ParameterError, type Parameters } from '../../runbooks/books/registry.ts';
import type { World } from '../../runbooks/books/world.ts';
import { type Journal, JournalBroken, type JournalEvent } from '../../runbooks/engine/journal.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import type { Runbook } from '../../runbooks/engine/step.ts';
import { type Host, type NamedJournals, UsageError, type WorldName } from './host.ts';

export interface FoundRun {
  readonly runId: string;
  readonly journal: Journal;
  readonly place: string;
  readonly events: readonly JournalEvent[];
  readonly parameters: Parameters;
  readonly world: WorldName;
  readonly book: Runbook<World>;
}

/**
 * Asks every place at once: one in a region that is gone must neither hide nor delay a journal in another.
 * @throws UsageError when there is no such run; it names every place that was looked into. JournalBroken.
 */
export async function findRun(host: Host, runId: string, place: string | undefined): Promise<FoundRun> {
  const places = await host.places.toSearch(place);
  try {
    return await Promise.any(places.map((one) => runIn(one, runId)));
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    const errors: readonly unknown[] = error.errors;
    const told = errors.find(
      (one) => one instanceof JournalBroken || one instanceof UsageError || one instanceof ParameterError,
    );
    if (told !== undefined) throw told;
    const looked = places.map(({ name }, index) =>
      errors[index] instanceof NotHere ? name : `${name} (${messageOf(errors[index])})`,
    );
    throw new UsageError(`There is no run ${runId}. Looked into: ${looked.join('; ') || 'nothing'}`);
  }
}

class NotHere extends Error {}

async function runIn({ name, journals }: NamedJournals, runId: string): Promise<FoundRun> {
  const journal = journals.of(runId);
  const events = await journal.read();
  const [first] = events;
  if (first?.is !== 'run-started') throw new NotHere();
  if (!isRunbookId(first.book)) throw new UsageError(`The run ${runId} is of a book ${first.book}, unknown here`);
  const parameters = Object.fromEntries(Object.entries(first.parameters).map(([key, value]) => [key, String(value)]));
  return {
    runId,
    journal,
    place: name,
    events,
    parameters,
    world: first.world === 'lab' ? 'lab' : 'aws',
    book: buildBook(first.book, parameters),
  };
}
