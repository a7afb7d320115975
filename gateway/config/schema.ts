/** LiteLLM's `config.yaml`, as far as this gateway acts on it. One schema; the types are derived from it. */
import { z } from 'zod';
import { cacheParams } from './schema/cache-params.ts';
import { generalSettings } from './schema/general-settings.ts';
import { litellmSettings } from './schema/litellm-settings.ts';
import { litellmParams, modelEntry } from './schema/model-entry.ts';
import { passThroughEndpoint } from './schema/pass-through-endpoint.ts';
import type { retryPolicyMap } from './schema/recovery-keys.ts';
import { routerSettings } from './schema/router-settings.ts';

export const configSchema = z.looseObject({
  model_list: z.array(modelEntry).min(1),
  litellm_settings: litellmSettings.optional(),
  router_settings: routerSettings.optional(),
  general_settings: generalSettings.optional(),
  /** Where many documents put it; `litellm_settings.cache_params` wins. */
  cache_params: cacheParams.optional(),
  environment_variables: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

export type LiteLLMConfig = z.output<typeof configSchema>;
export type ModelEntry = z.output<typeof modelEntry>;
export type PassThroughEntry = z.output<typeof passThroughEndpoint>;
export type RetryPolicyMap = z.output<typeof retryPolicyMap>;

/** Blocks and the keys this gateway acts on; what stands beside them is reported, since a typo must not be silent. */
export const knownKeys: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(configSchema.shape),
  'model_list[]': Object.keys(modelEntry.shape),
  'model_list[].litellm_params': Object.keys(litellmParams.shape),
  litellm_settings: Object.keys(litellmSettings.shape),
  router_settings: Object.keys(routerSettings.shape),
  general_settings: Object.keys(generalSettings.shape),
  'general_settings.pass_through_endpoints[]': Object.keys(passThroughEndpoint.shape),
  cache_params: Object.keys(cacheParams.shape),
  'litellm_settings.cache_params': Object.keys(cacheParams.shape),
};
