/** The events of a log on disk, in order and by number. */
import { readSegment, type Segment } from './segment.ts';

export interface Batch {
  /** Later than what was asked for when what lies between is nowhere any more. */
  readonly first: number;
  readonly texts: readonly string[];
}

/** Whatever events of a log are sent from. */
export interface EventSource {
  readonly id: string;
  /** Number of the newest event; 0 = there is none. */
  readonly lastSeq: number;
  /** @param fromSeq not above `lastSeq`. @returns at least one event. */
  read(fromSeq: number, most: number): Promise<Batch>;
}

/** Keeps the segment that was read last: a reader goes through one after the other. */
export class StoredEvents {
  readonly #directory: string;
  readonly #segments: () => readonly Segment[];
  #loaded: Batch = { first: 1, texts: [] };

  constructor(directory: string, segments: () => readonly Segment[]) {
    this.#directory = directory;
    this.#segments = segments;
  }

  /** @returns undefined when no stored event has this number or a higher one. */
  async read(fromSeq: number, most: number): Promise<Batch | undefined> {
    const known = part(this.#loaded, fromSeq, most);
    if (known !== undefined) return known;
    for (const segment of this.#segments()) {
      if (segment.lastSeq < fromSeq) continue;
      const content = await readSegment(this.#directory, segment.number);
      if (content === undefined) continue;
      this.#loaded = { first: content.firstSeq, texts: content.ends };
      const from = Math.max(fromSeq, content.firstSeq);
      const found = part(this.#loaded, from, most);
      // A segment that was damaged since may hold fewer than it did.
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Lets go of what is kept in memory. */
  rest(): void {
    this.#loaded = { first: 1, texts: [] };
  }
}

/** @returns undefined when `fromSeq` is not among the events. */
export function part({ first, texts }: Batch, fromSeq: number, most: number): Batch | undefined {
  const at = fromSeq - first;
  if (at < 0 || at >= texts.length) return undefined;
  return { first: fromSeq, texts: texts.slice(at, at + most) };
}
