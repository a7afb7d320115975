/** From a request to an answer: choose, attempt, and after each failure do what `nextMove` says. */
import type { Answer, Reached } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { DeadlineExceeded, Refusal, UpstreamError } from '../domain/errors.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { ProviderAdapter } from '../providers/adapter.ts';
import type { Transport } from '../providers/transport.ts';
import type { LoadBook } from '../routing/load.ts';
import type { RetryBudget } from '../routing/retry-budget.ts';
import type { Router, Wanted } from '../routing/router.ts';
import { attempt, nativeOf, type SignCall } from './attempt.ts';
import { acceptedFrom, continuationRefusal, NotTranslatable } from './native-only.ts';
import { nextMove } from './next-move.ts';
import { estimatePromptTokens } from './prompt-tokens.ts';
import { changedBy } from './requested-fallbacks.ts';
import { Trail } from './trail.ts';

export interface ReachDependencies {
  readonly router: Router;
  readonly load: LoadBook;
  readonly retries: RetryBudget;
  readonly transport: Transport;
  readonly adapterFor: (provider: string) => ProviderAdapter;
  /** For deployments whose calls must be signed. */
  readonly sign: SignCall;
  readonly recovery: RecoverySettings;
  readonly random: () => number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Resolves after so many milliseconds on that clock; rejects when the signal fires first. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly onAttempt: (deployment: Deployment, outcome: 'success' | UpstreamError) => void;
}

/** What a failed request leaves for its spend row and its answer. */
export class NotReached extends Error {
  readonly last: Error;
  readonly deployment: Deployment | undefined;
  readonly attempts: number;
  readonly fallbacks: number;

  constructor(last: Error, deployment: Deployment | undefined, attempts: number, fallbacks: number) {
    super(last.message, { cause: last });
    this.name = 'NotReached';
    this.last = last;
    this.deployment = deployment;
    this.attempts = attempts;
    this.fallbacks = fallbacks;
  }
}

/**
 * @param group model group the name was resolved to.
 * @param deadlineMs on the clock of `now`; the signal fires then too.
 * @throws NotReached with the last failure when every permitted attempt failed, the time is over or the client left.
 */
