import { describe, expect, it } from 'vitest';
import { expectRefusal } from '../translating/expect-refusal.ts';
import { sent } from './example.ts';

describe('limits', () => {
  it('max_completion_tokens wins over max_tokens; without both a default is stated', () => {
    expect(sent({ max_tokens: 5, max_completion_tokens: 7 })['max_tokens']).toBe(7);
    expect(sent({ max_tokens: 5 })['max_tokens']).toBe(5);
    expect(sent({})['max_tokens']).toBe(4096);
    expect(sent({}, 'claude-opus-4-6')['max_tokens']).toBe(32_000);
    expect(sent({ reasoning_effort: 'high' })['max_tokens']).toBe(4096 + 4096);
    expect(sent({ thinking: { type: 'enabled', budget_tokens: 9000 } })['max_tokens']).toBe(9000 + 4096);
  });

  it.each([
    ['max_tokens', '5'],
    ['max_tokens', 0],
    ['temperature', 'hot'],
    ['parallel_tool_calls', 'no'],
    ['stop', [1]],
    ['tools', {}],
    ['tool_choice', 'maybe'],
    ['response_format.type', undefined],
    ['reasoning_effort', 'extreme'],
  ])('%s = %j is refused by name', (param, value) => {
    expectRefusal(
      () => sent(param === 'response_format.type' ? { response_format: { type: 'xml' } } : { [param]: value }),
      param,
    );
  });
});

describe('what Anthropic cannot express', () => {
  it.each<[string, unknown]>([
    ['n', 2],
    ['logprobs', true],
    ['top_logprobs', 3],
    ['logit_bias', { 50256: -100 }],
    ['frequency_penalty', 0.5],
    ['presence_penalty', 0.5],
    ['seed', 1],
    ['modalities', ['text', 'audio']],
    ['audio', { voice: 'alloy' }],
    ['functions', [{ name: 'f' }]],
    ['web_search_options', {}],
    ['service_tier', 'flex'],
    ['stop', '\n'],
  ])('%s is refused by name, or dropped on demand', (param, value) => {
    expectRefusal(() => sent({ [param]: value }), param);
    const dropped = sent({ [param]: value }, 'claude-sonnet-4-5', true);
    expect(dropped).toEqual(sent({}));
  });

  it('values that ask for nothing are no request', () => {
    const nothing = {
      n: 1,
      logprobs: false,
      top_logprobs: 0,
      logit_bias: {},
      frequency_penalty: 0,
      presence_penalty: 0,
      seed: null,
      modalities: ['text'],
      store: true,
      prompt_cache_key: 'k',
      stream_options: { include_usage: true },
      response_format: { type: 'text' },
    };
    expect(sent(nothing)).toEqual(sent({}));
  });

  it('members of the gateway stay here; members of the provider pass', () => {
    expect(
      sent({ fallbacks: ['x'], num_retries: 3, cache: {}, tags: ['a'], metadata: { a: 'b' }, litellm_metadata: {} }),
    ).toEqual(sent({}));
    const own = {
      inference_geo: 'eu',
      container: 'c',
      cache_control: { type: 'ephemeral' },
      output_config: { effort: 'low' },
    };
    expect(sent(own)).toEqual({ ...sent({}), ...own });
  });
});

describe('who asks', () => {
  it.each([
    [{ user: 'u-1' }, { user_id: 'u-1' }],
    [{ user: 'u-1', metadata: { user_id: 'm-1' } }, { user_id: 'm-1' }],
    [{ safety_identifier: 's-1' }, { user_id: 's-1' }],
    [{ user: 'someone@example.com' }, undefined],
    [{ user: '+49 30 1234567' }, undefined],
  ])('%j', (body, metadata) => {
    expect(sent(body)['metadata']).toEqual(metadata);
  });
});

describe('sampling', () => {
  it('is sent as it is; what a newer model does not take is dropped only on demand', () => {
    const sampling = { temperature: 0.2, top_p: 0.9, top_k: 5 };
    expect(sent({ ...sampling, stop: ['END', 'STOP'] })).toMatchObject({
      ...sampling,
      stop_sequences: ['END', 'STOP'],
    });
    expect(sent(sampling, 'claude-opus-4-8')).toMatchObject(sampling);
    expect(sent(sampling, 'claude-opus-4-8', true)).toEqual(sent({}, 'claude-opus-4-8'));
    expect(sent({ ...sampling, reasoning_effort: 'low' }, 'claude-sonnet-4-5', true)).not.toHaveProperty('temperature');
  });

  it.each([
    ['auto', 'auto'],
    ['default', 'standard_only'],
  ])('service_tier %s', (tier, expected) => {
    expect(sent({ service_tier: tier })['service_tier']).toBe(expected);
  });
});

