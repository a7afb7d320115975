/** Events of a log that have left its disk for the archive: a ledger that was restored from a backup asks for them again. */
import { type SegmentContent, segmentContent } from './segment.ts';
import type { Batch, EventSource } from './stored-events.ts';

export interface ArchivedSegments {
  /** Numbers of an unbroken row of segments that are there; empty when the first is above the last. */
  range(): Promise<{ readonly first: number; readonly last: number }>;
  /** @returns undefined when there is no such object. @throws when the archive cannot be asked. */
  get(number: number): Promise<Uint8Array | undefined>;
}

/** Keeps the segment that was read last: a reader goes through one after the other. */
export class ArchivedEvents {
  readonly #segments: ArchivedSegments;
  #loaded: SegmentContent | undefined;

  constructor(segments: ArchivedSegments) {
    this.#segments = segments;
  }

  /** @returns undefined when no archived event has this number or a higher one. @throws when the archive cannot be asked. */
  async read(fromSeq: number, most: number): Promise<Batch | undefined> {
    const segment = await this.#segmentOf(fromSeq);
    if (segment === undefined) return undefined;
    this.#loaded = segment;
    const first = Math.max(fromSeq, segment.firstSeq);
    const at = first - segment.firstSeq;
    return { first, texts: segment.ends.slice(at, at + most) };
  }

  /** Lets go of what is kept in memory. */
  rest(): void {
    this.#loaded = undefined;
  }

  /** The first that ends at this event or behind it. */
  async #segmentOf(fromSeq: number): Promise<SegmentContent | undefined> {
    const loaded = this.#loaded;
    if (loaded !== undefined && contains(loaded, fromSeq)) return loaded;
    const { first, last } = await this.#segments.range();
    if (loaded !== undefined && fromSeq === loaded.lastSeq + 1 && loaded.number < last) {
      const next = await this.#get(loaded.number + 1);
      if (next !== undefined && contains(next, fromSeq)) return next;
    }
    return this.#search(fromSeq, first, last);
  }

  /** By halves: a process of months has tens of thousands, and only their contents say which events they hold. */
  async #search(fromSeq: number, first: number, last: number): Promise<SegmentContent | undefined> {
    let [low, high] = [first, last];
    let found: SegmentContent | undefined;
    while (low <= high) {
      const middle = Math.floor((low + high) / 2);
      let at = middle;
      let content = await this.#get(at);
      // One that cannot be read says nothing of where to go on.
      while (content === undefined && at > low) content = await this.#get(--at);
      if (content !== undefined && content.lastSeq >= fromSeq) {
        found = content;
        high = at - 1;
      } else {
        low = middle + 1;
      }
    }
    return found;
  }

  async #get(number: number): Promise<SegmentContent | undefined> {
    const bytes = await this.#segments.get(number);
    return bytes && segmentContent(number, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  }
}

const contains = ({ firstSeq, lastSeq }: SegmentContent, seq: number): boolean => firstSeq <= seq && seq <= lastSeq;

/**
 * What is here and, where that has a gap, what the archive has of it.
 * @param mayDoWithout whether what an archive that is away may have is given up for lost: the gap must not stop new spend.
 */
export function withArchive(source: EventSource, archived: ArchivedEvents, mayDoWithout: () => boolean): EventSource {
  const there = async (fromSeq: number, most: number): Promise<Batch | undefined> => {
    try {
      return await archived.read(fromSeq, most);
    } catch (error) {
      if (mayDoWithout()) return undefined;
      throw error;
    }
  };
  return {
    id: source.id,
    get lastSeq() {
      return source.lastSeq;
    },
    read: async (fromSeq, most) => {
      const here = await source.read(fromSeq, most);
      if (here.first > fromSeq) {
        const found = await there(fromSeq, Math.min(most, here.first - fromSeq));
        if (found !== undefined && found.first < here.first) return found;
      }
      archived.rest();
      return here;
    },
  };
}
