import { describe, expect, it } from 'vitest';
import { modelIdOf, regionOf, regionOfArn } from '../../../../gateway/domain/bedrock-model.ts';
import { exampleRequest } from '../../examples.ts';
import { expectRefusal } from '../translating/expect-refusal.ts';
import { adapter, claude, deployment, deploymentOf, sent, user } from './example.ts';

const weather = { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: {} } } };
const call = (id: string) => ({
  id,
  type: 'function',
  function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
});
const nova = 'amazon.nova-pro-v1:0';
const profile = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0';

describe('the model', () => {
  it.each([
    [claude, `/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse`],
    ['us.anthropic.claude-opus-4-6-v1', '/model/us.anthropic.claude-opus-4-6-v1/converse'],
    ['converse/us-west-2/amazon.nova-pro-v1:0', '/model/amazon.nova-pro-v1%3A0/converse'],
    [
      profile,
      '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse',
    ],
  ])('%s', (model, path) => {
    expect(adapter.toUpstream(exampleRequest(), deploymentOf(model)).path).toBe(path);
  });

  it('a stream has an address of its own, behind the base of the deployment', () => {
    const request = exampleRequest({ model: 'chat', messages: [user('Hi')], stream: true });
    const { path } = adapter.toUpstream(request, deploymentOf('m', { basePath: '/proxy' }));
    expect(path).toBe('/proxy/model/m/converse-stream');
  });

  it('a region may stand in front of the id or inside of an ARN', () => {
    expect(regionOf('us-gov-west-1/amazon.nova-pro-v1:0')).toBe('us-gov-west-1');
    expect(modelIdOf('us-gov-west-1/amazon.nova-pro-v1:0')).toBe('amazon.nova-pro-v1:0');
    expect(regionOf('us.anthropic.claude-opus-4-6-v1')).toBeUndefined();
    expect(regionOfArn(profile)).toBe('us-east-1');
    expect(regionOfArn(nova)).toBeUndefined();
  });

  it('embeddings are refused by name', () => {
    expectRefusal(
      () => adapter.toUpstream(exampleRequest(undefined, { operation: 'embeddings' }), deployment),
      'embeddings',
    );
  });
});

