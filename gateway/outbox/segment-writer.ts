/** Appends records to the segments of a log. A record that could not be written whole leaves no trace. */
import { closeSync, fdatasync, fdatasyncSync, fsync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { encodeRecord, headBytes } from './record.ts';
import { segmentText } from './record-text.ts';
import { type Segment, segmentPath } from './segment.ts';

export interface SegmentWriterOptions {
  /** Exists. */
  readonly directory: string;
  readonly segmentBytes: number;
  /** What was written could not be made durable. */
  readonly onSyncFailed: (error: Error) => void;
}

/** The disk took no more: it is full, or broken. */
export class DiskFault extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'DiskFault';
  }
}

/** Power loss costs at most so much; a process that dies costs nothing, since the kernel has what was written. */
const syncEveryMs = 100;

/** A segment that is complete. */
export interface SealedSegment extends Segment {
  /** Monotonic. */
  readonly sealedAtMs: number;
  /** Wall clock, when the ledger had all of it; undefined = it has not yet. */
  shippedAtMs: number | undefined;
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly #sealed: SealedSegment[] = [];
  #buffer: Buffer = Buffer.allocUnsafe(64 * 1024);
  #file: number;
  #number = 1;
  #firstSeq: number;
  #lastSeq: number;
  #bytes = 0;
  /** Part of a record stands at the end. */
  #torn = false;
  #sealedBytes = 0;
  #firstEndAtMs: number | undefined;
  #unsynced: NodeJS.Timeout | undefined;

  /** @throws DiskFault */
  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#firstSeq = 1;
    this.#lastSeq = 0;
    this.#file = this.#open(1);
    this.append(segmentText(1, 1));
    this.#syncDirectory();
  }

  /** Of all segments. */
  get bytes(): number {
    return this.#sealedBytes + this.#bytes;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#options.segmentBytes;
  }

  get isWorthSealing(): boolean {
    return this.#bytes >= this.#options.segmentBytes / 4;
  }

  /** Monotonic, when the first end came into the segment that is written; undefined = it has none. */
  get firstEndAtMs(): number | undefined {
    return this.#firstEndAtMs;
  }

  get sealed(): readonly SealedSegment[] {
    return this.#sealed;
  }

  /** Oldest first; the last one is still written. */
  segments(): Segment[] {
    return [...this.#sealed, this.#current()];
  }

  /** @throws DiskFault */
  append(text: string): void {
    this.#write(this.#encode(text, 0));
  }

  /**
   * In one call of the system: all of them, or none.
   * @param ends how many of them are ends, which count. @throws DiskFault
   */
  appendAll(texts: readonly string[], ends: number): void {
    let length = 0;
    for (const text of texts) length = this.#encode(text, length);
    this.#write(length);
    this.#lastSeq += ends;
    if (ends > 0) this.#firstEndAtMs ??= performance.now();
  }

  /** Puts a record into the buffer. @returns the place behind it. */
  #encode(text: string, at: number): number {
    const end = encodeRecord(this.#buffer, text, at);
    if (end !== 0) return end;
    const larger = Buffer.allocUnsafe(2 * (at + headBytes + text.length * 3));
    this.#buffer.copy(larger, 0, 0, at);
    this.#buffer = larger;
    return encodeRecord(larger, text, at);
  }

  /** The first bytes of the buffer. */
  #write(length: number): void {
    try {
      if (this.#torn) this.#cutBack();
      const written = writeSync(this.#file, this.#buffer, 0, length);
      if (written < length) {
        this.#torn = true;
        this.#cutBack();
        throw new Error(`ENOSPC: ${written} of ${length} bytes were written`);
      }
    } catch (error) {
      throw new DiskFault(error);
    }
    this.#bytes += length;
    this.#unsynced ??= setTimeout(() => this.#sync(), syncEveryMs).unref();
  }

  /** An end, which counts. @throws DiskFault */
  appendEnd(text: string): void {
    this.append(text);
    this.#lastSeq++;
    this.#firstEndAtMs ??= performance.now();
  }

  /**
   * Starts the next segment; nothing has changed when it fails.
   * @param carry texts that must not go with the segments before. @throws DiskFault
   */
  rotate(carry: Iterable<string>): void {
    if (this.#torn) throw new DiskFault(new Error('the segment before has a torn end'));
    const before = { file: this.#file, bytes: this.#bytes, segment: this.#current() };
    const number = this.#number + 1;
    this.#file = this.#open(number);
    this.#bytes = 0;
    try {
      this.append(segmentText(number, this.#lastSeq + 1));
      for (const text of carry) this.append(text);
    } catch (error) {
      closeSync(this.#file);
      unlinkSync(segmentPath(this.#options.directory, number));
      this.#file = before.file;
      this.#bytes = before.bytes;
      this.#torn = false;
      throw error;
    }
    this.#number = number;
    this.#firstSeq = this.#lastSeq + 1;
    this.#firstEndAtMs = undefined;
    this.#sealed.push({ ...before.segment, sealedAtMs: performance.now(), shippedAtMs: undefined });
    this.#sealedBytes += before.bytes;
    this.#seal(before.file);
    this.#syncDirectory();
  }

  /** Deletes a sealed segment. */
  async remove(segment: SealedSegment): Promise<void> {
    const at = this.#sealed.indexOf(segment);
    if (at === -1) return;
    this.#sealed.splice(at, 1);
    this.#sealedBytes -= segment.bytes;
    await unlink(segmentPath(this.#options.directory, segment.number));
  }

  /** The end of writing. @param isNeeded somebody will have to read it. @throws when it cannot be made durable. */
  close(isNeeded: boolean): void {
    clearTimeout(this.#unsynced);
    try {
      if (isNeeded) fdatasyncSync(this.#file);
    } finally {
      closeSync(this.#file);
    }
  }

  #current(): Segment {
    return { number: this.#number, firstSeq: this.#firstSeq, lastSeq: this.#lastSeq, bytes: this.#bytes };
  }

  #open(number: number): number {
    try {
      return openSync(segmentPath(this.#options.directory, number), 'ax', 0o600);
    } catch (error) {
      throw new DiskFault(error);
    }
  }

  /** What stands behind a torn record would never be read. */
  #cutBack(): void {
    ftruncateSync(this.#file, this.#bytes);
    this.#torn = false;
  }

  /** In the thread pool: a request never waits for a disk. */
  #sync(): void {
    this.#unsynced = undefined;
    fdatasync(this.#file, (error) => {
      // A file that was sealed meanwhile has been synced by that.
      if (error !== null && error.code !== 'EBADF') this.#options.onSyncFailed(error);
    });
  }

  #seal(file: number): void {
    fdatasync(file, (error) => {
      if (error !== null) this.#options.onSyncFailed(error);
      closeSync(file);
    });
  }

  /** Else a power loss could take the file's name with it. */
  #syncDirectory(): void {
    const directory = openSync(this.#options.directory, 'r');
    fsync(directory, (error) => {
      if (error !== null) this.#options.onSyncFailed(error);
      closeSync(directory);
    });
  }
}
