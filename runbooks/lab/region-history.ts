/** What happened in two regions, and what of it must never happen: I1 to I6 of the right to write. Pure. */

export type HistoryEvent =
  /** A gateway told its client that a change stands. */
  | { readonly is: 'acknowledged'; readonly write: string; readonly region: string }
  | { readonly is: 'accepted'; readonly event: string }
  | { readonly is: 'epoch'; readonly epoch: number; readonly writer: string; readonly planned: boolean }
  /** Rows of a database that is about to be discarded, and that the survivor lacks. */
  | { readonly is: 'reported'; readonly writes: readonly string[] };

/** A change as a database has it: made in `epoch`, while the row said `rowEpoch` and `rowWriter`. */
export interface WriteRow {
  readonly write: string;
  readonly region: string;
  readonly epoch: number;
  readonly rowEpoch: number;
  readonly rowWriter: string;
}

export interface Ends {
  /** Writes of every database there ever was. */
  readonly everywhere: readonly WriteRow[];
  /** Those of the database that survived, in order. */
  readonly survivor: readonly WriteRow[];
  /** How often the survivor counted each spend event. */
  readonly counted: ReadonlyMap<string, number>;
  /** All rows of the survivor's ledger, and how many of them its sums have. */
  readonly ledger: { readonly rows: number; readonly summed: number };
  /** Spend events that an outbox still has. */
  readonly kept: ReadonlySet<string>;
  /** A change was acknowledged after everything was mended. */
  readonly writable: boolean;
}

/** @returns every violation, beginning with the name of its invariant. */
export function violationsOf(history: readonly HistoryEvent[], ends: Ends): string[] {
  return [
    ...writersOf(history, ends),
    ...survivors(history, ends),
    ...spend(history, ends),
    ...vanished(history, ends),
    ...(ends.writable ? [] : ['stuck: no change is taken any more although everything is sound']),
  ];
}

const acknowledgedIn = (history: readonly HistoryEvent[]) =>
  history.flatMap((event) => (event.is === 'acknowledged' ? [event] : []));

/** I1: one region acknowledges in an epoch. I2: once an epoch has, no older one does. */
function writersOf(history: readonly HistoryEvent[], { everywhere }: Ends): string[] {
  const epochs = new Map(everywhere.map(({ write, epoch }) => [write, epoch]));
  const regions = new Map<number, string>();
  const found: string[] = [];
  let newest = 0;
  for (const { write, region } of acknowledgedIn(history)) {
    const epoch = epochs.get(write);
    if (epoch === undefined) continue;
    const first = regions.get(epoch) ?? region;
    if (first !== region) found.push(`I1 ${first} and ${region} acknowledge in epoch ${epoch}`);
    regions.set(epoch, first);
    if (epoch < newest) found.push(`I2 ${region} acknowledges ${write} of epoch ${epoch} after one of epoch ${newest}`);
    newest = Math.max(newest, epoch);
  }
  return found;
}

/** I3: what survives was written by its epoch's writer, in that epoch. */
function survivors(history: readonly HistoryEvent[], { survivor }: Ends): string[] {
  const writers = new Map(history.flatMap((event) => (event.is === 'epoch' ? [[event.epoch, event.writer]] : [])));
  let newest = 0;
  return survivor.flatMap(({ write, region, epoch, rowEpoch, rowWriter }) => {
    const isRight = writers.get(epoch) === region && rowEpoch === epoch && rowWriter === region && epoch >= newest;
    newest = Math.max(newest, epoch);
    return isRight ? [] : [`I3 ${write} of ${region} survives in epoch ${epoch}, row ${rowEpoch} ${rowWriter}`];
  });
}

/** I4: every spend event is counted once, or still in an outbox. */
function spend(history: readonly HistoryEvent[], { counted, kept, ledger }: Ends): string[] {
  const accepted = history.flatMap((event) => (event.is === 'accepted' ? [event.event] : []));
  const found = accepted.flatMap((event) => {
    const times = counted.get(event) ?? 0;
    if (times > 1) return [`I4 the spend event ${event} is counted ${times} times`];
    return times === 0 && !kept.has(event) ? [`I4 the spend event ${event} is lost`] : [];
  });
  const { rows, summed } = ledger;
  return rows === summed ? found : [...found, `I4 ${rows} events are counted as ${summed}`];
}

/** I5: what is lost was reported. I6: a planned switchover loses nothing. */
function vanished(history: readonly HistoryEvent[], { survivor, everywhere }: Ends): string[] {
  const there = new Set(survivor.map(({ write }) => write));
  const epochs = new Map(everywhere.map(({ write, epoch }) => [write, epoch]));
  const reported = new Set(history.flatMap((event) => (event.is === 'reported' ? event.writes : [])));
  const planned = new Set(history.flatMap((event) => (event.is === 'epoch' && event.planned ? [event.epoch - 1] : [])));
  return acknowledgedIn(history).flatMap(({ write }) => {
    if (there.has(write)) return [];
    const isPlanned = planned.has(epochs.get(write) ?? 0);
    if (isPlanned) return [`I6 a planned switchover lost ${write}`];
    return reported.has(write) ? [] : [`I5 ${write} was acknowledged and vanished, and nobody was told`];
  });
}
