/**
 * One log of a living process: what begins and ends is written to its segments at once, and kept in memory until the
 * ledger has it, as far as memory allows. While the disk takes nothing, ends stay in memory and nothing may begin.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DoubtfulAttempt, SpendEvent, SpendIntent } from '../domain/spend.ts';
import { type LogLock, lockLog } from './log-lock.ts';
import { beginText, commonText, endText, interruptedText } from './record-text.ts';
import { Reserve } from './reserve.ts';
import { DiskFault, type SealedSegment, SegmentWriter } from './segment-writer.ts';
import { type Batch, type EventSource, part, StoredEvents } from './stored-events.ts';

export interface SpendLogOptions {
  /** Folder of all logs. */
  readonly root: string;
  /** A new UUID: no number of a log is ever used twice, also on a volume that was cloned or restored. */
  readonly id: string;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
  /** Ends that are kept in memory; older ones are read from the disk again. */
  readonly mostInMemory: number;
  readonly newId: () => string;
  /** Told once when the disk takes no more, and once when it does again. */
  readonly onDisk: (fault: Error | undefined) => void;
}

interface OpenRequest {
  readonly intent: SpendIntent;
  /** As `commonText` made it. */
  readonly common: string;
}

/** Ends that came so close together have the same age. */
const markEveryMs = 200;

export class SpendLog implements EventSource {
  readonly id: string;
  readonly directory: string;
  readonly #options: SpendLogOptions;
  readonly #lock: LogLock;
  readonly #writer: SegmentWriter;
  readonly #reserve: Reserve;
  readonly #stored: StoredEvents;
  /** Requests that began and have not ended. */
  readonly #open = new Map<string, OpenRequest>();
  /** The newest ends without a gap, the first of them numbered `#recentFirst`. */
  readonly #recent: string[] = [];
  #recentFirst = 1;
  /** Ends that the disk did not take; the newest of all. */
  readonly #unwritten: string[] = [];
  /** When numbers were given, oldest first. */
  readonly #marks: { seq: number; readonly atMs: number }[] = [];
  #lastSeq = 0;
  #appliedSeq = 0;
  #fault: Error | undefined;

