/** Canonical answers, given and random: the same answer whole and as a stream that is cut anywhere. */
import * as fc from 'fast-check';
import type { ErrorEnvelope } from '../../../gateway/dialects/dialect.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';

export const upstreamGone: ErrorEnvelope = {
  message: 'litellm.InternalServerError: OpenAIException - the stream ended before its answer did',
  type: null,
  param: null,
  code: '502',
};

/** One answer; every text in the pieces in which it is streamed. */
export interface Answer {
  readonly reasoning: readonly string[];
  readonly signature: string | undefined;
  readonly text: readonly string[];
  readonly calls: readonly { readonly id: string; readonly name: string; readonly pieces: readonly string[] }[];
  /** Which call gets its next piece; interleaves them. */
  readonly order: readonly number[];
  readonly finishReason: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  readonly usage: JsonObject;
  /** Sizes of the blocks in which the events arrive. */
  readonly blockSizes: readonly number[];
}

export function wholeOf(answer: Answer): JsonObject {
  const reasoning = answer.reasoning.join('');
  const message = {
    role: 'assistant',
    content: answer.text.length === 0 ? null : answer.text.join(''),
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(answer.signature === undefined
      ? {}
      : { thinking_blocks: [{ type: 'thinking', thinking: reasoning, signature: answer.signature }] }),
    ...(answer.calls.length === 0
      ? {}
      : {
          tool_calls: answer.calls.map(({ id, name, pieces }) => ({
            id,
            type: 'function',
            function: { name, arguments: pieces.join('') },
          })),
        }),
  };
  return {
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finishReason }],
    usage: answer.usage,
  };
}

/** The events of the answer, `[DONE]` last. */
export function eventsOf(answer: Answer): string[] {
  const signed = answer.signature !== undefined;
  const deltas: JsonObject[] = [
    { role: 'assistant', content: '' },
    ...answer.reasoning.map((piece) => ({
      reasoning_content: piece,
      ...(signed ? { thinking_blocks: [{ type: 'thinking', thinking: piece, signature: '' }] } : {}),
    })),
    ...(signed ? [{ thinking_blocks: [{ type: 'thinking', thinking: '', signature: answer.signature }] }] : []),
    ...answer.text.map((content) => ({ content })),
    ...callDeltas(answer),
  ];
  return [
    ...deltas.map((delta) => event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: null }] })),
    event({ choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: answer.finishReason }] }),
    event({ choices: [], usage: answer.usage }),
    'data: [DONE]\n\n',
  ];
}

export function blocksOf(answer: Answer): string[] {
  const events = eventsOf(answer);
  const blocks: string[] = [];
  for (let turn = 0; events.length > 0; turn++) {
    const size = answer.blockSizes[turn % Math.max(1, answer.blockSizes.length)] ?? 1;
    blocks.push(events.splice(0, size).join(''));
  }
  return blocks;
}

/** Announces the calls in their order, and interleaves the rest. */
function callDeltas(answer: Answer): JsonObject[] {
  const waiting = answer.calls.map(({ pieces }) => [...pieces]);
  const deltas: JsonObject[] = [];
  const piece = (index: number): void => {
    const text = waiting[index]?.shift();
    if (text !== undefined) deltas.push({ tool_calls: [{ index, function: { arguments: text } }] });
  };
  for (const [index, { id, name }] of answer.calls.entries()) {
    deltas.push({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] });
    for (const turn of answer.order.slice(0, index)) if (turn <= index) piece(turn);
  }
  for (const turn of answer.order) piece(turn);
  for (const index of answer.calls.keys()) while ((waiting[index]?.length ?? 0) > 0) piece(index);
  return deltas;
}

const head = { id: 'chatcmpl-9', created: 1_750_000_000, model: 'gpt-5' };

const event = (members: JsonObject): string =>
  `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...members })}\n\n`;

const pieces = fc.array(fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }), { maxLength: 6 });

const call = fc
  .record({
    name: fc.constantFrom('get_weather', 'search', 'read_file'),
    input: fc.dictionary(fc.constantFrom('city', 'path', 'depth', '}{"'), fc.jsonValue({ maxDepth: 2 })),
    cut: fc.integer({ min: 1, max: 9 }),
  })
  // `__proto__` is a member like any other in JSON, but clients assign it.
  .filter(({ input }) => !JSON.stringify(input).includes('__proto__'))
  .map(({ name, input, cut }) => ({ name, pieces: cutUp(JSON.stringify(input), cut) }));

function cutUp(text: string, size: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += size) parts.push(text.slice(at, at + size));
  return parts;
}

export const answers: fc.Arbitrary<Answer> = fc
  .record({
    reasoning: pieces,
    signature: fc.option(fc.base64String({ minLength: 4, maxLength: 20 }), { nil: undefined }),
    text: pieces,
    calls: fc.array(call, { maxLength: 3 }),
    order: fc.array(fc.nat({ max: 2 }), { maxLength: 12 }),
    finishReason: fc.constantFrom('stop', 'length', 'tool_calls', 'content_filter'),
    prompt: fc.nat({ max: 5_000 }),
    completion: fc.nat({ max: 5_000 }),
    cached: fc.nat({ max: 100 }),
    reasoningTokens: fc.nat({ max: 50 }),
    blockSizes: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 }),
  })
  .map(({ prompt, completion, cached, reasoningTokens, calls, reasoning, signature, ...rest }) => ({
    ...rest,
    reasoning,
    signature: reasoning.length === 0 ? undefined : signature,
    calls: calls.map((made, index) => ({ ...made, id: `call_${index}` })),
    usage: {
      prompt_tokens: prompt + cached,
      completion_tokens: completion,
      total_tokens: prompt + cached + completion,
      prompt_tokens_details: { cached_tokens: cached },
      completion_tokens_details: { reasoning_tokens: reasoningTokens },
    },
  }));
