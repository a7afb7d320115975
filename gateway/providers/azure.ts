/**
 * Azure OpenAI: OpenAI's wire format at other addresses. https://learn.microsoft.com/azure/ai-foundry/openai/reference and,
 * for the addresses without a version, https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
 */
import type { Deployment } from '../domain/deployment.ts';
import { type Operation, specOf } from '../domain/operation.ts';
import type { PassThroughAdapter } from './adapter.ts';
import { inexpressible } from './chat/refuse.ts';
import { openAIAdapter } from './openai.ts';

/** Operations of OpenAI that Azure does not have. */
const absent: ReadonlySet<Operation> = new Set(['moderations', 'rerank']);

/** @param apiVersionOf the deployment's `api_version`; not asked for addresses that have none. */
export const azureAdapter = (apiVersionOf: (deployment: Deployment) => string): PassThroughAdapter => ({
  // Its methods call each other through `this`, so they use what is replaced here.
  ...openAIAdapter,

  toUpstream(request, deployment) {
    if (absent.has(request.operation)) throw inexpressible(request.operation, 'azure', 'it has no such operation');
    const path = toPath(deployment, request.operation, apiVersionOf);
    return { ...openAIAdapter.toUpstream(request, deployment), path };
  },

  classify(response, deployment) {
    const error = openAIAdapter.classify(response, deployment);
    const waitsUnsaid = error.kind === 'rate-limit' && error.retryAfterSeconds === undefined;
    const stated = waitsUnsaid ? statedWait(error.message) : undefined;
    if (stated === undefined) return error;
    return openAIAdapter.classify({ ...response, headers: { ...response.headers, 'retry-after': stated } }, deployment);
  },
});

/** `api_base` may be the resource alone, or end in `/openai`, `/openai/v1` or `/openai/deployments/NAME`. */
function toPath(
  deployment: Deployment,
  operation: Operation,
  apiVersionOf: (deployment: Deployment) => string,
): string {
  const { basePath } = deployment;
  // There the model is named by the body, as OpenAI has it.
  if (basePath.endsWith('/v1')) return `${basePath}${specOf(operation).path}`;
  const version = `?api-version=${encodeURIComponent(apiVersionOf(deployment))}`;
  if (/\/deployments\/[^/]+$/.test(basePath)) return `${basePath}${specOf(operation).path}${version}`;
  const base = basePath.endsWith('/openai') ? basePath : `${basePath}/openai`;
  return `${base}/deployments/${encodeURIComponent(deployment.model)}${specOf(operation).path}${version}`;
}

/** "Please retry after 20 seconds": said in words when the header is missing. */
const statedWait = (message: string): string | undefined => /retry after (\d+) seconds?/i.exec(message)?.[1];
