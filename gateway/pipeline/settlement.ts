/** The end of a request, told exactly once however it ends: a spend row, the metrics, a log line. */
import type { Reservation } from '../domain/admission.ts';
import type { ChunkSource, Ending, Usage, WholeAnswer } from '../domain/answer.ts';
import type { CacheMark } from '../domain/answer-cache.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { Caller, JsonObject, ModelRequest } from '../domain/request.ts';
import type { SpendEvent, SpendIntent } from '../domain/spend.ts';
import { billedFor } from '../pricing/billed.ts';
import { costMicros } from '../pricing/cost.ts';
import { usageColumns } from '../pricing/usage-detail.ts';
import { usageSoFar } from './usage-so-far.ts';

export interface SettlementFacts {
  readonly request: ModelRequest;
  /** As it was written down before. */
  readonly intent: SpendIntent;
  readonly deployment: Deployment | undefined;
  readonly attempts: number;
  readonly fallbacks: number;
  /** What was set aside for the request; settled together with it. */
  readonly reservation?: Reservation;
  /** Of a stream: from the request to its first chunk. */
  readonly firstByteMs?: number | undefined;
  /** Absent when the response cache had nothing to do with it. */
  readonly cache?: CacheMark;
  /** Undefined when no deployment is busy with it any more. */
  readonly release?: () => void;
}

/** What an answer tells of what it cost. */
export type Answered = Pick<WholeAnswer, 'usage' | 'heardMs'>;

export class Settlement {
  readonly facts: SettlementFacts;
  readonly #record: (event: SpendEvent) => void;
  #settled = false;

  constructor(facts: SettlementFacts, record: (event: SpendEvent) => void) {
    this.facts = facts;
    this.#record = record;
  }

  /**
   * The first call counts; later ones are ignored, since a broken stream and a closing client often come together.
   * @param answered undefined when there was no answer.
   * @param mayBeBilled false when the provider certainly did nothing: then the cost is 0 and not unknown.
   * @returns the cost in millionths of a US dollar, null when it is unknown; undefined when it was settled before.
   */
  settle(
    ending: Ending,
    status: number,
    answered: Answered | undefined,
    mayBeBilled = ending !== 'failed',
  ): bigint | null | undefined {
    if (this.#settled) return undefined;
    this.#settled = true;
    return this.#tell(ending, status, answered?.usage, answered?.heardMs, mayBeBilled, false);
  }

  /** The same for a stream: what its provider did not report is estimated from what has arrived of it. */
  settleStream(ending: Ending, status: number, chunks: ChunkSource, mayBeBilled = true): void {
    if (this.#settled) return;
    this.#settled = true;
    const isFree = !mayBeBilled || this.facts.cache?.isHit() === true;
    const { usage, estimated } = isFree
      ? { usage: chunks.usage(), estimated: false }
      : usageSoFar(ending, this.facts.request, chunks);
    this.#tell(ending, status, usage, undefined, mayBeBilled, estimated);
  }

  #tell(
    ending: Ending,
    status: number,
    usage: Usage | undefined,
    heardMs: number | undefined,
    mayBeBilled: boolean,
    estimated: boolean,
  ): bigint | null {
    this.facts.release?.();
    const { request, intent, deployment, attempts, fallbacks, reservation, firstByteMs, cache } = this.facts;
    const cacheHit = cache?.isHit();
    // Somebody else pays, or has paid.
    const isFree = !mayBeBilled || cacheHit === true;
    const billed = isFree ? undefined : billedFor(request, heardMs);
    const cost = billed === undefined ? 0n : costMicros(usage, deployment?.prices, billed);
    const tokens = isFree ? 0 : usage === undefined ? null : usage.promptTokens + usage.completionTokens;
    reservation?.settle(cost === null ? null : Number(cost), tokens);
    this.#record({
      ...intent,
      modelGroup: deployment?.modelGroup ?? request.model,
      deploymentId: deployment?.id ?? null,
      provider: deployment?.provider ?? null,
      model: deployment?.model ?? null,
      status,
      ending,
      ...usageColumns(usage, billed),
      costMicros: cost,
      ...(estimated ? { estimated } : {}),
      ...(cacheHit === undefined ? {} : { cacheHit }),
      attempts,
      fallbacks,
      durationMs: Math.max(0, Date.now() - request.startedAtMs),
      ...(firstByteMs === undefined ? undefined : { firstByteMs }),
    });
    return cost;
  }
}

/** What is written down of a request before an upstream is called. */
export function intentOf(request: ModelRequest, caller: Caller, reservation: Reservation): SpendIntent {
  const metadata = request.body['metadata'];
  return {
    requestId: request.id,
    callId: request.callId,
    keyHash: caller.keyHash,
    ...(caller.keyId === undefined ? undefined : { keyId: caller.keyId }),
    ...(caller.teamId === undefined ? undefined : { teamId: caller.teamId }),
    ...(caller.userId === undefined ? undefined : { userId: caller.userId }),
    ...(caller.organizationId === undefined ? undefined : { organizationId: caller.organizationId }),
    ...(request.endUser === undefined ? undefined : { endUser: request.endUser }),
    operation: request.operation,
    requestedModel: request.model,
    modelGroup: request.model,
    stream: request.stream,
    ...(request.tags.length === 0 ? undefined : { tags: request.tags }),
    ...(isObject(metadata) ? { metadata } : undefined),
    startedAtMs: request.startedAtMs,
    // Without a budget nothing is set aside, and the cost of a request that never ends is unknown, not 0.
    reservedMicros: reservation.reservedMicros === 0 ? null : reservation.reservedMicros,
    accounts: reservation.accounts,
  };
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
