import { describe, expect, it } from 'vitest';
import { exampleRequest } from '../../examples.ts';
import { expectRefusal } from '../translating/expect-refusal.ts';
import { adapter, deployment, deploymentOf, sent, user } from './example.ts';

const weather = { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: {} } } };
const call = (id: string, over: object = {}) => ({
  id,
  type: 'function',
  function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
  ...over,
});
const turn = (calls: readonly object[], results: readonly object[]) => ({
  tools: [weather],
  messages: [user('?'), { role: 'assistant', content: null, tool_calls: calls }, ...results],
});
const result = (id: string, content: unknown) => ({ role: 'tool', tool_call_id: id, content });

describe('the address', () => {
  it.each([
    ['gemini-2.5-flash', '', false, '/v1beta/models/gemini-2.5-flash:generateContent'],
    ['gemini-2.5-flash', '/v1', true, '/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse'],
    ['models/gemini-2.5-flash', '/proxy/v1beta', false, '/proxy/v1beta/models/gemini-2.5-flash:generateContent'],
    ['tunedModels/mine', '', false, '/v1beta/tunedModels/mine:generateContent'],
  ])('%s behind %j, streamed: %s', (model, basePath, stream, path) => {
    const request = exampleRequest({ model: 'chat', messages: [user('Hi')], stream });
    expect(adapter.toUpstream(request, deploymentOf(model, { basePath })).path).toBe(path);
  });

  it('embeddings are refused by name', () => {
    expectRefusal(
      () => adapter.toUpstream(exampleRequest(undefined, { operation: 'embeddings' }), deployment),
      'embeddings',
    );
  });
});

describe('messages', () => {
  it('system messages, neighbours of one role, and empty text', () => {
    const body = sent({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: 'In French.' },
        user([
          { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
          { type: 'text', text: '' },
        ]),
        user('b'),
        { role: 'assistant', content: 'c' },
        user('d'),
      ],
    });
    expect(body).toEqual({
      systemInstruction: { parts: [{ text: 'Be brief.' }, { text: 'In French.' }] },
      contents: [
        { role: 'user', parts: [{ text: 'a' }, { text: 'b' }] },
        { role: 'model', parts: [{ text: 'c' }] },
        { role: 'user', parts: [{ text: 'd' }] },
      ],
    });
  });

  it('calls and results of an older model have no ids, and results that are no objects become one', () => {
    const body = sent(
      turn([call('a'), call('b')], [result('a', 'Sunny'), result('b', '{"rain":true}'), user('And now?')]),
    );
    expect(body['contents']).toMatchObject([
      {},
      {
        role: 'model',
        parts: [
          { functionCall: { name: 'get_weather', args: { city: 'Paris' } } },
          { functionCall: { name: 'get_weather', args: { city: 'Paris' } } },
        ],
      },
      {
        role: 'user',
        parts: [
          { functionResponse: { name: 'get_weather', response: { output: 'Sunny' } } },
          { functionResponse: { name: 'get_weather', response: { rain: true } } },
          { text: 'And now?' },
        ],
      },
    ]);
    expect(JSON.stringify(body)).not.toMatch(/"id"|thoughtSignature/);
  });

  it('the signature of a thought comes back from the id, or from its own place', () => {
    const fields = { provider_specific_fields: { thought_signature: 'own==' } };
    const body = sent(
      turn([call('fc1__thought__in+the/id=='), call('fc2', fields)], [result('fc1__thought__in+the/id==', 'x')]),
      'gemini-3-pro',
    );
    expect(body['contents']).toMatchObject([
      {},
      {
        parts: [
          { functionCall: { id: 'fc1' }, thoughtSignature: 'in+the/id==' },
          { functionCall: { id: 'fc2' }, thoughtSignature: 'own==' },
        ],
      },
      { parts: [{ functionResponse: { id: 'fc1', name: 'get_weather' } }] },
    ]);
  });

  it('calls that another provider made are let through by the word that Google has for it', () => {
    const body = sent(turn([call('toolu_1'), call('toolu_2')], [result('toolu_1', 'x')]), 'gemini-3-flash');
    const [, model] = JSON.parse(JSON.stringify(body['contents']));
    expect(model.parts[0].thoughtSignature).toBe('skip_thought_signature_validator');
    expect(model.parts[1]).not.toHaveProperty('thoughtSignature');
  });

  it.each([
    [
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } },
    ],
    [
      { type: 'image_url', image_url: { url: 'https://example.com/a.JPG?x=1' } },
      { fileData: { fileUri: 'https://example.com/a.JPG?x=1', mimeType: 'image/jpeg' } },
    ],
    [
      { type: 'image_url', image_url: { url: 'https://example.com' } },
      { fileData: { fileUri: 'https://example.com' } },
    ],
    [
      { type: 'file', file: { file_id: 'https://generativelanguage.googleapis.com/v1beta/files/abc' } },
      { fileData: { fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/abc' } },
    ],
    [{ type: 'file', file: { file_id: 'files/abc' } }, { fileData: { fileUri: 'files/abc' } }],
    [
      { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBERi0=' } },
      { inlineData: { mimeType: 'application/pdf', data: 'JVBERi0=' } },
    ],
    [
      { type: 'input_audio', input_audio: { data: 'AAAA', format: 'mp3' } },
      { inlineData: { mimeType: 'audio/mp3', data: 'AAAA' } },
    ],
  ])('%j', (part, expected) => {
    expect(sent({ messages: [user([part])] })['contents']).toEqual([{ role: 'user', parts: [expected] }]);
  });

  it('an image in a result stands beside its response', () => {
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    const body = sent(turn([call('a')], [result('a', [{ type: 'text', text: 'Here' }, image])]), 'gemini-3-pro');
    expect(body['contents']).toMatchObject([
      {},
      {},
      {
        parts: [
          { functionResponse: { response: { output: 'Here' }, parts: [{ inlineData: { mimeType: 'image/png' } }] } },
        ],
      },
    ]);
  });

  it.each<[string, object]>([
    ['messages[0].content[0]', { messages: [user([{ type: 'search_result' }])] }],
    ['messages', { messages: [user('')] }],
    ['messages[1].tool_call_id', { messages: [user('?'), result('unknown', 'x')] }],
  ])('%s is refused by name', (param, body) => {
    expectRefusal(() => sent({ ...body }), param);
  });
});