describe('reasoning', () => {
  it.each([
    ['claude-sonnet-4-5', 'low', { type: 'enabled', budget_tokens: 1024 }, undefined],
    ['claude-3-7-sonnet-20250219', 'medium', { type: 'enabled', budget_tokens: 2048 }, undefined],
    ['claude-opus-4-1-20250805', 'max', { type: 'enabled', budget_tokens: 16_384 }, undefined],
    ['claude-opus-4-20250514', 'none', undefined, undefined],
    ['claude-3-5-haiku-20241022', 'high', undefined, undefined],
    ['claude-opus-4-6', 'minimal', { type: 'adaptive' }, { effort: 'low' }],
    ['claude-opus-4-6', 'xhigh', { type: 'adaptive' }, { effort: 'high' }],
    ['claude-opus-4-7', 'xhigh', { type: 'adaptive', display: 'summarized' }, { effort: 'xhigh' }],
    ['claude-opus-4-8', 'none', undefined, undefined],
    ['claude-sonnet-5', 'none', { type: 'disabled' }, undefined],
    ['claude-haiku-5-5', 'none', { type: 'disabled' }, undefined],
    ['claude-sonnet-5-5', 'none', { type: 'between_tools' }, undefined],
    ['claude-opus-5-5', 'none', undefined, { effort: 'low' }],
    ['claude-mythos-preview', 'high', { type: 'adaptive', display: 'summarized' }, { effort: 'high' }],
  ])('%s with effort %s', (model, reasoning_effort, thinking, outputConfig) => {
    const body = sent({ reasoning_effort }, model);
    expect(body['thinking']).toEqual(thinking);
    expect(body['output_config']).toEqual(outputConfig);
  });

  it('a budget fits below the limit of the answer, or is left out', () => {
    expect(sent({ reasoning_effort: 'high', max_tokens: 3000 })).toMatchObject({
      max_tokens: 3000,
      thinking: { budget_tokens: 2999 },
    });
    expect(sent({ reasoning_effort: 'high', max_tokens: 1024 })).not.toHaveProperty('thinking');
  });

  it('a budget gives way to a forced tool, and to a conversation that lost its thoughts', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
    const turn = (over: object) => [
      { role: 'user', content: '?' },
      { role: 'assistant', tool_calls: [call], ...over },
      { role: 'tool', tool_call_id: 'a', content: 'x' },
    ];
    expect(sent({ reasoning_effort: 'low', tools, tool_choice: 'required' })).not.toHaveProperty('thinking');
    expect(sent({ reasoning_effort: 'low', tools, messages: turn({}) })).not.toHaveProperty('thinking');
    const kept = turn({ thinking_blocks: [{ type: 'thinking', thinking: 'x', signature: 's' }] });
    expect(sent({ reasoning_effort: 'low', tools, messages: kept })).toHaveProperty('thinking');
  });

  it("the client's own words for thinking are sent as they are", () => {
    const thinking = { type: 'enabled', budget_tokens: 2000 };
    expect(sent({ thinking, reasoning_effort: 'high' })).toMatchObject({ thinking });
    expect(sent({ thinking: { type: 'adaptive' }, reasoning_effort: 'high' }, 'claude-opus-4-6')).toMatchObject({
      thinking: { type: 'adaptive' },
      output_config: { effort: 'high' },
    });
  });
});

describe('JSON output', () => {
  it('a schema becomes the format, closed and within what the decoder keeps', () => {
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: {
        age: { type: 'integer', minimum: 0, description: 'Years' },
        mail: { type: 'string', format: 'email' },
        tags: { type: 'array', minItems: 2, items: { $ref: '#/$defs/tag' } },
        kind: { oneOf: [{ const: 'a' }, { type: 'null' }] },
      },
      required: ['age'],
      $defs: { tag: { type: 'object', properties: { name: { type: 'string', format: 'color' } } } },
    };
    const body = sent({
      response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } },
    });
    expect(body['output_config']).toEqual({
      format: {
        type: 'json_schema',
        schema: {
          type: 'object',
          properties: {
            age: { type: 'integer', description: 'Years\n\n{minimum: 0}' },
            mail: { type: 'string', format: 'email' },
            tags: { type: 'array', description: '{minItems: 2}', items: { $ref: '#/$defs/tag' } },
            kind: { anyOf: [{ const: 'a' }, { type: 'null' }] },
          },
          required: ['age'],
          additionalProperties: false,
          $defs: {
            tag: {
              type: 'object',
              properties: { name: { type: 'string', description: '{format: "color"}' } },
              additionalProperties: false,
            },
          },
        },
      },
    });
  });

  it('a schema deeper than the stack is refused', () => {
    let schema: object = { type: 'string' };
    for (let depth = 0; depth < 20_000; depth++) schema = { type: 'array', items: schema };
    expectRefusal(
      () => sent({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }),
      'response_format',
    );
  });

  it('JSON without a schema is asked for in the system prompt', () => {
    expect(sent({ response_format: { type: 'json_object' } })['system']).toEqual([
      { type: 'text', text: expect.stringContaining('JSON object') },
    ]);
  });
});
