/**
 * Segments that are complete go to a place that does not fail together with this disk: the bucket of another region. In the
 * background, one after the other; requests never wait for it.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SegmentArchive } from '../domain/spend.ts';
import { ArchivedEvents, withArchive } from './archived-events.ts';
import { segmentNumbers, segmentPath } from './segment.ts';
import type { EventSource } from './stored-events.ts';

/** What of a log the archive has, beside the log itself. */
interface Archived {
  /** Number of the first segment of the unbroken row that ends with the last; one before it may have left a full disk. */
  readonly since: number;
  /** Number of the last segment that is there, with all before it that were still here. */
  readonly through: number;
  /** The log is complete there: nothing will be added to it. */
  readonly isWhole: boolean;
}

const nothing: Archived = { since: 1, through: 0, isWhole: false };
const noteName = 'archived';
/** After a failure nothing is tried for so long. */
const restMs = 2_000;

/** Of an object, below the archive's prefix. */
export const segmentName = (logId: string, number: number): string => `${logId}/${String(number).padStart(6, '0')}.seg`;

/** Says that all segments of a log are there, and how many events it has; what it began and never ended was interrupted. */
export const wholeName = (logId: string): string => `${logId}/whole.json`;

export class LogArchiver {
  readonly #archive: SegmentArchive;
  readonly #onFailed: (error: Error) => void;
  readonly #known = new Map<string, Archived>();
  #restUntilMs = 0;

  constructor(archive: SegmentArchive, onFailed: (error: Error) => void) {
    this.#archive = archive;
    this.#onFailed = onFailed;
  }

  /** As far as this process knows without asking the disk. */
  through(logId: string): number {
    return this.#known.get(logId)?.through ?? 0;
  }

  /** Takes what is complete up to a segment. Never rejects. @returns whether all of it is there. */
  async take(logId: string, directory: string, lastNumber: number): Promise<boolean> {
    return this.#tried(async () => {
      let known = await this.#read(logId, directory);
      for (const number of await segmentNumbers(directory)) {
        if (number <= known.through || number > lastNumber) continue;
        await this.#archive.put(segmentName(logId, number), await readFile(segmentPath(directory, number)));
        known = { ...known, since: number === known.through + 1 ? known.since : number, through: number };
        await this.#note(logId, directory, known);
      }
    });
  }

  /** Takes a log that nobody writes any more. Never rejects. @returns whether all of it is there. */
  async takeWhole(logId: string, directory: string, lastSeq: number): Promise<boolean> {
    if ((await this.#read(logId, directory)).isWhole) return true;
    if (!(await this.take(logId, directory, Number.POSITIVE_INFINITY))) return false;
    return this.#tried(async () => {
      await this.#archive.put(wholeName(logId), Buffer.from(JSON.stringify({ lastSeq })));
      await this.#note(logId, directory, { ...(await this.#read(logId, directory)), isWhole: true });
    });
  }

  /** The events of a log and, of what has left the disk, those of the archive; see `withArchive`. */
  sourceOf(log: EventSource, directory: string, mayDoWithout: () => boolean): EventSource {
    const archived = new ArchivedEvents({
      range: async () => {
        const { since, through } = await this.#read(log.id, directory);
        return { first: since, last: through };
      },
      get: (number) => this.#archive.get(segmentName(log.id, number)),
    });
    return withArchive(log, archived, mayDoWithout);
  }

  /** The log is not here any more. */
  forget(logId: string): void {
    this.#known.delete(logId);
  }

  async #tried(work: () => Promise<void>): Promise<boolean> {
    if (performance.now() < this.#restUntilMs) return false;
    try {
      await work();
      return true;
    } catch (error) {
      this.#restUntilMs = performance.now() + restMs;
      this.#onFailed(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  }

  async #read(logId: string, directory: string): Promise<Archived> {
    const known = this.#known.get(logId) ?? (await readNote(join(directory, noteName)));
    this.#known.set(logId, known);
    return known;
  }

  async #note(logId: string, directory: string, archived: Archived): Promise<void> {
    const path = join(directory, noteName);
    await writeFile(`${path}.tmp`, JSON.stringify(archived), { mode: 0o600 });
    await rename(`${path}.tmp`, path);
    this.#known.set(logId, archived);
  }
}

/** A note that cannot be read costs uploads that were made already. */
async function readNote(path: string): Promise<Archived> {
  try {
    const note: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof note !== 'object' || note === null) return nothing;
    const [through, since] = [
      Number(Reflect.get(note, 'through')),
      Number(Reflect.get(note, 'since') ?? nothing.since),
    ];
    if (!Number.isSafeInteger(through) || !Number.isSafeInteger(since)) return nothing;
    return { since, through, isWhole: Reflect.get(note, 'isWhole') === true };
  } catch (error) {
    if (error instanceof SyntaxError) return nothing;
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return nothing;
    throw error;
  }
}
