import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import overloaded from '../../../fixtures/providers/anthropic/stream-overloaded.json' with { type: 'json' };
import streamRefusal from '../../../fixtures/providers/anthropic/stream-refusal.json' with { type: 'json' };
import streamText from '../../../fixtures/providers/anthropic/stream-text.json' with { type: 'json' };
import streamTools from '../../../fixtures/providers/anthropic/stream-tools.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { decodeWhole } from '../translating/decode.ts';
import { parsedStream } from '../translating/official-openai.ts';
import { eventStream } from '../translating/recording-server.ts';
import { anyEvents, streamProperties } from '../translating/stream-properties.ts';
import { adapter, deployment } from './example.ts';

const newDecoder = (over: JsonObject = {}) =>
  adapter.decoder(
    exampleRequest({ model: 'chat', messages: [], stream: true, ...over }, { startedAtMs: 1_700_000_000_000 }),
    deployment,
  );
const withUsage = { stream_options: { include_usage: true } };

const text = eventStream(streamText.events);
const tools = eventStream(streamTools.events);
const refusal = eventStream(streamRefusal.events);
const broken = eventStream(overloaded.events);

describe('a stream, as the official OpenAI client reads it', () => {
  it('text and token counts', async () => {
    const decoded = decodeWhole(newDecoder(withUsage), text);
    expect(decoded.endings).toEqual(['end']);
    expect(decoded.usages).toEqual([
      { promptTokens: 1025, completionTokens: 1, cachedPromptTokens: 1000 },
      { promptTokens: 1025, completionTokens: 15, cachedPromptTokens: 1000 },
      { promptTokens: 1025, completionTokens: 15, cachedPromptTokens: 1000 },
    ]);
    expect(await parsedStream(decoded.text)).toMatchObject({
      id: 'msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY',
      created: 1_700_000_000,
      model: 'claude-sonnet-4-5-20250929',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello! Größe: 🙂' } }],
      usage: { prompt_tokens: 1025, completion_tokens: 15, prompt_tokens_details: { cached_tokens: 1000 } },
    });
  });

  it('calls, with arguments where the provider sent none', async () => {
    const { text: said } = decodeWhole(newDecoder(), tools);
    const { choices } = await parsedStream(said);
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: "Okay, let's check.",
        tool_calls: [
          {
            id: 'toolu_01T1x1fJ34qAmk2tNTrN7Up6',
            type: 'function',
            function: { name: 'get_weather', arguments: '{"city": "San Francisco"}' },
          },
          { id: 'toolu_02', type: 'function', function: { name: 'get_time', arguments: '{}' } },
        ],
      },
    });
  });

  it('thoughts in the order of their pieces, the signature last', () => {
    const { chunks } = decodeWhole(newDecoder(), tools);
    const deltas = chunks.flatMap((chunk) =>
      JSON.parse(JSON.stringify(chunk['choices'])).map((choice: JsonObject) => choice['delta']),
    );
    expect(deltas.slice(0, 5)).toEqual([
      { role: 'assistant', content: '' },
      { reasoning_content: 'Two cities, ', thinking_blocks: [{ type: 'thinking', thinking: 'Two cities, ' }] },
      { reasoning_content: 'two calls.', thinking_blocks: [{ type: 'thinking', thinking: 'two calls.' }] },
      { thinking_blocks: [{ type: 'thinking', thinking: '', signature: expect.stringMatching(/^EqQB/) }] },
      { thinking_blocks: [{ type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix/LafPsn4a' }] },
    ]);
  });

  it('a refusal in the middle of an answer', async () => {
    const { choices } = await parsedStream(decodeWhole(newDecoder(), refusal).text);
    expect(choices[0]).toMatchObject({
      finish_reason: 'content_filter',
      message: { content: 'Sure, ', refusal: 'This request could enable cyber harm.' },
    });
  });
});

describe('the shape of the stream', () => {
  it('the role comes first, the reason for finishing once, counts only on demand, [DONE] last', () => {
    const quiet = decodeWhole(newDecoder(), text);
    const finishes = quiet.chunks.filter((chunk) => JSON.stringify(chunk).includes('"finish_reason":"'));
    expect(quiet.chunks[0]).toMatchObject({
      object: 'chat.completion.chunk',
      choices: [{ delta: { role: 'assistant', content: '' } }],
    });
    expect(finishes).toEqual([quiet.chunks.at(-1)]);
    expect(finishes[0]).toMatchObject({ choices: [{ stop_reason: 'END' }] });
    expect(quiet.text).not.toContain('"usage"');
    expect(quiet.text.endsWith('data: [DONE]\n\n')).toBe(true);
    const loud = decodeWhole(newDecoder(withUsage), text);
    expect(loud.chunks.slice(0, -1)).toEqual(quiet.chunks);
    expect(loud.chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 1040 } });
  });

  it('nothing is told before the answer itself begins, so that another deployment may still be tried', () => {
    const [start, block] = streamText.events;
    const parts = newDecoder().push(eventStream([start ?? {}, { type: 'ping' }]));
    expect(parts).toEqual([
      { is: 'usage', usage: { promptTokens: 1025, completionTokens: 1, cachedPromptTokens: 1000 } },
    ]);
    expect(
      newDecoder()
        .push(eventStream([start ?? {}, block ?? {}]))
        .at(-1),
    ).toMatchObject({ is: 'chunk' });
  });

  it('a stream that breaks keeps what it counted, and says why it broke', () => {
    const decoded = decodeWhole(newDecoder(), broken);
    expect(decoded.usages).toEqual([{ promptTokens: 30, completionTokens: 1 }]);
    expect(decoded.error).toMatchObject({
      kind: 'unavailable',
      status: 529,
      message: 'Overloaded',
      type: 'overloaded_error',
    });
    expect(decoded.text).not.toContain('[DONE]');
  });

  it('an answer whose reason for stopping was told is complete without its last event', () => {
    const cut = eventStream(streamText.events.slice(0, -1));
    expect(decodeWhole(newDecoder(), cut)).toEqual(decodeWhole(newDecoder(), text));
    expect(decodeWhole(newDecoder(), text.subarray(0, -2)).endings).toEqual(['end']);
  });

  it('tools of the provider itself are not for the client to call', () => {
    const events = [
      ...streamText.events.slice(0, 1),
      {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'server_tool_use', id: 'srv_1', name: 'web_search', input: {} },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: '{"query":"x"}' } },
      { type: 'content_block_stop', index: 0 },
      ...streamText.events.slice(1),
    ];
    expect(decodeWhole(newDecoder(), eventStream(events)).text).toBe(decodeWhole(newDecoder(), text).text);
  });

  it.each([
    ['data: {"type":\n\n', 'unavailable 502 an event of the stream is not JSON'],
    ['data: 7\n\n', 'unavailable 502 an event of the stream is not JSON'],
    ['event: ping\ndata: {"type":"ping"}\n\n', 'unavailable 502 the stream ended before its answer did'],
    ['', 'unavailable 502 the stream ended before its answer did'],
    ['data: {"type":"error","error":{"type":"rate_limit_error","message":"slow"}}\n\n', 'rate-limit 429 slow'],
    ['data: {"type":"error"}\n\n', 'unavailable 500 status 500 without an explanation that could be read'],
  ])('%j', (bytes, ending) => {
    expect(decodeWhole(newDecoder(), Buffer.from(bytes)).endings).toEqual([ending]);
  });

  it('line ends may be LF, CR LF or CR, and a byte order mark may come first', () => {
    const expected = decodeWhole(newDecoder(), text);
    for (const end of ['\r\n', '\r']) {
      expect(decodeWhole(newDecoder(), Buffer.from(text.toString().replaceAll('\n', end)))).toEqual(expected);
    }
    expect(decodeWhole(newDecoder(), Buffer.concat([Buffer.from('\uFEFF'), text]))).toEqual(expected);
  });

  it('an event that never ends is given up, not kept', () => {
    const decoder = newDecoder();
    const piece = Buffer.alloc(1024 * 1024, 'x');
    const parts = Array.from({ length: 40 }, () => decoder.push(piece)).flat();
    expect(parts).toMatchObject([
      { is: 'error', error: { kind: 'unavailable', message: 'one event is larger than 16 MiB' } },
    ]);
  });
});

describe('whatever the network does', () => {
  const crLf = Buffer.from(text.toString().replaceAll('\n', '\r\n'));
  streamProperties({ text, tools, refusal, broken, crLf }, () => newDecoder(withUsage));

  it('events of any content never throw, and end at most once', () => {
    const types = [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
      'error',
    ];
    fc.assert(
      fc.property(anyEvents(types), (bytes) => {
        expect(decodeWhole(newDecoder(), bytes).endings).toHaveLength(1);
      }),
    );
  });
});
