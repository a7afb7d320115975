import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, ModelRequest } from '../../../gateway/domain/request.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';

const deployment = exampleDeployment('d', { model: 'upstream-model' });

/** A request as a client printed it. */
function requestOf(text: string, over: Partial<ModelRequest> = {}): ModelRequest {
  const body: JsonObject = JSON.parse(text);
  return exampleRequest(body, { bytes: Buffer.from(text), model: String(body['model']), ...over });
}

const sent = (text: string, model = deployment.model, over: Partial<ModelRequest> = {}): string =>
  openAIAdapter.toUpstream(requestOf(text, over), { ...deployment, model }).body.toString();

describe('where a request goes', () => {
  it.each([
    ['chat', '/v1/chat/completions'],
    ['embeddings', '/v1/embeddings'],
  ] as const)('%s: %s of the deployment, with its key and as JSON', (operation, path) => {
    const call = openAIAdapter.toUpstream(exampleRequest(undefined, { operation }), deployment);
    expect(call).toMatchObject({
      origin: deployment.origin,
      path,
      headers: { authorization: 'Bearer sk-upstream', 'content-type': 'application/json' },
    });
  });
});

describe('what a provider gets', () => {
  const odd =
    '{ "messages":[{"role":"user","content":"\\u00e9 é 😀"}],\n\t"model" : "chat", "seed":12345678901234567890 }';

  it('the client’s own bytes when nothing has to change', () => {
    const request = requestOf(odd);
    const { body } = openAIAdapter.toUpstream(request, { ...deployment, model: 'chat' });
    expect(body).toBe(request.bytes);
  });

  it('the same bytes around another model name', () => {
    expect(sent(odd)).toBe(odd.replace('"chat"', '"upstream-model"'));
  });

  it('a model name that needs escapes, and one that stands in the messages too', () => {
    const text = '{"messages":[{"role":"user","content":"\\"model\\":\\"chat\\""}],"model":"chat"}';
    expect(sent(text, 'a"b\\c')).toBe(text.replace(/"chat"\}$/, String.raw`"a\"b\\c"}`));
  });

  it('a stream’s request for token counts, in otherwise the same bytes', () => {
    const text = '{ "model":"chat","stream":true,"messages":[]}';
    expect(sent(text, 'chat')).toBe(
      '{"stream_options":{"include_usage":true}, "model":"chat","stream":true,"messages":[]}',
    );
  });

  it('no such request when the client made it, when there is no stream, or for embeddings', () => {
    const asked = '{"model":"chat","stream":true,"messages":[],"stream_options":{"include_usage":true}}';
    expect(sent(asked, 'chat')).toBe(asked);
    const whole = '{"model":"chat","stream":false,"messages":[]}';
    expect(sent(whole, 'chat')).toBe(whole);
    const embedding = '{"model":"chat","input":"x"}';
    expect(sent(embedding, 'chat', { operation: 'embeddings', stream: false })).toBe(embedding);
  });

  it.each([
    ['{"include_usage":false,"other":1}', { include_usage: true, other: 1 }],
    ['{}', { include_usage: true }],
    ['null', { include_usage: true }],
  ])('stream_options %s are completed', (options, expected) => {
    const text = `{"model":"chat","stream":true,"messages":[],"stream_options":${options}}`;
    expect(JSON.parse(sent(text))).toEqual({
      model: 'upstream-model',
      stream: true,
      messages: [],
      stream_options: expected,
    });
  });

  it('of a key that appears twice, only what was authorised here', () => {
    const text = '{"model":"allowed","model":"chat","messages":[{"role":"user","content":"x"}]}';
    const body = sent(text);
    expect(body.match(/"model"/g)).toHaveLength(1);
    expect(JSON.parse(body)).toEqual({ model: 'upstream-model', messages: [{ role: 'user', content: 'x' }] });
  });

  it('nothing that speaks to the gateway', () => {
    const members = ['fallbacks', 'num_retries', 'timeout', 'disable_fallbacks', 'cache', 'tags', 'metadata'];
    for (const member of [...members, 'litellm_metadata']) {
      const text = JSON.stringify({ model: 'chat', messages: [], [member]: 'x', user: 'kept' });
      expect(JSON.parse(sent(text))).toEqual({ model: 'upstream-model', messages: [], user: 'kept' });
    }
  });

  it('for any body: the model is replaced, token counts are asked for, and every other member is the same', () => {
    const bodies = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 });
    fc.assert(
      fc.property(bodies, fc.boolean(), fc.boolean(), fc.constantFrom(0, 2), (extra, stream, escaped, indent) => {
        const body = { ...JSON.parse(JSON.stringify(extra)), model: 'chat', messages: [], stream };
        let text = JSON.stringify(body, undefined, indent);
        if (escaped) text = text.replace('"model"', String.raw`"mod\u0065l"`);
        const expected = { ...body, model: 'upstream-model' };
        if (stream) expected.stream_options = { ...asObject(body.stream_options), include_usage: true };
        for (const member of ['fallbacks', 'timeout', 'cache', 'tags', 'metadata']) delete expected[member];
        expect(JSON.parse(sent(text))).toEqual(JSON.parse(JSON.stringify(expected)));
      }),
      { numRuns: 500 },
    );
  });

  it('a body nested a million deep, which must be printed anew, as it is', () => {
    const deep = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`;
    expect(sent(`{"model":"chat","messages":[],"tags":[],"x":${deep}}`)).toBe(
      `{"model":"upstream-model","messages":[],"x":${deep}}`,
    );
  });
});

describe('what an event of a stream means', () => {
  const meaning = (event: string, body: JsonObject = { model: 'chat', stream: true }) =>
    openAIAdapter.readEvent(Buffer.from(event), exampleRequest(body), deployment);
  const usage = '{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}';
  const asking = { model: 'chat', stream: true, stream_options: { include_usage: true } };

  it.each(['data: [DONE]\n\n', 'data:[DONE]\n\n', 'data: [DONE]\r\n\r\n', 'event: end\ndata: [DONE]\n\n'])(
    '%j is the end',
    (event) => {
      expect(meaning(event)).toEqual({ is: 'end' });
    },
  );

  it('token counts alone are for the client only when it asked', () => {
    const event = `data: {"choices":[],"usage":${usage}}\n\n`;
    const counted = { is: 'usage', usage: { promptTokens: 3, completionTokens: 2 } };
    expect(meaning(event)).toEqual({ ...counted, forClient: false });
    expect(meaning(event, asking)).toEqual({ ...counted, forClient: true });
  });

  it('token counts beside content are for the client', () => {
    expect(meaning(`data: {"choices":[{"delta":{}}],"usage":${usage}}\n\n`)).toMatchObject({ forClient: true });
  });

  it.each([
    'data: {"choices":[{"delta":{"content":"\\"error\\" [DONE]"}}],"usage":null}\n\n',
    'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    'data: {"choices":[],"usage":{"prompt_tokens":-1}}\n\n',
    'data: {"choices":[],"usage":{"prompt_tokens":"3"}}\n\n',
    'data: {"error":null,"choices":[]}\n\n',
    'data: not json [DONE]\n\n',
    ': a comment about an "error"\n\n',
  ])('%j is content', (event) => {
    expect(meaning(event)).toEqual({ is: 'content' });
  });

  it.each<[string, number, string]>([
    ['{"error":{"message":"busy","code":429}}', 429, 'rate-limit'],
    ['{"error":{"message":"busy","code":"503"}}', 503, 'unavailable'],
    ['{"error":{"message":"busy","code":"overloaded"}}', 500, 'unavailable'],
    ['{"error":{"message":"long","code":"context_length_exceeded"}}', 400, 'context-window'],
    ['{"error":"CUDA out of memory"}', 500, 'unavailable'],
  ])('%s is an error of status %d', (data, status, kind) => {
    expect(meaning(`data: ${data}\n\n`)).toMatchObject({ is: 'error', error: { status, kind } });
  });

  it('only what matters is looked at', () => {
    const remarkable = (event: string) => openAIAdapter.isRemarkable(Buffer.from(event));
    expect(remarkable('data: {"choices":[{"delta":{"content":"hi"}}]}\n\n')).toBe(false);
    expect(remarkable('data: {"choices":[{"delta":{"content":"hi"}}],"usage": null}\n\n')).toBe(false);
    expect(remarkable('data: {"choices":[],"usage" : {"prompt_tokens":1}}\n\n')).toBe(true);
    expect(remarkable('data: {"usage":null}\n\ndata: {"usage":{}}\n\n')).toBe(true);
    expect(remarkable('data: [DONE]\n\n')).toBe(true);
    expect(remarkable('data: {"error":{}}\n\n')).toBe(true);
  });
});

const asObject = (value: unknown): object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
