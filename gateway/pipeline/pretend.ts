/** An attempt that asks nobody: what a test hook wants to be seen instead. */
import type { Answer } from '../domain/answer.ts';
import type { Pretence } from '../domain/mock.ts';
import type { ModelRequest } from '../domain/request.ts';
import { mockAnswer, mockFailure } from '../providers/mock-answer.ts';

export interface PretendOptions {
  /** The attempt's own time. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** The client's own pretence for its n-th attempt, if it has one. */
export const pretenceOf = ({ mock }: ModelRequest, attempt: number): Pretence | undefined =>
  mock === undefined ? undefined : ((attempt === 1 ? mock.firstAttempt : undefined) ?? mock.everyAttempt);

/** @throws UpstreamError when a failure is pretended; the signal's reason; Refusal 400. */
export async function pretend(pretence: Pretence, asked: ModelRequest, options: PretendOptions): Promise<Answer> {
  const request = asked.spoken?.toChat() ?? asked;
  switch (pretence.is) {
    case 'answer':
      return mockAnswer(pretence.content, request);
    case 'rate-limit':
      throw mockFailure('rate-limit', 'this is a mock rate limit error');
    case 'timeout':
      try {
        await options.wait(options.timeoutSeconds * 1000, options.signal);
      } catch (error) {
        throw options.signal.aborted ? options.signal.reason : error;
      }
      throw mockFailure('timeout', 'this is a mock timeout error');
  }
}
