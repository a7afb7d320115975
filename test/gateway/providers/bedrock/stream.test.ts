import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import errors from '../../../fixtures/providers/bedrock/errors.json' with { type: 'json' };
import streamText from '../../../fixtures/providers/bedrock/stream-text.json' with { type: 'json' };
import throttled from '../../../fixtures/providers/bedrock/stream-throttled.json' with { type: 'json' };
import streamTools from '../../../fixtures/providers/bedrock/stream-tools.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { decodeWhole } from '../translating/decode.ts';
import { parsedStream } from '../translating/official-openai.ts';
import { streamProperties } from '../translating/stream-properties.ts';
import { eventBytes, frame } from './event-bytes.ts';
import { adapter, claude, deployment } from './example.ts';

const newDecoder = (over: JsonObject = {}) =>
  adapter.decoder(exampleRequest({ model: 'chat', messages: [], stream: true, ...over }), deployment);
const withUsage = { stream_options: { include_usage: true } };

const text = eventBytes(streamText.events);
const tools = eventBytes(streamTools.events);
const broken = eventBytes(throttled.events);

describe('a stream, as the official OpenAI client reads it', () => {
  it('text and token counts', async () => {
    const decoded = decodeWhole(newDecoder(withUsage), text);
    expect(decoded.endings).toEqual(['end']);
    expect(decoded.usages).toEqual([{ promptTokens: 1025, completionTokens: 15, cachedPromptTokens: 1000 }]);
    expect(await parsedStream(decoded.text)).toMatchObject({
      model: claude,
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello! Größe: 🙂' } }],
      usage: { prompt_tokens: 1025, completion_tokens: 15, prompt_tokens_details: { cached_tokens: 1000 } },
    });
    expect(decodeWhole(newDecoder(), text).text).not.toContain('"usage"');
  });

  it('calls, with arguments where the provider sent none', async () => {
    const { choices } = await parsedStream(decodeWhole(newDecoder(), tools).text);
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: "Okay, let's check.",
        tool_calls: [
          { id: 'tooluse_1', function: { name: 'get_weather', arguments: '{"city": "San Francisco"}' } },
          { id: 'tooluse_2', function: { name: 'get_time', arguments: '{}' } },
        ],
      },
    });
  });

  it('thoughts in the order of their pieces, the signature last', () => {
    const { text: said } = decodeWhole(newDecoder(), tools);
    expect(said.match(/"reasoning_content":"[^"]*"/g)).toEqual([
      '"reasoning_content":"Two cities, "',
      '"reasoning_content":"two calls."',
    ]);
    expect(said.indexOf('"signature":"EqQB')).toBeGreaterThan(said.indexOf('two calls.'));
    expect(said).toContain('{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix/LafPsn4a"}');
  });
});

describe('the ends of a stream', () => {
  it('nothing is told before the answer itself begins, so that another deployment may still be tried', () => {
    expect(newDecoder().push(eventBytes(streamText.events.slice(0, 1)))).toEqual([]);
  });

  it('an exception in the middle', () => {
    const { error, endings, text: said } = decodeWhole(newDecoder(), broken);
    expect(endings).toHaveLength(1);
    expect(error).toMatchObject({
      kind: 'rate-limit',
      status: 429,
      type: 'throttlingException',
      message: 'Too many tokens, please wait before trying again.',
    });
    expect(said).not.toContain('[DONE]');
  });

  it.each(errors.exceptions)('the exception $type', ({ type, status, kind }) => {
    const bytes = eventBytes([{ exception: type, payload: { message: 'why' } }]);
    expect(decodeWhole(newDecoder(), bytes).endings).toEqual([`${kind} ${status} why`]);
  });

  it('an error that is no exception', () => {
    const headers = {
      ':message-type': 'error',
      ':error-code': 'InternalError',
      ':error-message': 'An internal server error occurred',
    };
    expect(decodeWhole(newDecoder(), frame(headers, '')).endings).toEqual([
      'unavailable 500 An internal server error occurred',
    ]);
  });

  it('token counts may be missing, may come first, and may be all that comes', () => {
    const [metadata] = streamText.events.slice(-1);
    const rest = streamText.events.slice(0, -1);
    expect(decodeWhole(newDecoder(), eventBytes(rest)).endings).toEqual(['end']);
    const early = decodeWhole(newDecoder(), eventBytes(metadata === undefined ? rest : [metadata, ...rest]));
    expect(early.endings).toEqual(['end']);
    expect(early.usages.at(-1)).toEqual({ promptTokens: 1025, completionTokens: 15, cachedPromptTokens: 1000 });
    const alone = decodeWhole(newDecoder(), eventBytes(streamText.events.slice(-1)));
    expect(alone.usages).toHaveLength(1);
    expect(alone.endings).toEqual(['unavailable 502 the stream ended before its answer did']);
  });

  it('events and payloads that are not known are nothing', () => {
    const unknown = frame({ ':message-type': 'event', ':event-type': 'somethingNew' }, 'not json');
    expect(decodeWhole(newDecoder(), Buffer.concat([unknown, text]))).toEqual(decodeWhole(newDecoder(), text));
  });
});

describe('damage', () => {
  const damaged = (at: number): Buffer => {
    const bytes = Buffer.from(text);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    return bytes;
  };

  it.each([
    ['the length', 3],
    ['the checksum of the lengths', 9],
    ['a header', 20],
    ['the last checksum', text.length - 1],
  ])('%s', (_name, at) => {
    expect(decodeWhole(newDecoder(), damaged(at)).endings).toEqual([
      'unavailable 502 a frame of the stream is damaged',
    ]);
  });

  it('what came before the damage is told', () => {
    expect(decodeWhole(newDecoder(), damaged(text.length - 1)).text).toContain('Größe');
  });

  it('a length that is too large is refused before anything is kept', () => {
    const prelude = frame({}, 'x'.repeat(25 * 1024 * 1024)).subarray(0, 12);
    expect(newDecoder().push(prelude)).toMatchObject([
      { is: 'error', error: { message: 'a frame of the stream is larger than 24 MiB' } },
    ]);
  });
});

describe('whatever the network does', () => {
  streamProperties({ text, tools, broken }, () => newDecoder(withUsage));
});
