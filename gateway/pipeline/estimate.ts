/** The most that a request can use: what is set aside for it before it runs. */
import type { Estimator } from '../domain/admission.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { ModelRequest } from '../domain/request.ts';
import { CostEstimator } from '../pricing/estimate.ts';
import type { ModelDirectory } from '../routing/directory.ts';
import { reachableDeployments } from './reachable.ts';

export interface EstimatorOptions {
  readonly directory: ModelDirectory;
  readonly recovery: RecoverySettings;
  /** Output of a request that states no maximum, at a model whose own is not known. */
  readonly defaultOutputTokens: number;
}

/** Prices are the dearest of all deployments that may answer, fallbacks included. */
export function makeEstimator({ directory, recovery, defaultOutputTokens }: EstimatorOptions): Estimator {
  const costs = new CostEstimator({
    defaultOutputTokens,
    deploymentsFor: (group, model, isAlone) =>
      reachableDeployments(directory, isAlone ? { ...recovery, maxFallbacks: 0 } : recovery, group, model),
  });
  return (request, group) => costs.estimate(request, group);
}

/** The same request with a maximum for its output. */
export function withMaxOutput(request: ModelRequest, maxOutputTokens: number): ModelRequest {
  const body = { ...request.body, max_tokens: maxOutputTokens };
  return { ...request, body, bytes: Buffer.from(JSON.stringify(body)) };
}
