/** Writes a stream of `chat.completion.chunk` events. https://platform.openai.com/docs/api-reference/chat-streaming/streaming */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { StreamPart } from '../adapter.ts';
import { present } from '../json.ts';
import { type CompletionThinking, createdAt, type FinishReason } from './completion.ts';
import { wantsUsage } from './read-prompt.ts';
import { printUsage, type TokenCounts, toUsage } from './usage.ts';

const doneEvent: StreamPart = { is: 'chunk', bytes: Buffer.from('data: [DONE]\n\n') };

export interface ChunkOptions {
  readonly id: string;
  readonly model: string;
  /** Unix seconds. */
  readonly created: number;
  /** Whether the client asked for token counts (`stream_options.include_usage`). */
  readonly usageForClient: boolean;
}

/** For an answer that has told nothing of itself yet. */
export const openChunks = (request: ModelRequest, deployment: Deployment): ChunkWriter =>
  new ChunkWriter({
    id: `chatcmpl-${request.id}`,
    model: deployment.model,
    created: createdAt(request),
    usageForClient: wantsUsage(request.body),
  });

/** Holds the state of one answer: which choices have begun, and what every chunk repeats. */
export class ChunkWriter {
  readonly usageForClient: boolean;
  #id: string;
  #model: string;
  readonly #created: number;
  readonly #begun = new Set<number>();

  constructor(options: ChunkOptions) {
    this.#id = options.id;
    this.#model = options.model;
    this.#created = options.created;
    this.usageForClient = options.usageForClient;
  }

  /** The provider's own id and model, once it has told them. Chunks that were written keep what they have. */
  name(id: string | undefined, model: string | undefined): void {
    this.#id = id ?? this.#id;
    this.#model = model ?? this.#model;
  }

  /** The chunk with the role, once for each choice. */
  begin(choice = 0): StreamPart[] {
    if (this.#begun.has(choice)) return [];
    this.#begun.add(choice);
    return [this.#choice(choice, { role: 'assistant', content: '' }, null)];
  }

  text(text: string, choice = 0, logprobs?: JsonObject): StreamPart[] {
    if (text === '' && logprobs === undefined) return [];
    return this.#delta(choice, { content: text }, logprobs);
  }

  refusal(text: string, choice = 0): StreamPart[] {
    return this.#delta(choice, { refusal: text });
  }

  /** A piece of reasoning, or the signature that ends it. */
  thinking(block: CompletionThinking, choice = 0): StreamPart[] {
    const text = block.type === 'thinking' ? block.thinking : '';
    return this.#delta(choice, {
      ...(text === '' ? {} : { reasoning_content: text }),
      thinking_blocks: [block],
    });
  }

  /** A new call; its arguments follow, or come with it. */
  callStart(
    index: number,
    id: string,
    name: string,
    args: string,
    providerFields?: JsonObject,
    choice = 0,
  ): StreamPart[] {
    const call = present({
      index,
      id,
      type: 'function',
      function: { name, arguments: args },
      provider_specific_fields: providerFields,
    });
    return this.#delta(choice, { tool_calls: [call] });
  }

  callArguments(index: number, args: string, choice = 0): StreamPart[] {
    return args === '' ? [] : this.#delta(choice, { tool_calls: [{ index, function: { arguments: args } }] });
  }

  /** @param stopSequence the one that was met, under vLLM's name. */
  finish(reason: FinishReason, choice = 0, stopSequence?: string): StreamPart[] {
    return [...this.begin(choice), this.#choice(choice, {}, reason, undefined, stopSequence)];
  }

  /** The last words of a proper answer. */
  end(counts: TokenCounts | undefined): StreamPart[] {
    const parts: StreamPart[] = counts === undefined ? [] : [{ is: 'usage', usage: toUsage(counts) }];
    if (counts !== undefined && this.usageForClient) {
      parts.push(this.#event({ choices: [], usage: printUsage(counts) }));
    }
    return [...parts, doneEvent, { is: 'end' }];
  }

  #delta(choice: number, delta: JsonObject, logprobs?: JsonObject): StreamPart[] {
    return [...this.begin(choice), this.#choice(choice, delta, null, logprobs)];
  }

  #choice(
    index: number,
    delta: JsonObject,
    finishReason: FinishReason | null,
    logprobs?: JsonObject,
    stopSequence?: string,
  ): StreamPart {
    return this.#event({
      choices: [
        present({ index, delta, logprobs: logprobs ?? null, finish_reason: finishReason, stop_reason: stopSequence }),
      ],
    });
  }

  #event(members: JsonObject): StreamPart {
    const chunk = {
      id: this.#id,
      object: 'chat.completion.chunk',
      created: this.#created,
      model: this.#model,
      ...members,
    };
    return { is: 'chunk', bytes: Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`) };
  }
}
