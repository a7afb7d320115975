import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import blocked from '../../../fixtures/providers/gemini/blocked.json' with { type: 'json' };
import streamText from '../../../fixtures/providers/gemini/stream-text.json' with { type: 'json' };
import streamTools from '../../../fixtures/providers/gemini/stream-tools.json' with { type: 'json' };
import streamTwo from '../../../fixtures/providers/gemini/stream-two.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { decodeWhole } from '../translating/decode.ts';
import { parsedStream } from '../translating/official-openai.ts';
import { eventStream } from '../translating/recording-server.ts';
import { streamProperties } from '../translating/stream-properties.ts';
import { adapter, deployment } from './example.ts';

const newDecoder = (over: JsonObject = {}) =>
  adapter.decoder(exampleRequest({ model: 'chat', messages: [], stream: true, ...over }), deployment);
const withUsage = { stream_options: { include_usage: true } };
const bytesOf = (...events: readonly object[]): Buffer => eventStream(events);

const text = bytesOf(...streamText.events);
const tools = bytesOf(...streamTools.events);
const two = bytesOf(...streamTwo.events);
const failing = bytesOf(...streamText.events.slice(0, 2), {
  error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' },
});

describe('a stream, as the official OpenAI client reads it', () => {
  it('text and token counts', async () => {
    const decoded = decodeWhole(newDecoder(withUsage), text);
    expect(decoded.endings).toEqual(['end']);
    expect(decoded.usages).toEqual([
      { promptTokens: 25, completionTokens: 5, reasoningTokens: 5 },
      { promptTokens: 25, completionTokens: 11, reasoningTokens: 9 },
      { promptTokens: 25, completionTokens: 15, cachedPromptTokens: 4, reasoningTokens: 9 },
      { promptTokens: 25, completionTokens: 15, cachedPromptTokens: 4, reasoningTokens: 9 },
    ]);
    expect(await parsedStream(decoded.text)).toMatchObject({
      id: 'mAitaLmkHPPlz7IPvtfUqQ4',
      model: 'gemini-2.5-flash',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello! Größe: 🙂' } }],
      usage: { prompt_tokens: 25, completion_tokens: 15, completion_tokens_details: { reasoning_tokens: 9 } },
    });
    expect(decoded.text).toContain(
      '{"reasoning_content":"Think, ","thinking_blocks":[{"type":"thinking","thinking":"Think, "}]}',
    );
    expect(decodeWhole(newDecoder(), text).text).not.toContain('"usage"');
  });

  it('calls', async () => {
    const { choices } = await parsedStream(decodeWhole(newDecoder(), tools).text);
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: "Okay, let's check.",
        tool_calls: [
          {
            id: 'fc1__thought__CiQB0e2Kb6Syr1hPWbs/nbUGqbLm+S5AQAcZ==',
            function: { name: 'get_weather', arguments: '{"city":"San Francisco"}' },
          },
          { id: 'call_mAitaLmkHPPlz7IPvtfUqQ4_0', function: { name: 'get_time', arguments: '{}' } },
        ],
      },
    });
  });

  it('several answers at once', async () => {
    const decoded = decodeWhole(newDecoder(), two);
    const { choices } = await parsedStream(decoded.text);
    expect(choices).toMatchObject([
      { index: 0, finish_reason: 'content_filter', message: { content: 'AC' } },
      { index: 1, finish_reason: 'stop', message: { content: 'B' } },
    ]);
    expect(decoded.text.match(/"role":"assistant"/g)).toHaveLength(2);
  });

  it('probabilities', () => {
    const logprobsResult = { chosenCandidates: [{ token: 'A', logProbability: -1 }] };
    const event = { candidates: [{ content: { parts: [{ text: 'A' }] }, logprobsResult, finishReason: 'STOP' }] };
    const { text: said } = decodeWhole(newDecoder(), bytesOf(event));
    expect(said).toContain(
      '"logprobs":{"content":[{"token":"A","logprob":-1,"bytes":[65],"top_logprobs":[]}],"refusal":null}',
    );
  });
});

describe('the ends of a stream', () => {
  it('a last event without its blank line, or its line end, counts', () => {
    for (const missing of [1, 2]) {
      expect(decodeWhole(newDecoder(), text.subarray(0, -missing))).toEqual(decodeWhole(newDecoder(), text));
    }
  });

  it('a prompt that was blocked: an error before anything is told', () => {
    const decoded = decodeWhole(newDecoder(), bytesOf(blocked.body));
    expect(decoded.endings).toEqual(['content-policy 400 the prompt was blocked (PROHIBITED_CONTENT)']);
    expect(decoded.usages).toEqual([{ promptTokens: 9, completionTokens: 0 }]);
    expect(decoded.text).toBe('');
  });

  it('an error in the middle', () => {
    const decoded = decodeWhole(newDecoder(), failing);
    expect(decoded.endings).toEqual(['unavailable 503 The model is overloaded.']);
    expect(decoded.usages.at(-1)).toEqual({ promptTokens: 25, completionTokens: 11, reasoningTokens: 9 });
  });

  it('an answer of which one candidate is not finished is none', () => {
    expect(decodeWhole(newDecoder(), bytesOf(...streamTwo.events.slice(0, 2))).endings).toEqual([
      'unavailable 502 the stream ended before its answer did',
    ]);
  });

  it.each(['', 'data: {"candidates":[]}\n\n', 'data: {}\n\n'])('nothing: %j', (bytes) => {
    expect(decodeWhole(newDecoder(), Buffer.from(bytes)).endings).toEqual([
      'unavailable 502 the stream ended before its answer did',
    ]);
  });

  it('an event that is no JSON', () => {
    expect(decodeWhole(newDecoder(), Buffer.from('data: <html>\n\n')).endings).toEqual([
      'unavailable 502 an event of the stream is not JSON',
    ]);
  });
});

describe('whatever the network does', () => {
  streamProperties({ text, tools, two, failing }, () => newDecoder(withUsage));

  it('events of any content never throw, and end exactly once', () => {
    const members = fc.constantFrom('candidates', 'usageMetadata', 'promptFeedback', 'error', 'responseId');
    const part = fc.dictionary(fc.constantFrom('text', 'thought', 'functionCall', 'thoughtSignature'), fc.jsonValue());
    const candidate = fc.record({
      index: fc.jsonValue(),
      finishReason: fc.jsonValue(),
      content: fc.oneof(fc.jsonValue(), fc.record({ parts: fc.array(part) })),
      logprobsResult: fc.jsonValue(),
    });
    const event = fc.oneof(
      fc.dictionary(members, fc.jsonValue()),
      fc.record({ candidates: fc.array(candidate, { maxLength: 3 }) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), (events) => {
        expect(decodeWhole(newDecoder(), bytesOf(...events)).endings).toHaveLength(1);
      }),
    );
  });
});
