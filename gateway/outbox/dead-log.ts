/** A log whose process is gone: what it left, read without changing it, so that reading can be repeated at any time. */

import { interruptedText } from './record-text.ts';
import { readSegment, type Segment, segmentNumbers } from './segment.ts';
import { type Batch, type EventSource, part, StoredEvents } from './stored-events.ts';

export interface DeadLog {
  readonly segments: readonly Segment[];
  readonly lastSeq: number;
  /** Begins without an end. */
  readonly begins: readonly string[];
  /** Behind the last good record of a segment. */
  readonly tornBytes: number;
}

export async function readDeadLog(directory: string): Promise<DeadLog> {
  const segments: Segment[] = [];
  const begins = new Map<string, string>();
  let tornBytes = 0;
  let lastSeq = 0;
  for (const number of await segmentNumbers(directory)) {
    const content = await readSegment(directory, number);
    if (content === undefined) continue;
    const { ends: _ends, begins: open, ended, ...segment } = content;
    for (const id of ended) begins.delete(id);
    for (const [id, text] of open) begins.set(id, text);
    segments.push(segment);
    tornBytes += content.tornBytes;
    lastSeq = Math.max(lastSeq, content.lastSeq);
  }
  return { segments, lastSeq, begins: [...begins.values()], tornBytes };
}

/**
 * What is left to be sent: the ends on disk, then one for each request that never had one.
 * @param appliedSeq of the ledger. It can know more ends than the disk, when that was full or lost its power; their
 * requests look open here, and the ledger, which knows their ids, leaves them out.
 */
export function eventsOf(id: string, directory: string, log: DeadLog, appliedSeq: number): EventSource {
  const stored = new StoredEvents(directory, () => log.segments);
  const interrupted: Batch = {
    first: Math.max(log.lastSeq, appliedSeq) + 1,
    texts: log.begins.map(interruptedText),
  };
  const lastSeq = interrupted.first + interrupted.texts.length - 1;
  return {
    id,
    lastSeq,
    read: async (fromSeq, most) =>
      (await stored.read(fromSeq, most)) ??
      part(interrupted, Math.max(fromSeq, interrupted.first), most) ?? { first: lastSeq + 1, texts: [] },
  };
}