describe('tools', () => {
  it.each([
    ['auto', { mode: 'AUTO' }],
    ['none', { mode: 'NONE' }],
    ['required', { mode: 'ANY' }],
    [
      { type: 'function', function: { name: 'get_weather' } },
      { mode: 'ANY', allowedFunctionNames: ['get_weather'] },
    ],
  ])('tool_choice %j', (choice, functionCallingConfig) => {
    expect(sent({ tools: [weather], tool_choice: choice })['toolConfig']).toEqual({ functionCallingConfig });
    expect(sent({ tool_choice: choice })).not.toHaveProperty('toolConfig');
  });

  it("the provider's own tools pass, a search is one of them, OpenAI's custom tools are refused", () => {
    expect(sent({ tools: [weather, { codeExecution: {} }], web_search_options: {} })['tools']).toEqual([
      { functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: { type: 'object', properties: {} } }] },
      { codeExecution: {} },
      { googleSearch: {} },
    ]);
    expectRefusal(() => sent({ tools: [{ type: 'custom', custom: { name: 'x' } }] }), 'tools[0]');
  });

  it('one call at a time can be promised for one tool only', () => {
    const parallel_tool_calls = false;
    expect(sent({ tools: [weather], parallel_tool_calls })).toEqual(sent({ tools: [weather] }));
    expectRefusal(() => sent({ tools: [weather, weather], parallel_tool_calls }), 'parallel_tool_calls');
    expect(sent({ tools: [weather, weather], parallel_tool_calls }, 'gemini-2.5-flash', true)).toHaveProperty('tools');
  });
});

