import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputMeter } from '../../../gateway/providers/output-meter.ts';
import { named } from '../../support/recorder.ts';

const chat = (delta: object): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, logprobs: null, finish_reason: null }] })}\n\n`;

/** Tokens after these blocks have arrived. */
const tokensOf = (...blocks: readonly string[]): number => {
  const meter = new OutputMeter();
  for (const block of blocks) meter.arrived(Buffer.from(block));
  return meter.unreportedTokens();
};

describe('the tokens of an answer that nobody reported', () => {
  it.each<[string, string, number]>([
    ['text of chat completions', chat({ content: 'a word of four tokens'.slice(0, 16) }), 4],
    ['a short token', chat({ content: 'a' }), 1],
    ['reasoning', chat({ reasoning_content: 'x'.repeat(40), thinking_blocks: [{ thinking: 'x'.repeat(40) }] }), 10],
    [
      'a tool call',
      chat({ tool_calls: [{ index: 0, id: 'call_1234567890', function: { arguments: 'x'.repeat(20) } }] }),
      5,
    ],
    ['legacy completions', `data: ${JSON.stringify({ choices: [{ index: 0, text: 'x'.repeat(12) }] })}\n\n`, 3],
    ['a role', chat({ role: 'assistant', content: '' }), 0],
    ['a comment', ': ping\n\n', 0],
    ['the last word', 'data: [DONE]\n\n', 0],
    ['what is no JSON', 'data: {"choi\n\n', 0],
    [
      'text of the Messages API',
      named({ type: 'content_block_delta', delta: { type: 'text_delta', text: 'x'.repeat(8) } }),
      2,
    ],
    [
      'arguments of the Messages API',
      named({ type: 'content_block_delta', delta: { type: 'input_json_delta', partial_json: 'x'.repeat(8) } }),
      2,
    ],
    [
      'a signature',
      named({ type: 'content_block_delta', delta: { type: 'signature_delta', signature: 'x'.repeat(800) } }),
      0,
    ],
    ['text of the Responses API', named({ type: 'response.output_text.delta', delta: 'x'.repeat(8) }), 2],
    ['a text of 100 KB in one event', chat({ content: 'x'.repeat(100_000) }), 25_050],
  ])('are told from %s', (_, block, tokens) => {
    expect(Math.abs(tokensOf(block) - tokens)).toBeLessThanOrEqual(tokens / 100);
  });

  it('do not depend on how events come together', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        (lengths, atOnce) => {
          const events = lengths.map((length) => chat({ content: 'x'.repeat(length) }));
          const grouped = Array.from({ length: Math.ceil(events.length / atOnce) }, (_, index) =>
            events.slice(index * atOnce, (index + 1) * atOnce).join(''),
          );
          expect(tokensOf(...grouped)).toBe(tokensOf(...events));
        },
      ),
    );
  });

  it('of a long answer are told from its last events, within a fifth', () => {
    const words =
      'The gateway keeps what it has sent, since a stream may break before its provider says what it was. '.split(
        /(?<= )/,
      );
    const pieces = Array.from({ length: 2_000 }, (_, index) => words[index % words.length] ?? '');
    const tokens = tokensOf(...pieces.map((content) => chat({ content })));
    expect(tokens).toBeGreaterThan(2_000 * 0.8);
    expect(tokens).toBeLessThan((pieces.join('').length / 4) * 1.2);
  });

  it('are only those since the last report', () => {
    const meter = new OutputMeter();
    meter.arrived(Buffer.from(chat({ content: 'x'.repeat(40) })));
    meter.reported();
    expect(meter.unreportedTokens()).toBe(0);
    meter.arrived(Buffer.from('data: [DONE]\n\n'));
    expect(meter.unreportedTokens()).toBe(0);
    meter.arrived(Buffer.from(chat({ content: 'x'.repeat(8) })));
    expect(meter.unreportedTokens()).toBe(2);
  });
});
