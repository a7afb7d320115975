/** One row for each request that was let through to an upstream. */
import type { Ending } from './answer.ts';
import type { Operation } from './operation.ts';

export interface SpendEvent {
  readonly requestId: string;
  readonly callId: string;
  readonly keyHash: string;
  readonly operation: Operation | 'pass-through';
  /** Model group the client asked for, and the one that answered. */
  readonly requestedModel: string;
  readonly modelGroup: string;
  readonly deploymentId: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  readonly status: number;
  readonly ending: Ending;
  readonly stream: boolean;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  /** Millionths of a US dollar; null = unknown, to be priced later. Never a silent 0. */
  readonly costMicros: bigint | null;
  readonly attempts: number;
  readonly fallbacks: number;
  readonly startedAtMs: number;
  readonly durationMs: number;
}

/** Takes events off the request's path. It must not block and must not throw. */
export interface SpendRecorder {
  record(event: SpendEvent): void;
}

/** What is written down before an upstream is called: a provider bills also what a killed gateway has asked for. */
export interface SpendIntent {
  readonly requestId: string;
  readonly startedAtMs: number;
  readonly keyHash: string;
  /** Upper bound; booked when the request never ends. */
  readonly reservedMicros: number;
  readonly accounts: readonly string[];
}
