/**
 * Models of Microsoft Foundry beside Azure OpenAI, in OpenAI's format: the OpenAI-compatible `/openai/v1`, the Model Inference
 * API under `/models`, and serverless endpoints. https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/endpoints,
 * https://learn.microsoft.com/rest/api/aifoundry/modelinference/
 */
import type { Deployment } from '../domain/deployment.ts';
import { type Operation, specOf } from '../domain/operation.ts';
import type { PassThroughAdapter } from './adapter.ts';
import { azureAdapter } from './azure.ts';
import { openAIAdapter } from './openai.ts';

/** The newest version of the Model Inference API. */
const defaultVersion = '2024-05-01-preview';

export const azureAIAdapter: PassThroughAdapter = {
  // Errors are those of Azure OpenAI.
  ...azureAdapter(() => defaultVersion),

  toUpstream(request, deployment) {
    const call = openAIAdapter.toUpstream(request, deployment);
    const key = /^Bearer (.+)$/.exec(deployment.headers['authorization'] ?? '')?.[1];
    return {
      ...call,
      path: toPath(deployment, request.operation),
      // Some endpoints read the one and some the other; Azure's own SDK sends both.
      headers: key === undefined ? call.headers : { ...call.headers, 'api-key': key },
    };
  },
};

/** `api_base` may be a resource alone, or end in `/openai/v1`, `/models` or the `/v1` of a serverless endpoint. */
function toPath({ origin, basePath, apiVersion }: Deployment, operation: Operation): string {
  const { path } = specOf(operation);
  if (basePath.endsWith('/v1')) return `${basePath}${path}`;
  const base = basePath === '' && origin.endsWith('.services.ai.azure.com') ? '/models' : basePath;
  return `${base}${path}?api-version=${encodeURIComponent(apiVersion ?? defaultVersion)}`;
}
