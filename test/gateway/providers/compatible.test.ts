/** Providers that speak OpenAI's format at addresses of their own: from an entry of the config to the call. */
import { describe, expect, it } from 'vitest';
import type { Operation } from '../../../gateway/domain/operation.ts';
import { chooseAdapters } from '../../../gateway/providers/adapters.ts';
import { faultsOf, load } from '../config/load-example.ts';
import { exampleRequest } from '../examples.ts';
import { expectRefusal } from './translating/expect-refusal.ts';

const adapterFor = chooseAdapters({ dropParams: false });

function callOf(params: string, operation: Operation = 'chat', environment: Record<string, string> = {}) {
  const text = `model_list: [{model_name: chat, litellm_params: {${params}}}]`;
  const deployment = load(text, { environment }).config.groups.get('chat')?.[0];
  if (deployment === undefined) throw new Error('there is no such deployment');
  const call = adapterFor(deployment.provider).toUpstream(exampleRequest(undefined, { operation }), deployment);
  return { url: `${call.origin}${call.path}`, headers: call.headers, model: JSON.parse(call.body.toString()).model };
}

describe('cohere', () => {
  it.each(['cohere', 'cohere_chat'])('%s/ is its compatibility API, with its own variable', (provider) => {
    const params = `model: ${provider}/command-a-03-2025`;
    expect(callOf(params, 'chat', { COHERE_API_KEY: 'co-key' })).toMatchObject({
      url: 'https://api.cohere.ai/compatibility/v1/chat/completions',
      headers: { authorization: 'Bearer co-key' },
      model: 'command-a-03-2025',
    });
    expect(callOf(params, 'embeddings', { CO_API_KEY: 'k' }).url).toBe(
      'https://api.cohere.ai/compatibility/v1/embeddings',
    );
  });

  it('rerank is its own API', () => {
    expect(callOf('model: cohere/rerank-v3.5, api_key: k', 'rerank').url).toBe('https://api.cohere.ai/v2/rerank');
    const elsewhere = 'model: cohere/rerank-v3.5, api_key: k, api_base: "http://proxy/x/compatibility/v1"';
    expect(callOf(elsewhere, 'rerank').url).toBe('http://proxy/x/v2/rerank');
  });

  it('what it has not is refused by name', () => {
    for (const operation of ['images', 'speech', 'moderations'] as const) {
      expectRefusal(() => callOf('model: cohere/command-a-03-2025, api_key: k', operation), operation);
    }
  });
});

describe('azure_ai', () => {
  it.each([
    ['https://me.services.ai.azure.com', '/models/chat/completions?api-version=2024-05-01-preview'],
    ['https://me.services.ai.azure.com/models', '/models/chat/completions?api-version=2024-05-01-preview'],
    ['https://me.services.ai.azure.com/openai/v1', '/openai/v1/chat/completions'],
    ['https://m.eastus2.models.ai.azure.com', '/chat/completions?api-version=2024-05-01-preview'],
    ['https://m.eastus2.inference.ai.azure.com/v1', '/v1/chat/completions'],
  ])('%s is called at %s, with the key in both headers', (base, path) => {
    expect(callOf(`model: azure_ai/mistral-large, api_base: "${base}", api_key: az-key`)).toMatchObject({
      url: `${new URL(base).origin}${path}`,
      headers: { authorization: 'Bearer az-key', 'api-key': 'az-key' },
      model: 'mistral-large',
    });
  });

  it('takes its address, key and version from variables and the entry', () => {
    const environment = { AZURE_AI_API_BASE: 'https://me.services.ai.azure.com', AZURE_AI_API_KEY: 'k' };
    expect(callOf('model: azure_ai/x, api_version: "2030-01-01"', 'embeddings', environment).url).toBe(
      'https://me.services.ai.azure.com/models/embeddings?api-version=2030-01-01',
    );
    expect(faultsOf('model_list: [{model_name: chat, litellm_params: {model: azure_ai/x}}]')[0]?.message).toContain(
      'write api_base',
    );
  });
});

it('vertex_ai is left out, with what to write instead', () => {
  const text = `model_list:
  - {model_name: gemini, litellm_params: {model: vertex_ai/gemini-2.5-pro}}
  - {model_name: chat, litellm_params: {model: openai/gpt-4o, api_key: sk-a-key}}`;
  const { config, warnings } = load(text);
  expect([...config.groups.keys()]).toEqual(['chat']);
  expect(warnings.map(({ message }) => message).join()).toMatch(/"vertex_ai" is not supported: .*write gemini\/NAME/);
});