describe('parameters', () => {
  it('settings of the generation', () => {
    const body = sent({
      n: 2,
      max_tokens: 5,
      temperature: 0.1,
      top_p: 0.9,
      top_k: 7,
      stop: 'A',
      seed: 1,
      frequency_penalty: 0.2,
      presence_penalty: 0.3,
      logprobs: true,
      top_logprobs: 3,
    });
    expect(body['generationConfig']).toEqual({
      candidateCount: 2,
      maxOutputTokens: 5,
      temperature: 0.1,
      topP: 0.9,
      topK: 7,
      stopSequences: ['A'],
      seed: 1,
      frequencyPenalty: 0.2,
      presencePenalty: 0.3,
      responseLogprobs: true,
      logprobs: 3,
    });
    expect(sent({ n: 1, logprobs: false, top_logprobs: 2, user: 'u', store: true })).toEqual(sent({}));
    expectRefusal(() => sent({ seed: 'x' }), 'seed');
  });

  it.each<[string, unknown]>([
    ['logit_bias', { 1: 2 }],
    ['modalities', ['audio']],
    ['functions', [{}]],
    ['service_tier', 'scale'],
  ])('%s is refused by name, or dropped on demand', (param, value) => {
    expectRefusal(() => sent({ [param]: value }), param);
    expect(sent({ [param]: value }, 'gemini-2.5-flash', true)).toEqual(sent({}));
  });

  it('JSON by a schema, and without one', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } } };
    expect(
      sent({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })['generationConfig'],
    ).toEqual({
      responseMimeType: 'application/json',
      responseJsonSchema: schema,
    });
    expect(sent({ response_format: { type: 'json_object' } })['generationConfig']).toEqual({
      responseMimeType: 'application/json',
    });
  });

  it.each([
    ['gemini-2.5-flash', 'low', { includeThoughts: true, thinkingBudget: 1024 }],
    ['gemini-2.5-pro', 'high', { includeThoughts: true, thinkingBudget: 24_576 }],
    ['gemini-2.5-flash', 'none', { thinkingBudget: 0 }],
    ['gemini-2.5-pro', 'none', { thinkingBudget: 128 }],
    ['gemini-3-flash-preview', 'minimal', { includeThoughts: true, thinkingLevel: 'MINIMAL' }],
    ['gemini-3.1-pro-preview', 'minimal', { includeThoughts: true, thinkingLevel: 'LOW' }],
    ['gemini-flash-latest', 'max', { includeThoughts: true, thinkingLevel: 'HIGH' }],
    ['gemini-3-pro', 'none', { thinkingLevel: 'LOW' }],
    ['gemini-3-flash', 'none', { thinkingLevel: 'MINIMAL' }],
  ])('%s with effort %s', (model, reasoning_effort, thinkingConfig) => {
    expect(sent({ reasoning_effort }, model)['generationConfig']).toEqual({ thinkingConfig });
  });

  it('an effort means nothing to models that do not think', () => {
    expect(sent({ reasoning_effort: 'high' }, 'gemini-2.0-flash')).toEqual(sent({}, 'gemini-2.0-flash'));
    expect(sent({ thinking: { type: 'enabled' } }, 'gemma-3-27b-it')).toEqual(sent({}, 'gemma-3-27b-it'));
  });

  it.each([
    [
      { type: 'enabled', budget_tokens: 500 },
      { includeThoughts: true, thinkingBudget: 500 },
    ],
    [{ type: 'adaptive' }, { includeThoughts: true, thinkingBudget: -1 }],
    [{ type: 'disabled' }, { thinkingBudget: 0 }],
  ])("Anthropic's thinking %j", (thinking, thinkingConfig) => {
    expect(sent({ thinking })['generationConfig']).toEqual({ thinkingConfig });
  });

  it("the provider's own members stand where it reads them, the gateway's stay here", () => {
    const safety_settings = [{ category: 'HARM_CATEGORY_HATE_SPEECH', threshold: 'BLOCK_NONE' }];
    expect(
      sent({
        safety_settings,
        cachedContent: 'cachedContents/1',
        labels: { team: 'a' },
        mediaResolution: 'MEDIA_RESOLUTION_LOW',
        generationConfig: { speechConfig: {} },
        tool_config: { retrievalConfig: { languageCode: 'fr' } },
        service_tier: 'default',
        fallbacks: ['x'],
      }),
    ).toEqual({
      ...sent({}),
      safety_settings,
      cachedContent: 'cachedContents/1',
      labels: { team: 'a' },
      generationConfig: { mediaResolution: 'MEDIA_RESOLUTION_LOW', speechConfig: {} },
      toolConfig: { retrievalConfig: { languageCode: 'fr' } },
      serviceTier: 'standard',
    });
  });
});
