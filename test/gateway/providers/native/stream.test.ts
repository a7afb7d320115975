/** Native streams, however their bytes are cut and wherever they end. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printResponseId } from '../../../../gateway/domain/response-id.ts';
import type { StreamDecoder, StreamPart } from '../../../../gateway/providers/adapter.ts';
import { chooseAdapters } from '../../../../gateway/providers/adapters.ts';
import { exampleDeployment, exampleRequest } from '../../examples.ts';

const adapters = chooseAdapters({ dropParams: false });
const lines = (...events: readonly { readonly type: string; readonly [member: string]: unknown }[]): string[] =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);

const response = { id: 'resp_1', object: 'response', output: [], previous_response_id: 'resp_0' };
const usage = { input_tokens: 3, output_tokens: 5 };
const wrapped = (id: string): string => printResponseId({ deploymentId: 'd', id });

/** Events that hold an answer, with how many of them come before it begins. */
const streams = {
  messages: {
    decoder: () => decoderOf('anthropic', 'messages'),
    opening: 2,
    events: lines(
      { type: 'message_start', message: { id: 'msg_1', usage: { input_tokens: 3, output_tokens: 1 } } },
      { type: 'ping' },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'ünïcödé "message_stop" 🙂\n\n' } },
      { type: 'ping' },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } },
      { type: 'message_stop' },
    ),
    told: (text: string) => text,
  },
  responses: {
    decoder: () => decoderOf('openai', 'responses'),
    opening: 2,
    events: lines(
      { type: 'response.created', response },
      { type: 'response.in_progress', response },
      { type: 'response.output_item.added', item: { id: 'msg_1', type: 'message' } },
      { type: 'response.output_text.delta', delta: 'ünïcödé {"type":"response.completed","response":{}} 🙂\n\n' },
      { type: 'response.output_item.done', item: { id: 'msg_1', type: 'message' } },
      { type: 'response.completed', response: { ...response, usage } },
    ),
    told: (text: string) =>
      text.replaceAll('"resp_0"', `"${wrapped('resp_0')}"`).replaceAll('"resp_1"', `"${wrapped('resp_1')}"`),
  },
} as const;

function decoderOf(provider: string, api: 'messages' | 'responses'): StreamDecoder {
  const native = adapters(provider).native?.[api];
  if (native === undefined) throw new Error(`${provider} does not speak ${api}`);
  return native.decoder(exampleRequest(), exampleDeployment('d', { provider }));
}

const read = (decoder: StreamDecoder, pieces: readonly Buffer[]): readonly StreamPart[] => [
  ...pieces.flatMap((piece) => decoder.push(piece)),
  ...decoder.end(),
];
const textOf = (parts: readonly StreamPart[]): string =>
  Buffer.concat(parts.flatMap((part) => (part.is === 'chunk' ? [part.bytes] : []))).toString();
const isEnd = ({ is }: StreamPart): boolean => is === 'end' || is === 'error';

/** The bytes cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

describe.each(Object.entries(streams))('%s', (_, { decoder, events, opening, told }) => {
  const whole = Buffer.from(events.join(''));

  it('arrives as it was sent and ends once, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 12 }), (places) => {
        const parts = read(decoder(), cut(whole, places));
        expect(textOf(parts)).toBe(told(whole.toString()));
        expect(parts.filter(isEnd)).toEqual([{ is: 'end' }]);
        expect(parts.findLast((part) => part.is === 'usage')).toMatchObject({
          usage: { promptTokens: 3, completionTokens: 5 },
        });
      }),
    );
  });

  it('that stops at any byte before its end is an error and never complete', () => {
    // The last two bytes are the blank line, which some servers forget.
    for (let length = 0; length < whole.length - 2; length++) {
      const parts = read(decoder(), [whole.subarray(0, length)]);
      expect(parts.filter(isEnd)).toMatchObject([{ is: 'error', error: { kind: 'unavailable', mayBeBilled: true } }]);
    }
    expect(read(decoder(), [whole.subarray(0, -2)]).at(-1)).toEqual({ is: 'end' });
  });

  it('commits to nothing before its answer begins, comments included', () => {
    const decoding = decoder();
    const early = [': keep-alive\n\n', ...events.slice(0, opening), ': keep-alive\n\n'];
    expect(early.flatMap((event) => decoding.push(Buffer.from(event))).some(({ is }) => is === 'chunk')).toBe(false);
    const [first] = decoding.push(Buffer.from(events[opening] ?? '')).filter(({ is }) => is === 'chunk');
    expect(first).toEqual({ is: 'chunk', bytes: Buffer.from(told(events.slice(0, opening + 1).join(''))) });
  });

  it('is read with CR LF, and nothing follows its end', () => {
    const text = events.join('').replaceAll('\n', '\r\n');
    const parts = read(decoder(), [Buffer.from(text), Buffer.from('data: [DONE]\r\n\r\n')]);
    expect(parts.at(-1)).toEqual({ is: 'end' });
    expect(textOf(parts)).not.toContain('[DONE]');
  });

  it('of anything else is one error and no exception', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('data: {}\n\n', 'event: x\n\n', 'data: 7\n\n'))),
        (texts) => {
          const parts = read(
            decoder(),
            texts.map((text) => Buffer.from(text)),
          );
          expect(parts.filter(isEnd).map(({ is }) => is)).toEqual(['error']);
        },
      ),
    );
  });
});
