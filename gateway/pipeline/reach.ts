/** From a request to an answer: choose, attempt, and after each failure do what `nextMove` says. */
import type { Answer, Reached } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { Refusal, UpstreamError } from '../domain/errors.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { ModelRequest } from '../domain/request.ts';
import { mockFailure } from '../providers/mock-answer.ts';
import type { RetryBudget } from '../routing/retry-budget.ts';
import { attemptSeconds, nativeOf, type Stopwatch } from './attempt.ts';
import { continuationRefusal, NotTranslatable } from './native-only.ts';
import { nextMove } from './next-move.ts';
import { NotReached } from './not-reached.ts';
import { pretenceOf } from './pretend.ts';
import { changedBy } from './requested-fallbacks.ts';
import { Trail } from './trail.ts';
import { type TryDependencies, tryOne } from './try-one.ts';
import { type WantedDependencies, wantedBy } from './wanted.ts';

export interface ReachDependencies extends TryDependencies, WantedDependencies {
  readonly retries: RetryBudget;
  readonly recovery: RecoverySettings;
  readonly random: () => number;
  /** The provider may bill an attempt that failed, and another attempt follows: the request's own row is not about it. */
  readonly onDoubt: (requestId: string, deployment: Deployment, error: UpstreamError) => void;
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
  const counted = wantedBy(asking, trail.current, signal, dependencies);
  let wanted = counted instanceof Promise ? await counted : counted;
  /** Why the deployments that are not `accept`ed cannot serve it. */
  let refusal = continuationRefusal(asking);
  const stopwatch: Stopwatch = { now, waitedMs: 0 };
  let failures: UpstreamError[] = [];
  let attempts = 0;
  let mayBeBilled = false;
  let last: UpstreamError | undefined;
  retries.countRequest(group);
  for (;;) {
    const { current, failed } = trail;
    const fallbacks = trail.groups.length - 1;
    const pretended = request.mock !== undefined && last === undefined ? groupFailure(request) : undefined;
    const chosen = pretended === undefined ? router.choose(current, failed, wanted) : undefined;
    const deployment = chosen === undefined ? undefined : router.directory.concrete(chosen, trail.asked);
    let result: Answer | Error;
    let isPretended = false;
    if (pretended !== undefined) {
      result = pretended;
    } else if (deployment === undefined) {
      // A fallback that names nothing must not hide what happened before it.
      const exists = router.directory.deployments(current).length > 0;
      result =
        (exists && refusal === undefined ? undefined : last) ??
        (refusal === undefined ? router.whyNone(current, wanted) : new NotTranslatable(refusal));
    } else {
      attempts++;
      const release = load.begin(deployment.id);
      // After a fallback the client is told who really answered.
      const answerAs = fallbacks === 0 ? request.model : undefined;
      result = await tryOne(asking, deployment, { attempts, answerAs, signal, stopwatch }, dependencies);
      if (!(result instanceof Error)) {
        const maxRetries = request.overrides.numRetries ?? deployment.maxRetries ?? recovery.numRetries;
        const { waitedMs } = stopwatch;
        // The attempt of a stream lasts as long as the stream.
        return { answer: result, deployment, attempts, fallbacks, maxRetries, waitedMs, release };
      }
      release();
      isPretended = (pretenceOf(asking, attempts) ?? deployment.mock) !== undefined;
      if (result instanceof Refusal && !isPretended && (refusal === undefined || asking.spoken === undefined)) {
        // Nothing was sent, and somebody else may understand it: who speaks the client's own API, or has that parameter.
        attempts--;
        refusal ??= result;
        const { spoken } = asking;
        const { accepts } = wanted;
        wanted = {
          ...wanted,
          accepts:
            spoken === undefined
              ? (other) => other.id !== deployment.id && accepts?.(other) !== false
              : (other) => nativeOf({ spoken }, other, adapterFor(other.provider)) !== undefined,
        };
        continue;
      }
    }
    // One that was left in the middle may bill what it had done.
    mayBeBilled ||= result instanceof UpstreamError ? result.mayBeBilled : !isPretended && !(result instanceof Refusal);
    const notReached = (why: Error): NotReached => {
      const { timeoutSeconds = deployment && attemptSeconds(asking, deployment) } = request.overrides;
      return new NotReached(why, deployment, attempts, fallbacks, mayBeBilled, timeoutSeconds);
    };
    if (!(result instanceof UpstreamError)) throw notReached(result);

    last = result;
    failures.push(result);
    if (deployment !== undefined) trail.hasFailed(deployment);
    const move = nextMove(
      {
        groups: trail.groups,
        requested: request.model,
        failures,
        deployments: pretended === undefined ? router.availability(current, failed, wanted) : nobody,
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
    if (result.mayBeBilled && deployment !== undefined && move.kind !== 'give-up') {
      dependencies.onDoubt(request.id, deployment, result);
    }
    switch (move.kind) {
      case 'retry': {
        retries.countRetry(current);
        stopwatch.waitedMs += move.afterMs;
        const interrupted = move.afterMs > 0 ? await pause(move.afterMs, signal, dependencies) : undefined;
        if (interrupted !== undefined) throw notReached(interrupted);
        break;
      }
      case 'fallback':
        trail.enter(move.to);
        failures = [];
        if (asking !== request || move.to.members !== undefined) {
          // Each fallback starts from what the client sent, not from what the one before it made of that.
          asking = move.to.members === undefined ? request : changedBy(request, move.to.members);
          wanted = await wantedBy(asking, trail.current, signal, dependencies);
          refusal = continuationRefusal(asking);
        } else if (dependencies.counter !== undefined) {
          // Other windows may need another count.
          const { promptTokens } = await wantedBy(asking, trail.current, signal, dependencies);
          wanted = { ...wanted, promptTokens };
        }
        // A client may name anything; only what exists is counted, since counting takes memory.
        if (router.directory.deployments(trail.current).length > 0) retries.countRequest(trail.current);
        break;
      case 'give-up':
        throw notReached(result instanceof NotTranslatable ? result.refusal : result);
    }
  }
}

/** `mock_testing_fallbacks` and its kin: nobody of the group is asked. */
function groupFailure({ mock, model }: ModelRequest): UpstreamError | undefined {
  if (mock?.groupFails === undefined) return undefined;
  return mockFailure(mock.groupFails, `this is a mock exception for model=${model}, to trigger a fallback`);
}

const nobody = { all: 0, eligible: 0, untried: 0 };

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
