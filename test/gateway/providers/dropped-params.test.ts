import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';
import { chooseAdapters } from '../../../gateway/providers/adapters.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';
import { expectRefusal } from './translating/expect-refusal.ts';

const question = { model: 'chat', messages: [{ role: 'user', content: 'Hello!' }] };

function sent(provider: string, body: JsonObject, over: Partial<Deployment> = {}, dropParams = false): JsonObject {
  const deployment = exampleDeployment('d', { provider, model: 'm', headers: {}, ...over });
  const request = exampleRequest({ ...question, ...body });
  return JSON.parse(chooseAdapters({ dropParams })(provider).toUpstream(request, deployment).body.toString());
}

describe('what a provider cannot express', () => {
  const cannot = { seed: 7 };

  it.each(['anthropic', 'bedrock'])(
    '%s: the request decides before the deployment, and that before the gateway',
    (provider) => {
      expectRefusal(() => sent(provider, cannot), 'seed');
      expect(sent(provider, cannot, {}, true)).not.toHaveProperty('seed');
      expect(sent(provider, cannot, { dropParams: true })).not.toHaveProperty('seed');
      expectRefusal(() => sent(provider, cannot, { dropParams: false }, true), 'seed');
      expect(sent(provider, { ...cannot, drop_params: true }, { dropParams: false })).not.toHaveProperty('seed');
      expectRefusal(() => sent(provider, { ...cannot, drop_params: false }, { dropParams: true }, true), 'seed');
    },
  );

  it('gemini: the same', () => {
    const bias = { logit_bias: { 1: 2 } };
    expectRefusal(() => sent('gemini', bias), 'logit_bias');
    expect(sent('gemini', { ...bias, drop_params: true })).not.toHaveProperty('logit_bias');
  });

  it('drop_params of a request must be a boolean', () => {
    expectRefusal(() => sent('openai', { drop_params: 'yes' }), 'drop_params');
  });
});

describe('what is always left out', () => {
  const tools = [
    { type: 'function', function: { name: 'a', strict: true, parameters: { type: 'object', title: 'A' } } },
    { type: 'function', function: { name: 'b', strict: true } },
  ];

  it.each<[string[], JsonObject, JsonObject]>([
    [['seed'], { seed: 1, user: 'u' }, { user: 'u' }],
    [['seed', 'user'], { seed: 1, user: 'u' }, {}],
    [['nothing.of[*].this'], { seed: 1 }, { seed: 1 }],
    [
      ['response_format.json_schema.strict'],
      { response_format: { type: 'x', json_schema: { strict: true, name: 'n' } } },
      { response_format: { type: 'x', json_schema: { name: 'n' } } },
    ],
    [
      ['tools[*].function.strict'],
      { tools },
      {
        tools: [
          { type: 'function', function: { name: 'a', parameters: { type: 'object', title: 'A' } } },
          { type: 'function', function: { name: 'b' } },
        ],
      },
    ],
    [
      ['tools[0].function.parameters.title'],
      { tools },
      {
        tools: [{ type: 'function', function: { name: 'a', strict: true, parameters: { type: 'object' } } }, tools[1]],
      },
    ],
    [['tools[1]'], { tools }, { tools: [tools[0]] }],
    [['a.b'], { 'a.b': 1, a: { b: 2 } }, { a: { b: 2 } }],
    [['__proto__.x', 'constructor'], { seed: 1 }, { seed: 1 }],
    // How the request goes and is answered is decided elsewhere.
    [['model', 'stream'], { seed: 1 }, { seed: 1 }],
  ])('%j', (droppedParams, body, rest) => {
    const expected = { ...question, model: 'm', ...rest };
    expect(sent('openai', body, { droppedParams })).toEqual(expected);
    expect(sent('openai', { ...body, additional_drop_params: droppedParams })).toEqual(expected);
  });

  it('lists of the deployment and of the request add up', () => {
    const body = { seed: 1, user: 'u', temperature: 1, additional_drop_params: ['seed'] };
    expect(sent('azure', body, { droppedParams: ['user'] })).toEqual({ ...question, model: 'm', temperature: 1 });
    expect(sent('anthropic', { ...body, max_tokens: 5 }, { droppedParams: ['temperature'] })).not.toHaveProperty(
      'temperature',
    );
  });

  it('a server that does not know stream_options is not sent any, not even the gateway’s own', () => {
    const body = { stream: true, stream_options: { include_usage: true } };
    expect(sent('hosted_vllm', body, { droppedParams: ['stream_options'] })).toEqual({
      ...question,
      model: 'm',
      stream: true,
    });
    expect(sent('hosted_vllm', { stream: true }, { droppedParams: ['stream_options'] })).toEqual({
      ...question,
      model: 'm',
      stream: true,
    });
  });

  it('is left out of requests that pass through in the provider’s own API, too', () => {
    const body = { ...question, max_tokens: 5, metadata: { user_id: 'u' } };
    const native = chooseAdapters({ dropParams: false })('anthropic').native?.messages;
    const deployment = exampleDeployment('d', { provider: 'anthropic', model: 'm', droppedParams: ['metadata'] });
    const call = native?.toUpstream(exampleRequest(body), deployment);
    expect(JSON.parse(call?.body.toString() ?? '')).toEqual({ ...question, model: 'm', max_tokens: 5 });
  });

  it('where nothing is to be left out the client’s bytes are sent on as they came', () => {
    const request = exampleRequest({ ...question, model: 'm' });
    const adapter = chooseAdapters({ dropParams: true })('openai');
    const deployment = exampleDeployment('d', { model: 'm', droppedParams: ['seed'] });
    expect(adapter.toUpstream(request, deployment).body).toBe(request.bytes);
  });

  it.each(['seed', [1], {}])('%j is no list of names', (additional_drop_params) => {
    expectRefusal(() => sent('openai', { additional_drop_params }), 'additional_drop_params');
  });

  it('files of a form are nobody’s business', () => {
    const form = exampleRequest(undefined, {
      operation: 'transcriptions',
      contentType: 'multipart/form-data; boundary=x',
      bytes: Buffer.from('--x--\r\n'),
    });
    const call = chooseAdapters({ dropParams: false })('openai').toUpstream(
      form,
      exampleDeployment('d', { droppedParams: ['file'] }),
    );
    expect(call.body).toBe(form.bytes);
  });
});
