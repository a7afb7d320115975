/** Entries of `model_list`. */
import { z } from 'zod';
import { boolean, count, name, number, positiveCount, positiveSeconds, price, seconds } from './fields.ts';
import { allowedFailsPolicy } from './recovery-keys.ts';

/** LiteLLM's names; they may stand in `litellm_params` and in `model_info`. US dollars. */
const prices = {
  input_cost_per_token: price.optional(),
  output_cost_per_token: price.optional(),
  cache_read_input_token_cost: price.optional(),
  cache_creation_input_token_cost: price.optional(),
  cache_creation_input_token_cost_above_1hr: price.optional(),
  input_cost_per_audio_token: price.optional(),
  output_cost_per_audio_token: price.optional(),
  output_cost_per_reasoning_token: price.optional(),
  input_cost_per_request: price.optional(),
  input_cost_per_image: price.optional(),
  output_cost_per_image: price.optional(),
  input_cost_per_character: price.optional(),
  input_cost_per_second: price.optional(),
  input_cost_per_query: price.optional(),
  input_cost_per_token_above_128k_tokens: price.optional(),
  output_cost_per_token_above_128k_tokens: price.optional(),
  input_cost_per_token_above_200k_tokens: price.optional(),
  output_cost_per_token_above_200k_tokens: price.optional(),
  cache_read_input_token_cost_above_200k_tokens: price.optional(),
  cache_creation_input_token_cost_above_200k_tokens: price.optional(),
  input_cost_per_token_above_272k_tokens: price.optional(),
  output_cost_per_token_above_272k_tokens: price.optional(),
  cache_read_input_token_cost_above_272k_tokens: price.optional(),
};

export const litellmParams = z.looseObject({
  /** `provider/name`; without a provider prefix it is OpenAI's. */
  model: name,
  api_base: name.optional(),
  /** OpenAI's spelling of `api_base`. */
  base_url: name.optional(),
  api_key: name.optional(),
  organization: name.optional(),
  aws_region_name: name.optional(),
  aws_access_key_id: name.optional(),
  aws_secret_access_key: name.optional(),
  aws_session_token: name.optional(),
  /** ARN of the role that calls are made in, and how to get into it. */
  aws_role_name: name.optional(),
  aws_session_name: name.optional(),
  aws_external_id: name.optional(),
  aws_web_identity_token: name.optional(),
  aws_sts_endpoint: name.optional(),
  /** Refused, with what to write instead. */
  aws_profile_name: name.optional(),
  aws_bedrock_runtime_endpoint: name.optional(),
  /** Azure's `api-version`. */
  api_version: name.optional(),
  custom_llm_provider: name.optional(),
  /** The server has `/v1/responses` (or has not): its clients' requests pass through untranslated. */
  use_responses_api: boolean.optional(),
  /** The address and the key of this entry also serve `/PROVIDER/...`. */
  use_in_pass_through: boolean.optional(),
  /** Leave out what this provider cannot express, instead of refusing the request. */
  drop_params: boolean.optional(),
  /** Left out of every request, whatever the provider can: names, and paths such as `tools[*].function.strict`. */
  additional_drop_params: z.array(name).optional(),
  /** Weights of simple-shuffle; the first of weight, rpm, tpm that any deployment of the group has is used. */
  weight: number(z.number().min(0)).optional(),
  rpm: count.optional(),
  tpm: count.optional(),
  /** Seconds for a whole answer. */
  timeout: positiveSeconds.optional(),
  /** Seconds to the first chunk of a stream. */
  stream_timeout: positiveSeconds.optional(),
  /** Longest silence inside a stream, seconds. Our own key. */
  stream_idle_timeout: positiveSeconds.optional(),
  /** Where it is; shown in a header. */
  region_name: name.optional(),
  /** Answers instead of the provider: a text, an answer, or the name of an error. */
  mock_response: z.unknown().optional(),
  /** Retries after a failure of this deployment. */
  max_retries: count.optional(),
  num_retries: count.optional(),
  /** Seconds out of rotation; 0 = never. */
  cooldown_time: seconds.optional(),
  /** Deployments with the lowest order are tried first. */
  order: count.optional(),
  tags: z.array(name).optional(),
  /** Attempts at once, in one process. */
  max_parallel_requests: positiveCount.optional(),
  ...prices,
  /** The model behind a name that says nothing, such as an Azure deployment's: where prices and limits are looked up. */
  base_model: name.optional(),
});

export const modelEntry = z.looseObject({
  /** The model group: what clients call. */
  model_name: name,
  litellm_params: litellmParams,
  model_info: z
    .looseObject({
      id: name.optional(),
      cooldown_time: seconds.optional(),
      allowed_fails: count.optional(),
      allowed_fails_policy: allowedFailsPolicy.optional(),
      rpm: count.optional(),
      tpm: count.optional(),
      max_input_tokens: positiveCount.optional(),
      /** Names that stand for this model group in the `models` of keys and teams. */
      access_groups: z.array(name).optional(),
      max_output_tokens: positiveCount.optional(),
      /** An older name of `max_output_tokens`. */
      max_tokens: positiveCount.optional(),
      base_model: name.optional(),
      ...prices,
    })
    .optional(),
  rpm: count.optional(),
  tpm: count.optional(),
});