  /** @throws when the folder cannot be written. */
  constructor(options: SpendLogOptions) {
    this.#options = options;
    this.id = options.id;
    this.directory = join(options.root, options.id);
    // Locked before it has its name: whoever looks for the logs of the dead must never find one without an owner.
    const unnamed = join(options.root, `.new-${options.id}`);
    mkdirSync(unnamed, { recursive: true, mode: 0o700 });
    const lock = lockLog(unnamed);
    if (lock === undefined) throw new Error(`the new log ${options.id} is locked already`);
    this.#lock = lock;
    renameSync(unnamed, this.directory);
    this.#writer = new SegmentWriter({
      directory: this.directory,
      segmentBytes: options.segmentBytes,
      onSyncFailed: (error) => this.#failed(error),
    });
    this.#reserve = new Reserve(this.directory, options.reserveBytes);
    if (!this.#reserve.take()) this.#failed(new Error('ENOSPC: no room for the reserve'));
    this.#stored = new StoredEvents(this.directory, () => this.#writer.segments());
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get queued(): number {
    return this.#lastSeq - this.#appliedSeq;
  }

  /** On disk, shipped segments that are kept included. */
  get bytes(): number {
    return this.#writer.bytes;
  }

  /** Why the disk takes nothing; undefined = it does. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  get openRequests(): number {
    return this.#open.size;
  }

  isOpen(requestId: string): boolean {
    return this.#open.has(requestId);
  }

  /** Wall clock, milliseconds, of the oldest end that the ledger does not have; undefined = it has all. */
  get oldestUnshippedAtMs(): number | undefined {
    return this.queued === 0 ? undefined : this.#marks[0]?.atMs;
  }

  /** @throws DiskFault; then nothing has begun. */
  begin(intent: SpendIntent): void {
    if (this.#fault !== undefined) throw new DiskFault(this.#fault);
    const common = commonText(intent);
    try {
      this.#makeRoom();
      this.#writer.append(beginText(intent, common));
    } catch (error) {
      this.#failed(error);
      throw error;
    }
    this.#open.set(intent.requestId, { intent, common });
  }

  /**
   * Several at once, in one call of the system. No begin may belong to one of the ends.
   * @throws DiskFault when nothing has begun; the ends are kept all the same.
   */
  writeTogether(begins: readonly SpendIntent[], ends: readonly SpendEvent[]): void {
    if (this.#fault === undefined && this.#unwritten.length === 0 && this.#wroteTogether(begins, ends)) return;
    for (const event of ends) this.end(event);
    if (begins.length > 0) throw new DiskFault(this.#fault);
  }

  #wroteTogether(begins: readonly SpendIntent[], ends: readonly SpendEvent[]): boolean {
    const commons = begins.map(commonText);
    const endTexts = ends.map((event) => endText(event, this.#open.get(event.requestId)?.common));
    const texts = begins.map((intent, index) => beginText(intent, commons[index]));
    texts.push(...endTexts);
    try {
      this.#makeRoom();
      this.#writer.appendAll(texts, ends.length);
    } catch (error) {
      if (!(error instanceof DiskFault)) throw error;
      this.#failed(error);
      return false;
    }
    for (const [index, intent] of begins.entries()) {
      this.#open.set(intent.requestId, { intent, common: commons[index] ?? '' });
    }
    for (const [index, event] of ends.entries()) {
      this.#open.delete(event.requestId);
      this.#number(endTexts[index] ?? '', endedAtMs(event));
    }
    return true;
  }

  doubt(requestId: string, attempt: DoubtfulAttempt): void {
    const { intent } = this.#open.get(requestId) ?? {};
    if (intent === undefined) return;
    const durationMs = Math.max(0, Date.now() - intent.startedAtMs);
    this.#append(
      endText({
        ...intent,
        ...attempt,
        requestId: this.#options.newId(),
        reservedMicros: null,
        costMicros: null,
        ending: 'failed',
        promptTokens: null,
        completionTokens: null,
        attempts: 1,
        fallbacks: 0,
        durationMs,
      }),
      intent.startedAtMs + durationMs,
    );
  }

  end(event: SpendEvent): void {
    const open = this.#open.get(event.requestId);
    this.#open.delete(event.requestId);
    this.#append(endText(event, open?.common), endedAtMs(event));
  }

  /** The process leaves: what still runs will have no other end. @returns how many that were. */
  interruptAll(): number {
    const count = this.#open.size;
    for (const begin of this.#begins()) this.#append(interruptedText(begin), Date.now());
    this.#open.clear();
    return count;
  }

  async read(fromSeq: number, most: number): Promise<Batch> {
    const recent = (): Batch | undefined =>
      part({ first: this.#recentFirst, texts: this.#recent }, Math.max(fromSeq, this.#recentFirst), most);
    if (fromSeq >= this.#recentFirst) return recent() ?? { first: fromSeq, texts: [] };
    const stored = await this.#stored.read(fromSeq, Math.min(most, this.#recentFirst - fromSeq));
    // What was read meanwhile may have reached what is in memory; a gap ends where memory begins.
    return stored !== undefined && stored.first < this.#recentFirst
      ? stored
      : (recent() ?? { first: this.#lastSeq + 1, texts: [] });
  }

  /** The ledger has everything up to here; it may also have lost some again. */
  applied(seq: number, nowMs: number): void {
    this.#appliedSeq = Math.min(seq, this.#lastSeq);
    const done = seq - this.#recentFirst + 1;
    if (done > 0) {
      this.#recent.splice(0, done);
      this.#recentFirst += done;
      this.#stored.rest();
    }
    let passed = 0;
    while ((this.#marks[passed]?.seq ?? Number.POSITIVE_INFINITY) <= seq) passed++;
    this.#marks.splice(0, passed);
    for (const segment of this.#writer.sealed) {
      segment.shippedAtMs = segment.lastSeq <= seq ? (segment.shippedAtMs ?? nowMs) : undefined;
    }
  }

  /** Segments that the ledger has whole. All that runs has its begin in later ones. */
  shippedSegments(): readonly SealedSegment[] {
    return this.#writer.sealed.filter(({ shippedAtMs }) => shippedAtMs !== undefined);
  }

  remove(segment: SealedSegment): Promise<void> {
    return this.#writer.remove(segment);
  }

  /** Number of the newest segment that is complete. */
  get lastSealed(): number | undefined {
    return this.#writer.sealed.at(-1)?.number;
  }

  /** Complete segments behind one, oldest first. */
  sealedAfter(number: number): readonly SealedSegment[] {
    return this.#writer.sealed.filter((segment) => segment.number > number);
  }

  /** Completes the segment that is written when its first end is so old: for an archive, which takes whole segments. */
  complete(afterMs: number): void {
    const { firstEndAtMs } = this.#writer;
    if (firstEndAtMs === undefined || performance.now() - firstEndAtMs < afterMs) return;
    if (this.#fault !== undefined || this.#unwritten.length > 0) return;
    try {
      this.#rotate();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Makes the segment that is written one that can be removed, for a disk that runs short. */
  seal(): void {
    if (this.#unwritten.length > 0 || this.queued > 0 || !this.#writer.isWorthSealing) return;
    try {
      this.#rotate();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Tries whether the disk takes something again, and gives it what it has missed. */
  mend(): void {
    if (this.#fault === undefined) return;
    try {
      this.#makeRoom();
      for (let text = this.#unwritten[0]; text !== undefined; text = this.#unwritten[0]) {
        this.#writer.appendEnd(text);
        this.#unwritten.shift();
      }
    } catch (error) {
      if (error instanceof DiskFault) return;
      throw error;
    }
    if (!this.#reserve.take()) return;
    this.#fault = undefined;
    this.#options.onDisk(undefined);
  }

  /** Nothing is written any more. The folder stays. @throws when the last writes cannot be made durable. */
  close(): void {
    this.#reserve.release();
    try {
      this.#writer.close(this.queued > 0 || this.#open.size > 0);
    } finally {
      this.#lock.release();
    }
  }

  #append(text: string, atMs: number): void {
    this.#write(text);
    this.#number(text, atMs);
  }

  #number(text: string, atMs: number): void {
    this.#lastSeq++;
    this.#recent.push(text);
    // Only what the disk has may be forgotten here.
    if (this.#recent.length > this.#options.mostInMemory && this.#unwritten.length === 0) {
      const dropped = Math.ceil(this.#recent.length / 4);
      this.#recent.splice(0, dropped);
      this.#recentFirst += dropped;
    }
    const newest = this.#marks.at(-1);
    if (newest === undefined || atMs - newest.atMs >= markEveryMs) this.#marks.push({ seq: this.#lastSeq, atMs });
    else newest.seq = this.#lastSeq;
  }

  #write(text: string): void {
    if (this.#unwritten.length > 0) {
      this.#unwritten.push(text);
      return;
    }
    try {
      if (this.#fault === undefined) this.#makeRoom();
      this.#writer.appendEnd(text);
    } catch (error) {
      if (!(error instanceof DiskFault)) throw error;
      this.#failed(error);
      this.#writeIntoReserve(text);
    }
  }

  #writeIntoReserve(text: string): void {
    if (!this.#reserve.release()) {
      this.#unwritten.push(text);
      return;
    }
    try {
      this.#writer.appendEnd(text);
    } catch (error) {
      if (!(error instanceof DiskFault)) throw error;
      this.#unwritten.push(text);
    }
  }

  #makeRoom(): void {
    if (this.#writer.isFull) this.#rotate();
  }

  /** The begins of what still runs go along, so that a segment can be removed once its ends are shipped. */
  #rotate(): void {
    this.#writer.rotate(this.#begins());
  }

  #begins(): string[] {
    return [...this.#open.values()].map(({ intent, common }) => beginText(intent, common));
  }

  #failed(error: unknown): void {
    if (this.#fault !== undefined) return;
    this.#fault = error instanceof Error ? error : new Error(String(error));
    this.#options.onDisk(this.#fault);
  }
}

const endedAtMs = ({ startedAtMs, durationMs }: SpendEvent): number => startedAtMs + durationMs;
