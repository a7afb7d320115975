/** The end of a request, told exactly once however it ends: a spend row, the metrics, a log line. */
import type { Ending, Usage } from '../domain/answer.ts';
import type { Deployment, TokenPrices } from '../domain/deployment.ts';
import type { Caller, ModelRequest } from '../domain/request.ts';
import type { SpendEvent } from '../domain/spend.ts';

export interface SettlementFacts {
  readonly request: ModelRequest;
  readonly caller: Caller;
  readonly deployment: Deployment | undefined;
  readonly attempts: number;
  readonly fallbacks: number;
}

export class Settlement {
  readonly facts: SettlementFacts;
  readonly #record: (event: SpendEvent) => void;
  #settled = false;

  constructor(facts: SettlementFacts, record: (event: SpendEvent) => void) {
    this.facts = facts;
    this.#record = record;
  }

  /** The first call counts; later ones are ignored, since a broken stream and a closing client often come together. */
  settle(ending: Ending, status: number, usage: Usage | undefined): void {
    if (this.#settled) return;
    this.#settled = true;
    const { request, caller, deployment, attempts, fallbacks } = this.facts;
    this.#record({
      requestId: request.id,
      callId: request.callId,
      keyHash: caller.keyHash,
      operation: request.operation,
      requestedModel: request.model,
      modelGroup: deployment?.modelGroup ?? request.model,
      deploymentId: deployment?.id ?? null,
      provider: deployment?.provider ?? null,
      model: deployment?.model ?? null,
      status,
      ending,
      stream: request.stream,
      promptTokens: usage?.promptTokens ?? null,
      completionTokens: usage?.completionTokens ?? null,
      costMicros: ending === 'failed' ? 0n : costMicros(usage, deployment?.prices),
      attempts,
      fallbacks,
      startedAtMs: request.startedAtMs,
      durationMs: Math.max(0, Date.now() - request.startedAtMs),
    });
  }
}

/** Millionths of a dollar, rounded up; null when tokens or prices are unknown. */
export function costMicros(usage: Usage | undefined, prices: TokenPrices | undefined): bigint | null {
  if (usage === undefined || prices === undefined) return null;
  const dollars = usage.promptTokens * prices.inputCostPerToken + usage.completionTokens * prices.outputCostPerToken;
  // Products such as 3 * 0.1 carry binary dust; a billionth of a millionth is not money.
  return BigInt(Math.ceil(Math.round(dollars * 1e15) / 1e9));
}