export async function reach(
  request: ModelRequest,
  group: string,
  deadlineMs: number,
  signal: AbortSignal,
  dependencies: ReachDependencies,
): Promise<Reached> {
  const { router, load, retries, recovery, random, now, adapterFor } = dependencies;
  const trail = new Trail(router.directory, group, request.model);
  let asking = request;
  let wanted = wantedBy(asking);
  /** Why the deployments that are not `accept`ed cannot serve it. */
  let refusal = continuationRefusal(asking);
  let failures: UpstreamError[] = [];
  let attempts = 0;
  let last: UpstreamError | undefined;
  retries.countRequest(group);
  for (;;) {
    const { current, failed } = trail;
    const fallbacks = trail.groups.length - 1;
    const chosen = router.choose(current, failed, wanted);
    const deployment = chosen === undefined ? undefined : router.directory.concrete(chosen, trail.asked);
    let result: Answer | Error;
    if (deployment === undefined) {
      // A fallback that names nothing must not hide what happened before it.
      const exists = router.directory.deployments(current).length > 0;
      result =
        (exists && refusal === undefined ? undefined : last) ??
        (refusal === undefined ? router.whyNone(current, wanted) : new NotTranslatable(refusal));
    } else {
      attempts++;
      const release = load.begin(deployment.id);
      result = await tryOne(asking, deployment, signal, dependencies);
      // The attempt of a stream lasts as long as the stream.
      if (!(result instanceof Error)) return { answer: result, deployment, attempts, fallbacks, release };
      release();
      if (result instanceof Refusal && refusal === undefined && asking.spoken !== undefined) {
        // Nothing was sent; whoever speaks the client's own API needs no translation.
        attempts--;
        refusal = result;
        const { spoken } = asking;
        wanted = {
          ...wanted,
          accepts: (other) => nativeOf({ spoken }, other, adapterFor(other.provider)) !== undefined,
        };
        continue;
      }
    }
    if (!(result instanceof UpstreamError)) throw new NotReached(result, deployment, attempts, fallbacks);

    last = result;
    failures.push(result);
    if (deployment !== undefined) trail.hasFailed(deployment);
    const move = nextMove(
      {
        groups: trail.groups,
        requested: request.model,
        failures,
        deployments: router.availability(current, failed, wanted),
        retryBudgetLeft: retries.mayRetry(current) || router.hasSound(current, failed, wanted),
        deploymentRetries: deployment?.maxRetries,
        overrides: request.overrides,
        isSpent: (name) => trail.isSpent(name),
        taken: trail.taken,
        remainingMs: deadlineMs - now(),
      },
      recovery,
      random,
    );
    switch (move.kind) {
      case 'retry': {
        retries.countRetry(current);
        const interrupted = move.afterMs > 0 ? await pause(move.afterMs, signal, dependencies) : undefined;
        if (interrupted !== undefined) throw new NotReached(interrupted, deployment, attempts, fallbacks);
        break;
      }
      case 'fallback':
        trail.enter(move.to);
        failures = [];
        if (asking !== request || move.to.members !== undefined) {
          // Each fallback starts from what the client sent, not from what the one before it made of that.
          asking = move.to.members === undefined ? request : changedBy(request, move.to.members);
          wanted = wantedBy(asking);
          refusal = continuationRefusal(asking);
        }
        // A client may name anything; only what exists is counted, since counting takes memory.
        if (router.directory.deployments(trail.current).length > 0) retries.countRequest(trail.current);
        break;
      case 'give-up':
        throw new NotReached(
          result instanceof NotTranslatable ? result.refusal : result,
          deployment,
          attempts,
          fallbacks,
        );
    }
  }
}

const wantedBy = (request: ModelRequest): Wanted => ({
  tags: request.tags,
  stream: request.stream,
  promptTokens: estimatePromptTokens(request),
  ...acceptedFrom(request),
});

/** An attempt and what the router learns from it. Failures come back as values, since the loop decides about them. */
async function tryOne(
  request: ModelRequest,
  deployment: Deployment,
  signal: AbortSignal,
  dependencies: ReachDependencies,
): Promise<Answer | Error> {
  const { router, load, transport, adapterFor, sign, onAttempt, now } = dependencies;
  const startedAt = now();
  try {
    const answer = await attempt(request, deployment, adapterFor(deployment.provider), transport, sign, signal);
    router.record(deployment, 'success');
    const completionTokens = answer.kind === 'whole' ? answer.usage?.completionTokens : undefined;
    load.measured(deployment.id, { seconds: (now() - startedAt) / 1000, stream: request.stream, completionTokens });
    onAttempt(deployment, 'success');
    return answer;
  } catch (error) {
    if (error instanceof UpstreamError) {
      // A slow failure must not look faster than an answer.
      if (error.kind === 'timeout')
        load.measured(deployment.id, {
          seconds: (now() - startedAt) / 1000,
          stream: request.stream,
          completionTokens: 1,
        });
      router.record(deployment, error);
      onAttempt(deployment, error);
    } else if (error instanceof DeadlineExceeded) {
      // The upstream used up all the time that was left.
      router.record(deployment, { kind: 'timeout', status: 408, retryAfterSeconds: undefined });
    } else {
      router.withdraw(deployment);
    }
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Waits; returns the signal's reason when it fires first. */
async function pause(
  milliseconds: number,
  signal: AbortSignal,
  { wait }: Pick<ReachDependencies, 'wait'>,
): Promise<Error | undefined> {
  try {
    await wait(milliseconds, signal);
    return undefined;
  } catch (error) {
    if (signal.aborted && signal.reason instanceof Error) return signal.reason;
    throw error;
  }
}
