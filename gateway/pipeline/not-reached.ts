/** A request that nobody could answer. */
import type { Deployment } from '../domain/deployment.ts';

/** What a failed request leaves for its spend row and its answer. */
export class NotReached extends Error {
  readonly last: Error;
  readonly deployment: Deployment | undefined;
  readonly attempts: number;
  readonly fallbacks: number;
  /** Whether any of the attempts may have cost something. */
  readonly mayBeBilled: boolean;
  /** That the last attempt, or the request as a whole, had. */
  readonly timeoutSeconds: number | undefined;

  constructor(
    last: Error,
    deployment: Deployment | undefined,
    attempts: number,
    fallbacks: number,
    mayBeBilled: boolean,
    timeoutSeconds: number | undefined,
  ) {
    super(last.message, { cause: last });
    this.name = 'NotReached';
    this.last = last;
    this.deployment = deployment;
    this.attempts = attempts;
    this.fallbacks = fallbacks;
    this.mayBeBilled = mayBeBilled;
    this.timeoutSeconds = timeoutSeconds;
  }
}
