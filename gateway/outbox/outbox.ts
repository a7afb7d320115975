/**
 * Spend that cannot be lost: written down on this machine before and after every request, sent to the ledger in the
 * background, and kept until it is safe there.
 */
import { mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { Refusal } from '../domain/errors.ts';
import type {
  DoubtfulAttempt,
  Pressure,
  SegmentArchive,
  SpendEvent,
  SpendIntent,
  SpendLedger,
  SpendRecorder,
} from '../domain/spend.ts';
import { LogArchiver } from './archive.ts';
import { mayLeave } from './forgetting.ts';
import { SpendLogHeartbeat } from './heartbeat.ts';
import { LogStore, type RecoveredLog, writeMark } from './log-store.ts';
import { pressureOf, softShare } from './pressure.ts';
import { DiskFault } from './segment-writer.ts';
import { Shipper } from './shipper.ts';
import type { ShippingEvents } from './shipping.ts';
import { SpendLog } from './spend-log.ts';
import { WriteTurn } from './write-turn.ts';

export interface OutboxOptions extends ShippingEvents {
  /** Folder of all logs; processes may share it. */
  readonly directory: string;
  readonly ledger: SpendLedger;
  readonly maxBytes: number;
  /** Shipped events stay on disk for so long, for a replica that is promoted without them. */
  readonly retainSeconds: number;
  /** Whether no failover can lose events up to this one. Asked besides `retainSeconds`. */
  readonly mayForget: (logId: string, seq: number, isArchived: boolean) => boolean;
  /** Undefined = there is none. */
  readonly archive?: SegmentArchive | undefined;
  /** A segment with spend in it is completed after so long where there is an archive, full or not: a minute. */
  readonly archiveAfterMs?: number;
  readonly newId: () => string;
  readonly onRecovered: (log: RecoveredLog) => void;
  readonly onInterrupted: (count: number) => void;
  readonly onDisk: (fault: Error | undefined) => void;
  /** A background call failed; it is repeated. */
  readonly onFailed: (what: 'ship' | 'recover' | 'touch' | 'archive', error: Error) => void;
  /** For tests; everywhere else the defaults. */
  readonly sizes?: Partial<OutboxSizes>;
}

export interface OutboxSizes {
  readonly segmentBytes: number;
  readonly reserveBytes: number;
  readonly minFreeBytes: number;
  readonly mostInMemory: number;
}

const mebibyte = 1024 * 1024;
/** About 30 MB of memory; what is beyond it is on disk. */
const mostInMemory = 50_000;
const maintainEveryMs = 1_000;
/** A disk that is destroyed takes at most so much spend with it that the archive lacks. */
const usualArchiveAfterMs = 60_000;
const sweepEveryMs = 10_000;
const sweepAgainMs = 1_000;
/** What a client is told to wait. */
const retryAfterSeconds = 5;

/** What a lost disk would take with it that no other place has. */
export interface Unarchived {
  readonly bytes: number;
  /** Since the oldest of it was complete; logs of processes that are gone count, too. 0 = the archive has all. */
  readonly oldestSeconds: number;
}

/** A log that this process writes or has written, and what sends it. */
interface OwnLog {
  readonly log: SpendLog;
  readonly shipper: Shipper;
}

export class Outbox implements SpendRecorder {
  readonly heartbeat: SpendLogHeartbeat;
  readonly #options: OutboxOptions;
  readonly #sizes: OutboxSizes;
  readonly #store: LogStore;
  readonly #turn = new WriteTurn((begins, ends) => this.#write(begins, ends));
  /** Closed from outside, with requests that still run or events that are not shipped. */
  readonly #retiring = new Set<OwnLog>();
  #current: OwnLog;
  #freeBytes: number | undefined;
  readonly #archiver: LogArchiver | undefined;
  #archiving: Promise<void> | undefined;
  #maintenance: NodeJS.Timeout | undefined;
  #sweeps: NodeJS.Timeout | undefined;
  #maintaining: Promise<void> | undefined;
  #closing: Promise<number> | undefined;

  /** @throws when the folder cannot be written. */
  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#sizes = {
      segmentBytes: Math.min(16 * mebibyte, options.maxBytes / 8),
      reserveBytes: 4 * mebibyte,
      minFreeBytes: 64 * mebibyte,
      mostInMemory,
      ...options.sizes,
    };
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#archiver = options.archive && new LogArchiver(options.archive, (error) => options.onFailed('archive', error));
    this.#current = this.#newLog();
    this.#store = new LogStore({
      ...options,
      archiver: this.#archiver,
      get retainSeconds() {
        return options.retainSeconds;
      },
      root: options.directory,
      isOwn: (id) => this.#own().some(({ log }) => log.id === id),
      onFailed: (error) => options.onFailed('recover', error),
    });
    this.heartbeat = new SpendLogHeartbeat({
      ledger: options.ledger,
      logId: () => this.#current.log.id,
      listen: () => {
        const own = this.#current;
        const { rounds } = own.shipper;
        return ({ appliedSeq, closed }) => {
          if (closed) this.#replace(own);
          else if (own.shipper.rounds === rounds) own.shipper.heard(appliedSeq);
        };
      },
      onFailed: (error) => options.onFailed('touch', error),
      now: () => performance.now(),
      wallNow: Date.now,
    });
  }

  get pressure(): Pressure {
    const { maxBytes } = this.#options;
    const { minFreeBytes } = this.#sizes;
    const diskFault = this.#current.log.fault !== undefined;
    return pressureOf({ diskFault, bytes: this.bytes, maxBytes, freeBytes: this.#freeBytes, minFreeBytes });
  }

  /** Events that the ledger does not have yet. */
  get queued(): number {
    return this.#sum(({ log }) => log.queued) + this.#turn.waitingEnds;
  }

  /** On disk, of the logs of this process. */
  get bytes(): number {
    return this.#retiring.size === 0 ? this.#current.log.bytes : this.#sum(({ log }) => log.bytes);
  }

  /** Age of the oldest event that the ledger does not have; 0 = it has all. */
  get oldestUnshippedSeconds(): number {
    const times = this.#own().flatMap(({ log }) => log.oldestUnshippedAtMs ?? []);
    return times.length === 0 ? 0 : Math.max(0, (Date.now() - Math.min(...times)) / 1000);
  }

  /** Complete segments that the archive lacks; undefined = there is none. Bytes are of the logs of this process. */
  get unarchived(): Unarchived | undefined {
    const archiver = this.#archiver;
    if (archiver === undefined) return undefined;
    const segments = this.#own().flatMap(({ log }) => log.sealedAfter(archiver.through(log.id)));
    const sealedSeconds = segments.map(({ sealedAtMs }) => (performance.now() - sealedAtMs) / 1000);
    const closedAtMs = this.#store.oldestUnarchivedAtMs ?? Date.now();
    return {
      bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
      oldestSeconds: Math.max(0, (Date.now() - closedAtMs) / 1000, ...sealedSeconds),
    };
  }

  /** Begins to recover what dead processes left, in the background. Resolves after the first heartbeat. */
  async start(): Promise<void> {
    this.#maintenance = setInterval(() => void this.maintain(), maintainEveryMs).unref();
    void this.maintain();
    this.#sweepAfter(0);
    await this.heartbeat.start();
  }

  #sweepAfter(afterMs: number): void {
    this.#sweeps = setTimeout(() => {
      void this.#store.sweep().then((isDone) => {
        if (this.#closing === undefined)
          this.#sweepAfter((isDone ? sweepEveryMs : sweepAgainMs) * (0.75 + Math.random() / 2));
      });
    }, afterMs).unref();
  }

  begin(intent: SpendIntent): Promise<void> {
    const { pressure } = this;
    if (pressure === 'hard' || (pressure === 'soft' && intent.reservedMicros !== null)) throw noRoom();
    return this.#turn.begin(intent);
  }

  doubt(requestId: string, attempt: DoubtfulAttempt): void {
    this.flush();
    const own = this.#logOf(requestId);
    own.log.doubt(requestId, attempt);
    own.shipper.wake();
  }

  end(event: SpendEvent): void {
    this.#turn.end(event);
  }

  whenWritten(): Promise<void> | undefined {
    return this.#turn.whenWritten();
  }

  flush(): void {
    this.#turn.flush();
  }

  /** @throws Refusal 503 when none of the begins could be written. */
  #write(begins: readonly SpendIntent[], ends: readonly SpendEvent[]): void {
    try {
      if (this.#retiring.size === 0) {
        this.#current.log.writeTogether(begins, ends);
      } else {
        for (const event of ends) this.#logOf(event.requestId).log.writeTogether([], [event]);
        this.#current.log.writeTogether(begins, []);
      }
    } catch (error) {
      throw error instanceof DiskFault ? noRoom() : error;
    } finally {
      if (ends.length > 0) for (const { shipper } of this.#own()) shipper.wake();
    }
  }

  /**
   * Ships what is left and closes the log; what the ledger does not take in time stays on disk for the next start.
   * Idempotent. @returns how many events that are.
   */
  close(withinMs: number): Promise<number> {
    this.#closing ??= this.#close(withinMs);
    return this.#closing;
  }

  async #close(withinMs: number): Promise<number> {
    clearInterval(this.#maintenance);
    clearTimeout(this.#sweeps);
    this.flush();
    const signal = AbortSignal.timeout(withinMs);
    await Promise.race([
      Promise.all([this.#store.stop(), this.heartbeat.stop(), this.#maintaining, this.#archiving]),
      new Promise((resolve) => signal.addEventListener('abort', resolve)),
    ]);
    const interrupted = this.#sum(({ log }) => log.interruptAll());
    if (interrupted > 0) this.#options.onInterrupted(interrupted);
    const left = await Promise.all(this.#own().map((own) => this.#finish(own, signal)));
    return left.reduce((sum, one) => sum + one, 0);
  }

  /** Room on the disk, segments that are not needed any more, logs that are done. Never rejects. */
  maintain(): Promise<void> {
    this.#maintaining ??= this.#maintain()
      .catch((error: unknown) => this.#options.onDisk(error instanceof Error ? error : new Error(String(error))))
      .finally(() => {
        this.#maintaining = undefined;
      });
    return this.#maintaining;
  }

  async #maintain(): Promise<void> {
    const { directory, maxBytes, retainSeconds, mayForget } = this.#options;
    const { bavail, bsize } = await statfs(directory);
    this.#freeBytes = bavail * bsize;
    const isShort = this.bytes >= maxBytes * softShare || this.pressure !== 'none';
    for (const { log } of this.#own()) {
      if (isShort) log.seal();
      for (const segment of log.shippedSegments()) {
        const isOld = Date.now() - (segment.shippedAtMs ?? Number.POSITIVE_INFINITY) >= retainSeconds * 1000;
        const isArchived = this.#archiver && this.#archiver.through(log.id) >= segment.number;
        const isSafe = mayForget(log.id, segment.lastSeq, isArchived === true);
        if (mayLeave({ isOld, isShort, isArchived, isSafe })) await log.remove(segment);
      }
      log.mend();
    }
    this.#archiving ??= this.#archive().finally(() => {
      this.#archiving = undefined;
    });
    for (const own of this.#retiring) {
      if (own.log.openRequests === 0 && own.log.queued === 0) await this.#finish(own, AbortSignal.timeout(5_000));
    }
  }

  /** Never rejects. Logs of processes that are gone are the store's. */
  async #archive(): Promise<void> {
    if (this.#archiver === undefined) return;
    for (const { log } of this.#own()) {
      log.complete(this.#options.archiveAfterMs ?? usualArchiveAfterMs);
      const last = log.lastSealed;
      if (last !== undefined) await this.#archiver.take(log.id, log.directory, last);
    }
  }

  /** @returns how many events the ledger does not have. */
  async #finish(own: OwnLog, signal: AbortSignal): Promise<number> {
    const { log, shipper } = own;
    const isShipped = await shipper.drain(signal);
    shipper.stop();
    try {
      const isClosed = isShipped && (await this.#options.ledger.close(log.id, log.lastSeq));
      if (isClosed) {
        await writeMark(log.directory, log.lastSeq);
        // The folder may go with this process; what cannot be taken now is taken by whoever finds it.
        await Promise.race([this.#archiver?.takeWhole(log.id, log.directory, log.lastSeq), aborted(signal)]);
      }
    } catch (error) {
      // Whoever recovers the log closes it.
      this.#options.onFailed('ship', error instanceof Error ? error : new Error(String(error)));
    }
    this.#retiring.delete(own);
    log.close();
    return log.queued;
  }

  #newLog(): OwnLog {
    const { directory, ledger, newId, onDisk, onFailed, onReduced, onLost } = this.#options;
    const log = new SpendLog({ ...this.#sizes, root: directory, id: newId(), newId, onDisk });
    const shipper = new Shipper({
      log,
      source: this.#archiver?.sourceOf(log, log.directory, () => this.pressure !== 'none') ?? log,
      ledger,
      random: Math.random,
      onReduced,
      onLost,
      onFailed: (error) => onFailed('ship', error),
    });
    return { log, shipper };
  }

  /** What runs ends in the log that it began in. */
  #replace(closed: OwnLog): void {
    if (closed !== this.#current) return;
    try {
      this.#current = this.#newLog();
      this.#retiring.add(closed);
    } catch (error) {
      // The old one is as good for events, though not for slices; the next heartbeat tries again.
      this.#options.onDisk(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #logOf(requestId: string): OwnLog {
    if (this.#retiring.size === 0) return this.#current;
    return this.#own().find(({ log }) => log.isOpen(requestId)) ?? this.#current;
  }

  #own(): OwnLog[] {
    return [this.#current, ...this.#retiring];
  }

  #sum(count: (own: OwnLog) => number): number {
    return this.#own().reduce((sum, own) => sum + count(own), 0);
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

const noRoom = (): Refusal =>
  new Refusal({
    status: 503,
    type: 'service_unavailable_error',
    message:
      'This gateway can write down no more spend, so it calls no model: its database is away or its disk is full. Try again shortly',
    retryAfterSeconds,
  });
