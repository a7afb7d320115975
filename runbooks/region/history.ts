/** Which region wrote from when on, as the journals of runs tell it. Pure. */
import type { JournalEvent } from '../engine/journal.ts';

export interface EpochBegan {
  readonly epoch: number;
  readonly writer: string;
  /** ISO 8601; when the run saw that the epoch was its own. */
  readonly at: string;
  readonly run: string;
  readonly book: string;
  readonly operator: string;
  /** Seconds from the decision to writes; undefined = it was not opened by this run. */
  readonly openedAfterSeconds: number | undefined;
}

export function epochOf(run: string, events: readonly JournalEvent[]): EpochBegan | undefined {
  const [first] = events;
  if (first?.is !== 'run-started') return undefined;
  // Found done counts as this run's own when the claim names the run: its process was killed before it had seen it.
  const stands = (id: string) =>
    events.find((event) => (event.is === 'verified' || event.is === 'found-done') && event.step === id);
  const seized = stands('seize');
  const { epoch, writer, run: by } = (seized && 'facts' in seized ? seized.facts : undefined) ?? {};
  if (seized === undefined || by !== run || typeof epoch !== 'number' || typeof writer !== 'string') return undefined;
  const opened = stands('open');
  return {
    epoch,
    writer,
    at: seized.at,
    run,
    book: first.book,
    operator: first.operator,
    openedAfterSeconds: opened && (Date.parse(opened.at) - Date.parse(first.at)) / 1000,
  };
}
