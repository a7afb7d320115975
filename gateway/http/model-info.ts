/** What is told of deployments and model groups, in LiteLLM's shape. No key, no header, no credential in an address. */
import type { Deployment } from '../domain/deployment.ts';

/** One entry of `/model/info`. */
export const deploymentInfo = (deployment: Deployment) => ({
  model_name: deployment.modelGroup,
  litellm_params: {
    model: `${deployment.provider}/${deployment.model}`,
    custom_llm_provider: deployment.provider,
    api_base: `${deployment.origin}${deployment.basePath}`,
    ...present({
      api_version: deployment.apiVersion,
      aws_region_name: deployment.aws?.region,
      rpm: deployment.rpm,
      tpm: deployment.tpm,
      weight: deployment.weight,
      order: deployment.order,
      tags: deployment.tags,
      max_parallel_requests: deployment.maxParallelRequests,
      max_retries: deployment.maxRetries,
      timeout: deployment.timeoutSeconds,
      stream_timeout: deployment.streamTimeoutSeconds,
      use_in_pass_through: deployment.inPassThrough,
    }),
  },
  model_info: {
    id: deployment.id,
    db_model: false,
    key: deployment.model,
    litellm_provider: deployment.provider,
    max_input_tokens: deployment.maxInputTokens ?? null,
    ...prices([deployment]),
  },
});

/** One entry of `/model_group/info`: of all its deployments together. */
export const groupInfo = (name: string, deployments: readonly Deployment[]) => ({
  model_group: name,
  providers: [...new Set(deployments.map(({ provider }) => provider))],
  max_input_tokens: largest(deployments.map(({ maxInputTokens }) => maxInputTokens)),
  ...prices(deployments),
  rpm: sum(deployments.map(({ rpm }) => rpm)),
  tpm: sum(deployments.map(({ tpm }) => tpm)),
});

/** The dearest of a group: what a request may cost. An unknown price is null, never 0. */
const prices = (deployments: readonly Deployment[]) => ({
  input_cost_per_token: largest(deployments.map(({ prices: stated }) => stated?.inputCostPerToken)),
  output_cost_per_token: largest(deployments.map(({ prices: stated }) => stated?.outputCostPerToken)),
});

const stated = (numbers: readonly (number | undefined)[]): number[] => numbers.filter((number) => number !== undefined);

function largest(numbers: readonly (number | undefined)[]): number | null {
  const known = stated(numbers);
  return known.length === 0 ? null : Math.max(...known);
}

/** A deployment without a limit has no end; then neither has the group. */
const sum = (numbers: readonly (number | undefined)[]): number | null =>
  numbers.length > 0 && stated(numbers).length === numbers.length
    ? stated(numbers).reduce((total, number) => total + number, 0)
    : null;

const present = (members: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
