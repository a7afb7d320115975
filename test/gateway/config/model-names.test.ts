import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { load } from './load-example.ts';

/** The deployment of one entry, given as the inside of its block. */
function one(params: string, info = '{}'): Deployment | undefined {
  const text = `model_list: [{model_name: a, litellm_params: {${params}, api_key: sk-key}, model_info: ${info}}]`;
  return [...load(text).config.groups.values()][0]?.[0];
}

describe('price lists know a deployment by', () => {
  it.each<[string, string, string, { provider: string; model: string } | undefined]>([
    ['its own name at its provider', 'model: openai/gpt-4o', '{}', { provider: 'openai', model: 'gpt-4o' }],
    [
      'its name at a regional address of its provider',
      'model: gpt-4o, api_base: "https://eu.api.openai.com/v1"',
      '{}',
      { provider: 'openai', model: 'gpt-4o' },
    ],
    ['nothing where anybody may answer', 'model: openai/gpt-4o, api_base: "http://gpu:8000/v1"', '{}', undefined],
    [
      'nothing behind a name that only looks like the provider',
      'model: gpt-4o, api_base: "https://notapi.openai.com.example/v1"',
      '{}',
      undefined,
    ],
    ['nothing at a server of one’s own', 'model: hosted_vllm/gpt-4o, api_base: "http://gpu:8000/v1"', '{}', undefined],
    [
      'a base model, for a name that says nothing',
      'model: azure/prod-7, api_base: "https://x.openai.azure.com"',
      '{base_model: azure/gpt-4o}',
      { provider: 'azure', model: 'gpt-4o' },
    ],
    [
      'a base model in either place, model_info first',
      'model: openai/x, api_base: "http://gpu:8000/v1", base_model: o3',
      '{base_model: gpt-4o}',
      { provider: 'openai', model: 'gpt-4o' },
    ],
    [
      'a base model of another provider',
      'model: openai/x, api_base: "http://gpu:8000/v1", base_model: mistral/mistral-large-latest',
      '{}',
      { provider: 'mistral', model: 'mistral-large-latest' },
    ],
  ])('%s', (_by, params, info, name) => {
    expect(one(params, info)?.listedAs).toEqual(name);
  });
});

describe('prices and limits of an entry', () => {
  it('stand in litellm_params or in model_info, the former first', () => {
    const found = one(
      'model: gpt-4o, input_cost_per_token: 1, cache_read_input_token_cost: "1e-7"',
      '{input_cost_per_token: 2, output_cost_per_token: 3, input_cost_per_token_above_200k_tokens: 4, max_input_tokens: 5, max_tokens: 6}',
    );
    expect(found?.prices).toEqual({
      inputCostPerToken: 1,
      outputCostPerToken: 3,
      cacheReadCostPerToken: 1e-7,
      tiers: [{ aboveTokens: 200_000, inputCostPerToken: 4 }],
    });
    expect(found).toMatchObject({ maxInputTokens: 5, maxOutputTokens: 6 });
  });

  it('that are no numbers are faults, all at once, with their places', () => {
    const text = `model_list:
  - model_name: a
    litellm_params: {model: gpt-4o, api_key: sk-key, cache_read_input_token_cost: free}
    model_info: {output_cost_per_token: -1}`;
    expect(() => load(text)).toThrow(
      /cache_read_input_token_cost: "free" is not a number[^]*model_info\.output_cost_per_token: -1 is too small/,
    );
  });
});

it('a region is that of the entry, or of the AWS address', () => {
  expect(one('model: gpt-4o, region_name: eu')?.region).toBe('eu');
  expect(one('model: bedrock/amazon.nova-pro-v1:0, aws_region_name: eu-west-1')?.region).toBe('eu-west-1');
  expect(one('model: bedrock/us-west-2/amazon.nova-pro-v1:0')?.region).toBe('us-west-2');
  expect(one('model: gpt-4o')?.region).toBeUndefined();
});

it('checks that this version does not make are named, and the one that it makes is on', () => {
  const entry = 'model_list: [{model_name: a, litellm_params: {model: gpt-4o}}]';
  const { config, warnings } = load(
    `${entry}\nrouter_settings: {optional_pre_call_checks: [enforce_model_rate_limits, prompt_caching]}`,
  );
  expect(config.routing.enforceRateLimits).toBe(true);
  expect(warnings.map(({ message }) => message)).toEqual([
    '"prompt_caching" is not a check this version makes; enforce_model_rate_limits is',
  ]);
  expect(load(entry).config.routing.enforceRateLimits).toBe(false);
  expect(load(`${entry}\ngeneral_settings: {default_output_tokens: 100}`).config.admission.defaultOutputTokens).toBe(
    100,
  );
});
