/** One attempt, and what is learned from it. */
import type { Answer } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { DeadlineExceeded, UpstreamError } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { ProviderAdapter } from '../providers/adapter.ts';
import type { Transport } from '../providers/transport.ts';
import type { LoadBook } from '../routing/load.ts';
import type { Router } from '../routing/router.ts';
import { attempt, attemptSeconds, type SignCall, type Stopwatch } from './attempt.ts';
import { pretenceOf, pretend } from './pretend.ts';

export interface TryDependencies {
  readonly router: Router;
  readonly load: LoadBook;
  readonly transport: Transport;
  readonly adapterFor: (provider: string) => ProviderAdapter;
  /** For deployments whose calls must be signed. */
  readonly sign: SignCall;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Resolves after so many milliseconds on that clock; rejects when the signal fires first. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly onAttempt: (deployment: Deployment, outcome: 'success' | UpstreamError) => void;
}

interface Try {
  /** Counting this one. */
  readonly attempts: number;
  readonly answerAs: string | undefined;
  readonly signal: AbortSignal;
  readonly stopwatch: Stopwatch;
}

/** An attempt and what the router learns from it. Failures come back as values, since the loop decides about them. */
export async function tryOne(
  request: ModelRequest,
  deployment: Deployment,
  { attempts, answerAs, signal, stopwatch }: Try,
  dependencies: TryDependencies,
): Promise<Answer | Error> {
  const { router, load, transport, adapterFor, sign, wait, onAttempt, now } = dependencies;
  const startedAt = now();
  const ofClient = pretenceOf(request, attempts);
  const pretence = ofClient ?? deployment.mock;
  try {
    const answer = await (pretence === undefined
      ? attempt(request, deployment, {
          adapter: adapterFor(deployment.provider),
          transport,
          sign,
          answerAs,
          signal,
          stopwatch,
        })
      : pretend(pretence, request, { timeoutSeconds: attemptSeconds(request, deployment), signal, wait }));
    if (ofClient !== undefined) {
      // What a client pretends says nothing about a deployment.
      router.withdraw(deployment);
      return answer;
    }
    router.record(deployment, 'success');
    const completionTokens = answer.kind === 'whole' ? answer.usage?.completionTokens : undefined;
    load.measured(deployment.id, { seconds: (now() - startedAt) / 1000, stream: request.stream, completionTokens });
    onAttempt(deployment, 'success');
    return answer;
  } catch (error) {
    if (ofClient !== undefined) {
      router.withdraw(deployment);
    } else if (error instanceof UpstreamError) {
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
