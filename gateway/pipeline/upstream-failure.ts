/** An upstream's answer that is none: the adapter says what it means, and clients see its ids and limits all the same. */
import type { Deployment } from '../domain/deployment.ts';
import type { UpstreamError } from '../domain/errors.ts';
import type { ProviderAdapter, UpstreamResponse } from '../providers/adapter.ts';
import { passedHeaders } from '../providers/passed-headers.ts';

export function upstreamFailure(
  response: UpstreamResponse,
  adapter: Pick<ProviderAdapter, 'classify'>,
  deployment: Deployment,
): UpstreamError {
  const error = adapter.classify(response, deployment);
  error.upstreamHeaders = passedHeaders(response.headers);
  return error;
}
