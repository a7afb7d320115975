/** Every run that can be read, wherever it is kept. */
import type { JournalEvent } from '../../runbooks/engine/journal.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import type { Host, NamedJournals } from './host.ts';

export interface KnownRun {
  readonly run: string;
  /** Where it is kept. */
  readonly place: string;
  readonly events: readonly JournalEvent[];
}

/** A place or a journal that cannot be read is said, and hides none of the others. */
export async function allRuns(host: Host, place: string | undefined): Promise<readonly KnownRun[]> {
  const places = await host.places.toSearch(place);
  return (await Promise.all(places.map((one) => runsIn(host, one)))).flat();
}

async function runsIn({ terminal }: Host, { name, journals }: NamedJournals): Promise<readonly KnownRun[]> {
  const orSaid = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      terminal.writeError(`${what} cannot be read: ${messageOf(error)}\n`);
      return undefined;
    }
  };
  const found: KnownRun[] = [];
  for (const run of (await orSaid(name, () => journals.runs())) ?? []) {
    const events = await orSaid(`${run} in ${name}`, () => journals.of(run).read());
    if (events !== undefined) found.push({ run, place: name, events });
  }
  return found;
}
