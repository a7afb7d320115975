/** The official SDK as judge: it sends what the adapter sends, and it accepts the fixtures. */
import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import errors from '../../../fixtures/providers/anthropic/errors.json' with { type: 'json' };
import overloaded from '../../../fixtures/providers/anthropic/stream-overloaded.json' with { type: 'json' };
import streamRefusal from '../../../fixtures/providers/anthropic/stream-refusal.json' with { type: 'json' };
import streamText from '../../../fixtures/providers/anthropic/stream-text.json' with { type: 'json' };
import streamTools from '../../../fixtures/providers/anthropic/stream-tools.json' with { type: 'json' };
import whole from '../../../fixtures/providers/anthropic/whole.json' with { type: 'json' };
import wholeRefusal from '../../../fixtures/providers/anthropic/whole-refusal.json' with { type: 'json' };
import wholeTools from '../../../fixtures/providers/anthropic/whole-tools.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { type CannedAnswer, eventStream, recordingServer } from '../translating/recording-server.ts';
import { adapter, deploymentOf } from './example.ts';

/** The SDK itself sends a bearer token and version 2026-10-21; the API takes both forms of each. */
const headers = { 'x-api-key': 'sk-ant-secret', 'anthropic-version': '2023-06-01' };

async function sdkAt(answer: CannedAnswer) {
  const { origin, requests } = await recordingServer(answer);
  const client = new Anthropic({ baseURL: origin, apiKey: null, defaultHeaders: headers, maxRetries: 0 });
  return { client, requests };
}

const parameters = { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] };
const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false };
const text = (value: string) => ({ type: 'text' as const, text: value });

/** An OpenAI request, and what a user of Anthropic's SDK would write for the same. */
const equivalents: readonly { name: string; openai: JsonObject; anthropic: Anthropic.MessageCreateParams }[] = [
  {
    name: 'a question',
    openai: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello!' },
      ],
      max_tokens: 100,
      stop: 'END',
      user: 'u-1',
    },
    anthropic: {
      model: 'claude-haiku-4-5',
      max_tokens: 100,
      system: [text('Be brief.')],
      messages: [{ role: 'user', content: [text('Hello!')] }],
      stop_sequences: ['END'],
      metadata: { user_id: 'u-1' },
    },
  },
  {
    name: 'a turn of an agent, streamed',
    openai: {
      stream: true,
      max_completion_tokens: 5000,
      reasoning_effort: 'medium',
      parallel_tool_calls: false,
      tools: [
        { type: 'function', function: { name: 'get_weather', description: 'Weather', parameters, strict: true } },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
          ],
        },
        {
          role: 'assistant',
          content: 'Wait.',
          thinking_blocks: [{ type: 'thinking', thinking: 'Hm', signature: 's' }],
          tool_calls: [
            { id: 'toolu_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'toolu_1', content: 'Sunny' },
      ],
    },
    anthropic: {
      model: 'claude-haiku-4-5',
      stream: true,
      max_tokens: 5000,
      thinking: { type: 'enabled', budget_tokens: 2048 },
      tools: [{ name: 'get_weather', description: 'Weather', input_schema: parameters, strict: true }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      messages: [
        {
          role: 'user',
          content: [
            text('What is this?'),
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
            { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm', signature: 's' },
            text('Wait.'),
            { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris' } },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [text('Sunny')] }] },
      ],
    },
  },
  {
    name: 'JSON by a schema, with an effort',
    openai: {
      model: 'chat',
      messages: [{ role: 'user', content: 'Hello!' }],
      max_tokens: 100,
      reasoning_effort: 'xhigh',
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    },
    anthropic: {
      model: 'claude-opus-4-8',
      max_tokens: 100,
      messages: [{ role: 'user', content: [text('Hello!')] }],
      thinking: { type: 'adaptive', display: 'summarized' },
      output_config: { effort: 'xhigh', format: { type: 'json_schema', schema } },
    },
  },
];

describe('the request is the one of the official SDK', () => {
  it.each(equivalents)('$name', async ({ openai, anthropic }) => {
    const stream = anthropic.stream === true;
    const { client, requests } = await sdkAt(
      stream ? { contentType: 'text/event-stream', body: eventStream(streamText.events) } : { body: whole.body },
    );
    await client.messages.create(anthropic);
    const call = adapter.toUpstream(exampleRequest({ model: 'chat', ...openai }), deploymentOf(anthropic.model));
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ method: 'POST', path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(requests[0]?.body);
  });
});

describe('the official SDK accepts the fixtures', () => {
  const question: Anthropic.MessageCreateParamsNonStreaming = {
    model: 'claude-haiku-4-5',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'Hello!' }],
  };

  it.each([whole, wholeTools, wholeRefusal])('$body.id', async ({ body }) => {
    const { client } = await sdkAt({ body });
    expect(await client.messages.create(question)).toMatchObject(body);
  });

  it.each([
    [streamText, 'Hello! Größe: 🙂', 'stop_sequence', 15],
    [streamTools, "Okay, let's check.", 'tool_use', 89],
    [streamRefusal, 'Sure, ', 'refusal', 4],
  ])('a stream', async ({ events }, said, stopReason, outputTokens) => {
    const { client } = await sdkAt({ contentType: 'text/event-stream', body: eventStream(events) });
    const message = await client.messages.stream(question).finalMessage();
    expect(message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')).toBe(said);
    expect(message.stop_reason).toBe(stopReason);
    expect(message.usage.output_tokens).toBe(outputTokens);
  });

  it('an error inside of a stream', async () => {
    const { client } = await sdkAt({ contentType: 'text/event-stream', body: eventStream(overloaded.events) });
    await expect(client.messages.stream(question).finalMessage()).rejects.toMatchObject({ type: 'overloaded_error' });
  });

  it.each(errors.errors)('the error $status $body.error.type', async ({ status, body }) => {
    const { client } = await sdkAt({ status, body });
    await expect(client.messages.create(question)).rejects.toMatchObject({ status, error: body });
  });
});
