/** Finds a run by its id, wherever it is kept. */
import { buildBook, isRunbookId, type Parameters } from '../../runbooks/books/registry.ts';
import type { World } from '../../runbooks/books/world.ts';
import type { Journal, JournalEvent } from '../../runbooks/engine/journal.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import type { Runbook } from '../../runbooks/engine/step.ts';
import { type Host, UsageError, type WorldName } from './host.ts';

export interface FoundRun {
  readonly runId: string;
  readonly journal: Journal;
  readonly place: string;
  readonly events: readonly JournalEvent[];
  readonly parameters: Parameters;
  readonly world: WorldName;
  readonly book: Runbook<World>;
}

/** @throws UsageError when there is no such run; it names every place that was looked into. */
export async function findRun(host: Host, runId: string, place: string | undefined): Promise<FoundRun> {
  const looked: string[] = [];
  for (const { name, journals } of await host.places.toSearch(place)) {
    const journal = journals.of(runId);
    let events: readonly JournalEvent[];
    try {
      events = await journal.read();
    } catch (error) {
      // A region that is gone must not hide a journal in another one.
      looked.push(`${name} (${messageOf(error)})`);
      continue;
    }
    const [first] = events;
    looked.push(name);
    if (first?.is !== 'run-started') continue;
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
  throw new UsageError(`There is no run ${runId}. Looked into: ${looked.join('; ') || 'nothing'}`);
}
