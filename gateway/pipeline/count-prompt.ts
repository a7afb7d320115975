/**
 * Prompt tokens for the comparison with context windows: an estimate where that is enough, a count where it is not. The
 * count is exact for OpenAI's text models but for some tokens at the cuts; other vendors' models are counted as if they
 * were OpenAI's, which is some percent too few: what then does not fit, its provider refuses.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Deployment } from '../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../domain/request.ts';
import { type EncodingName, encodingOf, type Tokenizer, type Tokenizers } from './tokenizer.ts';

/**
 * Hardly a text has more bytes to a token than this (Cyrillic as `\\u0439` has fifteen), and hardly one fewer (hexadecimal
 * digits have 1.7): between them only a count tells.
 */
const mostBytesPerToken = 24;
const leastBytesPerToken = 1.5;

/** What the wire format adds for each message. */
const tokensPerMessage = 4;

/** Other requests wait for so long at most. */
const sliceMs = 8;
/** What a prompt may cost in all; the rest of a longer one is taken to be like what was counted. */
const totalMs = 200;

/** Characters that are counted at once: where there is no space, fewer, since there the time grows with their square. */
const longestPiece = 512;
const longestUnbroken = 128;

export interface PromptCounterOptions {
  readonly tokenizers: Tokenizers;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

export class PromptCounter {
  readonly #options: PromptCounterOptions;

  constructor(options: PromptCounterOptions) {
    this.#options = options;
  }

  /**
   * @param estimate of the same prompt; returned where every window is clearly larger or smaller.
   * @returns a number that compares with each window as the prompt does.
   */
  tokensFor(
    request: ModelRequest,
    deployments: readonly Deployment[],
    estimate: { readonly tokens: number; readonly textBytes: number },
    signal: AbortSignal,
  ): number | Promise<number> {
    if (request.operation !== 'chat') return estimate.tokens;
    let largest = 0;
    let encoding: EncodingName = 'o200k_base';
    for (const { maxInputTokens = 0, listedAs, model } of deployments) {
      const fits = estimate.textBytes <= maxInputTokens * leastBytesPerToken;
      const tooLong = estimate.textBytes > maxInputTokens * mostBytesPerToken;
      if (fits || tooLong) continue;
      largest = Math.max(largest, maxInputTokens);
      // The older one makes more tokens of the same text.
      if (encodingOf(listedAs?.model ?? model) === 'cl100k_base') encoding = 'cl100k_base';
    }
    const tokenizer = this.#options.tokenizers[encoding];
    return largest === 0 || tokenizer === undefined
      ? estimate.tokens
      : this.#count(request.body, tokenizer, largest, signal);
  }

  async #count(body: JsonObject, tokenizer: Tokenizer, limit: number, signal: AbortSignal): Promise<number> {
    const { now } = this.#options;
    const { texts, messages } = textsOf(body);
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    let tokens = messages * tokensPerMessage;
    let done = 0;
    let spentMs = 0;
    let sliceStart = now();
    for (const text of texts) {
      for (let at = 0; at < text.length; ) {
        const end = endOfPiece(text, at);
        tokens += tokenizer(text.slice(at, end));
        done += end - at;
        at = end;
        if (tokens > limit) return limit + 1;
        const passedMs = now() - sliceStart;
        if (spentMs + passedMs > totalMs || signal.aborted) return Math.ceil((tokens * length) / done);
        if (passedMs < sliceMs) continue;
        spentMs += passedMs;
        await nextTurn();
        sliceStart = now();
      }
    }
    return tokens;
  }
}

/** Cut before a space, since a space begins a token; in a long stretch without one, anywhere. */
function endOfPiece(text: string, start: number): number {
  const window = text.slice(start, start + longestPiece);
  for (let at = 0; at < window.length; ) {
    const space = window.indexOf(' ', at + 1);
    const next = space === -1 ? window.length : space;
    if (next - at > longestUnbroken) return start + (at === 0 ? longestUnbroken : at);
    // The last stretch goes on behind the window.
    if (space === -1) return start + (at === 0 || start + next === text.length ? next : at);
    at = next;
  }
  return start + window.length;
}

/** Parts whose content is not text. */
const media: ReadonlySet<unknown> = new Set([
  'image_url',
  'input_image',
  'image',
  'input_audio',
  'audio',
  'file',
  'input_file',
  'document',
]);

/** What of a body becomes prompt, in the words of any client API. */
function textsOf(body: JsonObject): { texts: readonly string[]; messages: number } {
  const texts: string[] = [];
  const conversation = body['messages'] ?? body['input'];
  collect(conversation, texts, deepest);
  collect(body['system'] ?? body['instructions'], texts, deepest);
  if (Array.isArray(body['tools'])) texts.push(JSON.stringify(body['tools']));
  return { texts, messages: Array.isArray(conversation) ? conversation.length : 1 };
}

/** Deeper than any client API nests. */
const deepest = 12;

function collect(value: unknown, texts: string[], depth: number): void {
  if (typeof value === 'string') {
    texts.push(value);
    return;
  }
  if (typeof value !== 'object' || value === null || depth === 0) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, texts, depth - 1);
    return;
  }
  if (media.has(Reflect.get(value, 'type'))) return;
  for (const [name, item] of Object.entries(value)) {
    // Names of roles and kinds are part of what each message adds.
    if (name !== 'role' && name !== 'type') collect(item, texts, depth - 1);
  }
}
