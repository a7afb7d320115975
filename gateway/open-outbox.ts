/** The outbox as this process has it: where it lies, how large it may be, and who is told of what happens to it. */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import type { SpendConfig } from './config/gateway-config.ts';
import type { SegmentArchive, SpendLedger } from './domain/spend.ts';
import { Outbox } from './outbox/outbox.ts';
import type { Settings } from './settings.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface OpenOutboxOptions {
  readonly settings: Settings;
  /** Of the configuration that is live. */
  readonly spend: () => SpendConfig;
  readonly logger: Logger;
  readonly ledger: SpendLedger;
  readonly metrics: () => Metrics;
  /** Whether events up to this one are where a failover cannot lose them; undefined = nobody can say. */
  readonly mayForget?: ((logId: string, seq: number, isArchived: boolean) => boolean) | undefined;
  readonly archive?: SegmentArchive | undefined;
}

/** The data folder cannot be written; the message says which and why. */
export class OutboxUnavailable extends Error {
  constructor(directory: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `${directory} cannot be written (${reason}), and spend is written down there before a provider is called. Set HOLDFAST_DATA_DIRECTORY to a folder of this user's`,
      { cause },
    );
    this.name = 'OutboxUnavailable';
  }
}

/** A database that is away for hours fails thousands of times; people need to read it now and then. */
const repeatAfterMs = 60_000;

const failures = {
  ship: 'spend could not be sent to the database; it waits on disk',
  recover: 'spend of a process that ended could not be recovered; it is tried again',
  touch: 'the database does not hear of this process',
  archive: 'spend could not be archived; it stays on disk, and is tried again',
} as const;

/** @throws OutboxUnavailable */
export function openOutbox(options: OpenOutboxOptions): Outbox {
  const { settings, spend, logger, ledger, metrics } = options;
  const directory = join(settings.dataDirectory, 'outbox');
  const saidAtMs = new Map<string, number>();
  try {
    return new Outbox({
      directory,
      ledger,
      get maxBytes() {
        return settings.outboxMaxBytes ?? spend().outboxMaxBytes;
      },
      get retainSeconds() {
        return settings.outboxRetainSeconds ?? spend().outboxRetainSeconds;
      },
      // Without replicas in other regions, what is committed can be lost by a promotion alone: hence the wait.
      mayForget: options.mayForget ?? (() => true),
      archive: options.archive,
      newId: randomUUIDv7,
      onReduced: (id, reason) => {
        metrics().spendReduced();
        logger.error({ id, reason }, 'the database refused a spend event; its money is booked without the rest');
      },
      onLost: (log, count) => {
        metrics().spendDropped(count);
        logger.error({ log, count }, 'spend events are neither in the database nor on disk');
      },
      onRecovered: (log) => {
        metrics().spendRecovered(log.events);
        metrics().spendInterrupted(log.interrupted);
        logger.info(log, 'the spend of a process that ended was recovered');
      },
      onInterrupted: (count) => {
        metrics().spendInterrupted(count);
        logger.warn({ count }, 'requests were cut off by the end of this process');
      },
      onDisk: (fault) => {
        if (fault === undefined) logger.info('spend can be written to disk again');
        else logger.error({ err: fault }, 'spend cannot be written to disk; requests that cost money are refused');
      },
      onFailed: (what, error) => {
        const said = saidAtMs.get(what);
        if (said !== undefined && Date.now() - said < repeatAfterMs) return;
        saidAtMs.set(what, Date.now());
        logger.warn({ err: error }, failures[what]);
      },
    });
  } catch (error) {
    throw new OutboxUnavailable(directory, error);
  }
}
