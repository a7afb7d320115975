/** `reach` with the response cache in front of it, when there is one. */
import type { Reached } from '../domain/answer.ts';
import { type AnswerCache, LeftWaiting } from '../domain/answer-cache.ts';
import { Refusal } from '../domain/errors.ts';
import type { Caller, ModelRequest } from '../domain/request.ts';
import { NotReached } from './not-reached.ts';
import { type ReachDependencies, reach } from './reach.ts';

export interface CachedReachDependencies extends ReachDependencies {
  /** Undefined = answers are not cached. */
  readonly cache?: AnswerCache | undefined;
}

/** As `reach`. A request that left while another one's call went on, or that the cache refuses, is one without an attempt. */
export function reachCached(
  request: ModelRequest,
  caller: Caller,
  group: string,
  deadlineMs: number,
  signal: AbortSignal,
  dependencies: CachedReachDependencies,
): Promise<Reached> {
  const ask = (within: AbortSignal): Promise<Reached> => reach(request, group, deadlineMs, within, dependencies);
  const { cache } = dependencies;
  if (cache === undefined) return ask(signal);
  return cache.answer({ request, caller, group, deadlineMs, signal, ask }).catch((error: unknown) => {
    if (error instanceof LeftWaiting) throw unasked(error.reason);
    throw error instanceof Refusal ? unasked(error) : error;
  });
}

const unasked = (reason: Error): NotReached => new NotReached(reason, undefined, 0, 0, false, undefined);