describe('messages', () => {
  it('a conversation with calls, thoughts and results', () => {
    const body = sent({
      tools: [weather],
      messages: [
        { role: 'system', content: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h' } },
        user([{ type: 'text', text: 'Weather?', cache_control: { type: 'ephemeral' } }]),
        {
          role: 'assistant',
          content: 'Wait.',
          thinking_blocks: [
            { type: 'thinking', thinking: 'Hm', signature: 's' },
            { type: 'redacted_thinking', data: 'AAAA' },
          ],
          tool_calls: [call('tooluse_1')],
        },
        { role: 'tool', tool_call_id: 'tooluse_1', content: 'Sunny', cache_control: { type: 'ephemeral' } },
        user('And now?'),
      ],
    });
    expect(body['system']).toEqual([{ text: 'Be brief.' }, { cachePoint: { type: 'default', ttl: '1h' } }]);
    expect(body['messages']).toEqual([
      { role: 'user', content: [{ text: 'Weather?' }, { cachePoint: { type: 'default' } }] },
      {
        role: 'assistant',
        content: [
          { reasoningContent: { reasoningText: { text: 'Hm', signature: 's' } } },
          { reasoningContent: { redactedContent: 'AAAA' } },
          { text: 'Wait.' },
          { toolUse: { toolUseId: 'tooluse_1', name: 'get_weather', input: { city: 'Paris' } } },
        ],
      },
      {
        role: 'user',
        content: [
          { toolResult: { toolUseId: 'tooluse_1', content: [{ text: 'Sunny' }] } },
          { cachePoint: { type: 'default' } },
          { text: 'And now?' },
        ],
      },
    ]);
  });

  it('ids of another provider that are too long are replaced, the same for the call and its result', () => {
    const id = `call_${'x'.repeat(80)}`;
    const body = sent({
      tools: [weather],
      messages: [
        user('?'),
        { role: 'assistant', tool_calls: [call(id)] },
        { role: 'tool', tool_call_id: id, content: 'x' },
      ],
    });
    const ids = [...JSON.stringify(body).matchAll(/"toolUseId":"([^"]+)"/g)].map(([, found]) => found);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
    expect(ids[0]).toBe(ids[1]);
  });

  it.each([
    [
      { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,/9j/' } },
      { image: { format: 'jpeg', source: { bytes: '/9j/' } } },
    ],
    [
      { type: 'file', file: { filename: 'Q3: report_v2.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
      { document: { format: 'pdf', name: 'Q3- report-v2', source: { bytes: 'JVBERi0=' } } },
    ],
  ])('%j', (part, block) => {
    expect(sent({ messages: [user([part])] })['messages']).toEqual([{ role: 'user', content: [block] }]);
  });

  it('documents of one conversation have different names', () => {
    const file = { type: 'file', file: { file_data: 'data:text/plain;base64,SGkh' } };
    const text = JSON.stringify(sent({ messages: [user([file, file])] }));
    expect([...text.matchAll(/"name":"([^"]+)"/g)].map(([, name]) => name)).toEqual(['document', 'document 2']);
  });

  it.each<[string, unknown]>([
    ['messages[0].content[0]', [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }]],
    ['messages[0].content[0]', [{ type: 'image_url', image_url: { url: 's3://bucket/a.webp' } }]],
    ['messages[0].content[0]', [{ type: 'file', file: { file_id: 's3://bucket/a.pdf' } }]],
    ['messages[0].content[0]', [{ type: 'file', file: { file_id: 'file_1' } }]],
    ['messages[0].content[0]', [{ type: 'image_url', image_url: { url: 'data:image/tiff;base64,AAAA' } }]],
    ['messages[0].content[0]', [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }]],
    ['messages[0].content[0]', [{ type: 'search_result', source: 'x' }]],
    ['messages', ' '],
  ])('%s is refused by name for %j', (param, content) => {
    expectRefusal(() => sent({ messages: [user(content)] }), param);
  });
});

describe('tools', () => {
  it.each([
    ['auto', { auto: {} }],
    ['required', { any: {} }],
    [{ type: 'function', function: { name: 'get_weather' } }, { tool: { name: 'get_weather' } }],
  ])('tool_choice %j', (choice, toolChoice) => {
    expect(sent({ tools: [weather], tool_choice: choice })['toolConfig']).toMatchObject({ toolChoice });
  });

  it('tool_choice none: no tools, unless the conversation has calls', () => {
    expect(sent({ tools: [weather], tool_choice: 'none' })).not.toHaveProperty('toolConfig');
    const messages = [
      user('?'),
      { role: 'assistant', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: 'x' },
    ];
    expect(sent({ tools: [weather], tool_choice: 'none', messages })['toolConfig']).toMatchObject({
      tools: [{ toolSpec: { name: 'get_weather' } }],
    });
    expect(sent({ messages })['toolConfig']).toEqual({
      tools: [{ toolSpec: { name: 'get_weather', inputSchema: { json: { type: 'object', properties: {} } } } }],
    });
  });

  it('one call at a time: Claude is told, other models refuse', () => {
    const body = { tools: [weather], parallel_tool_calls: false };
    expect(sent(body)['additionalModelRequestFields']).toEqual({
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
    });
    expectRefusal(() => sent(body, nova), 'parallel_tool_calls');
    expect(sent(body, nova, true)).not.toHaveProperty('additionalModelRequestFields');
  });

  it("Bedrock's own tools pass, OpenAI's custom ones are refused", () => {
    expect(sent({ tools: [{ systemTool: { name: 'nova_grounding' } }] }, nova)['toolConfig']).toEqual({
      tools: [{ systemTool: { name: 'nova_grounding' } }],
    });
    expectRefusal(() => sent({ tools: [{ type: 'custom', custom: { name: 'x' } }] }), 'tools[0]');
  });
});

describe('parameters', () => {
  it('settings of the inference', () => {
    const body = sent({ max_tokens: 5, temperature: 0.1, top_p: 0.9, stop: ['A', 'B'], top_k: 7 });
    expect(body['inferenceConfig']).toEqual({ maxTokens: 5, temperature: 0.1, topP: 0.9, stopSequences: ['A', 'B'] });
    expect(body['additionalModelRequestFields']).toEqual({ top_k: 7 });
    expect(sent({ top_k: 7 }, nova)['additionalModelRequestFields']).toEqual({ inferenceConfig: { topK: 7 } });
    expect(sent({})).toEqual({ messages: [{ role: 'user', content: [{ text: 'Hello!' }] }] });
  });

  it.each<[string, unknown]>([
    ['n', 2],
    ['logprobs', true],
    ['seed', 1],
    ['frequency_penalty', 1],
    ['functions', [{}]],
    ['service_tier', 'scale'],
  ])('%s is refused by name, or dropped on demand', (param, value) => {
    expectRefusal(() => sent({ [param]: value }), param);
    expect(sent({ [param]: value }, claude, true)).toEqual(sent({}));
  });

  it.each([
    [claude, 'low', { thinking: { type: 'enabled', budget_tokens: 1024 } }, undefined],
    ['us.anthropic.claude-opus-4-6-v1', 'high', { thinking: { type: 'adaptive' } }, { effort: 'high' }],
    ['openai.gpt-oss-120b-1:0', 'medium', { reasoning_effort: 'medium' }, undefined],
    ['amazon.nova-2-lite-v1:0', 'max', { reasoningConfig: { type: 'enabled', maxReasoningEffort: 'high' } }, undefined],
    ['deepseek.v3-v1:0', 'minimal', undefined, { effort: 'low' }],
    ['deepseek.v3-v1:0', 'none', undefined, undefined],
  ])('%s with effort %s', (model, reasoning_effort, fields, outputConfig) => {
    const body = sent({ reasoning_effort }, model);
    expect(body['additionalModelRequestFields']).toEqual(fields);
    expect(body['outputConfig']).toEqual(outputConfig);
  });

  it('a budget for thinking makes a limit, and room for the answer', () => {
    expect(sent({ thinking: { type: 'enabled', budget_tokens: 2000 } })).toMatchObject({
      inferenceConfig: { maxTokens: 6096 },
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 2000 } },
    });
  });

  it('JSON by a schema, and without one', () => {
    const schema = { type: 'object', properties: {}, additionalProperties: false };
    const json_schema = { name: 'person', description: 'A person', schema };
    expect(sent({ response_format: { type: 'json_schema', json_schema } })['outputConfig']).toEqual({
      textFormat: {
        type: 'json_schema',
        structure: { jsonSchema: { name: 'person', description: 'A person', schema: JSON.stringify(schema) } },
      },
    });
    expect(sent({ response_format: { type: 'json_object' } })['system']).toEqual([
      { text: expect.stringContaining('JSON object') },
    ]);
  });

  it("members of Converse stay in front, the model's own go where it reads them, the gateway's stay here", () => {
    const guardrailConfig = { guardrailIdentifier: 'g', guardrailVersion: '1' };
    const body = sent({
      guardrailConfig,
      requestMetadata: { team: 'a' },
      anthropic_beta: ['x'],
      additionalModelRequestFields: { y: 1 },
      fallbacks: ['z'],
      service_tier: 'flex',
    });
    expect(body).toMatchObject({
      guardrailConfig,
      requestMetadata: { team: 'a' },
      serviceTier: { type: 'flex' },
      additionalModelRequestFields: { anthropic_beta: ['x'], y: 1 },
    });
    expect(JSON.stringify(body)).not.toContain('fallbacks');
  });
});
