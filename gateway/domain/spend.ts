/** What is known of a request's cost: before an upstream is called, at its end, and in the ledger. */
import type { Ending } from './answer.ts';
import type { Operation } from './operation.ts';
import type { JsonObject } from './request.ts';
import type { UsageDetail } from './usage-detail.ts';

/** Written down before an upstream is called: a provider bills also what a killed gateway has asked for. */
export interface SpendIntent {
  readonly requestId: string;
  readonly callId: string;
  readonly keyHash: string;
  readonly keyId?: string;
  readonly teamId?: string;
  readonly userId?: string;
  readonly organizationId?: string;
  readonly endUser?: string;
  readonly operation: Operation | 'pass-through';
  /** Model group the client asked for, and the one that answered; the same until another one has. */
  readonly requestedModel: string;
  readonly modelGroup: string;
  readonly stream: boolean;
  readonly tags?: readonly string[];
  /** The client's own, as it sent it. */
  readonly metadata?: JsonObject;
  /** Wall clock, milliseconds. */
  readonly startedAtMs: number;
  /** Upper bound in millionths of a US dollar, booked when the request never ends; null = nothing was set aside. */
  readonly reservedMicros: number | null;
  /** Every account that the cost is counted for. */
  readonly accounts: readonly string[];
}

/** One row for each request that was let through to an upstream. */
export interface SpendEvent extends SpendIntent {
  readonly deploymentId: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  readonly status: number;
  readonly ending: Ending;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  /** Of the prompt tokens: read from the provider's cache. */
  readonly cachedTokens?: number;
  /** What else the cost is computed from; absent = nothing else. */
  readonly usageDetail?: UsageDetail;
  /** Millionths of a US dollar; null = unknown, to be priced later. Never a silent 0. */
  readonly costMicros: bigint | null;
  /** Tokens, and with them the cost, are estimated as far as the provider did not report them; absent = no. */
  readonly estimated?: boolean;
  /** Answered from the response cache, or by a call that another request pays for; absent = no. */
  readonly cacheHit?: boolean;
  readonly attempts: number;
  readonly fallbacks: number;
  /** Of a stream: from the request to its first chunk. */
  readonly firstByteMs?: number;
  readonly durationMs: number;
}

/** An attempt that failed although the provider may bill it, and that another one followed. */
export interface DoubtfulAttempt {
  readonly deploymentId: string;
  readonly provider: string;
  readonly model: string;
  readonly modelGroup: string;
  readonly status: number;
}

/** Takes what requests cost off their path, and loses none of it. */
export interface SpendRecorder {
  /**
   * Resolves when it is written down; undefined = nothing is to be waited for. No upstream may be called before.
   * @throws Refusal 503 when nothing more can be written down, as the promise does; then no upstream may be called at all.
   */
  begin(intent: SpendIntent): Promise<void> | undefined;
  /** A row of its own, of unknown cost, for a request that goes on. It must not block and must not throw. */
  doubt(requestId: string, attempt: DoubtfulAttempt): void;
  /**
   * Once for each request, also for one that never began. It must not block and must not throw. What it was told is written
   * down with all else of this turn of the event loop: see `whenWritten` and `flush`, of which the last byte needs one.
   */
  end(event: SpendEvent): void;
  /** Resolves when the ends so far are written down; undefined = they are. Never rejects. */
  whenWritten(): Promise<void> | undefined;
  /** Writes them down at once. */
  flush(): void;
}

/** How much more can be written down. soft: requests with a budget are refused; hard: all that cost money are. */
export type Pressure = 'none' | 'soft' | 'hard';

/** Where the ledger stands with one log. */
export interface LogPosition {
  /** Every event up to this one is in the ledger, once. */
  readonly appliedSeq: number;
  /** Nothing more is expected, and what its process held has been returned. */
  readonly closed: boolean;
}

/** What a process learns when it says that it lives. */
export interface Census extends LogPosition {
  /** Processes that live, this one included, and this one's place among them from 0. */
  readonly live: number;
  readonly rank: number;
}

/** The ledger will not take these values, however often they are sent. */
export class SpendRefused extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'SpendRefused';
  }
}

/** The database's side. Every call may be repeated; without an answer it throws, and nothing is known. */
export interface SpendLedger {
  /**
   * @param events JSON texts, of which the first is number `firstSeq` of the log.
   * @returns the position up to which everything is in the ledger; go on behind it, forwards or back.
   * @throws SpendRefused when a value is at fault; then none of them was taken.
   */
  ship(logId: string, firstSeq: number, events: readonly string[]): Promise<number>;
  /** For events that nobody has any more. @returns the position. */
  skip(logId: string, toSeq: number): Promise<number>;
  /** Logs that the ledger has never heard of are missing. */
  positions(logIds: readonly string[]): Promise<ReadonlyMap<string, LogPosition>>;
  /** @returns false while events up to `lastSeq` are missing. */
  close(logId: string, lastSeq: number): Promise<boolean>;
  touch(logId: string): Promise<Census>;
}

/** Where segments of spend are kept for as long as backups, outside this region. */
export interface SegmentArchive {
  /** Resolves when it lies there and was read back as it is here. Repeating it changes nothing. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** @returns undefined when there is no such object. */
  get(name: string): Promise<Uint8Array | undefined>;
}
