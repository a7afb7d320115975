/** Where Azure has the Responses API. https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses */
import type { Deployment } from '../../domain/deployment.ts';

/** `api_base` may be the resource alone, or end in `/openai`, `/openai/v1` or `/openai/deployments/NAME`. */
export function azureResponsesPath({ basePath }: Deployment, apiVersion: string): string {
  if (basePath.endsWith('/v1')) return `${basePath}/responses`;
  // Here the model is named by the body alone.
  const resource = basePath.replace(/\/deployments\/[^/]+$/, '');
  const base = resource.endsWith('/openai') ? resource : `${resource}/openai`;
  return `${base}/responses?api-version=${encodeURIComponent(apiVersion)}`;
}
