/** Writes a whole `chat.completion`. https://platform.openai.com/docs/api-reference/chat/object */
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import { present, printBody } from '../json.ts';
import { printUsage, type TokenCounts } from './usage.ts';

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export interface CompletionCall {
  readonly id: string;
  readonly name: string;
  /** JSON. */
  readonly arguments: string;
  /** What the provider wants back unchanged, in LiteLLM's place for it. */
  readonly providerFields?: JsonObject;
}

/** LiteLLM's `thinking_blocks`: Anthropic's shape, whoever thought. */
export type CompletionThinking =
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature?: string }
  | { readonly type: 'redacted_thinking'; readonly data: string };

export interface CompletionChoice {
  readonly text: string;
  readonly thinking: readonly CompletionThinking[];
  readonly calls: readonly CompletionCall[];
  readonly refusal?: string | undefined;
  readonly finishReason: FinishReason;
  /** vLLM's name for the stop sequence that was met. */
  readonly stopSequence?: string | undefined;
  readonly logprobs?: JsonObject | undefined;
}

export interface Completion {
  readonly id: string;
  readonly model: string;
  readonly choices: readonly CompletionChoice[];
  readonly usage: TokenCounts | undefined;
}

/** Unix seconds. The request's own time: an adapter has no clock, and a retry is the same answer to the client. */
export const createdAt = (request: ModelRequest): number => Math.floor(request.startedAtMs / 1000);

export const printCompletion = (completion: Completion, request: ModelRequest): Buffer =>
  printBody({
    id: completion.id,
    object: 'chat.completion',
    created: createdAt(request),
    model: completion.model,
    choices: completion.choices.map(printChoice),
    ...(completion.usage === undefined ? {} : { usage: printUsage(completion.usage) }),
  });

function printChoice(choice: CompletionChoice, index: number): JsonObject {
  const reasoning = choice.thinking.map((block) => (block.type === 'thinking' ? block.thinking : '')).join('');
  return present({
    index,
    message: present({
      role: 'assistant',
      content: choice.text === '' && (choice.calls.length > 0 || choice.refusal !== undefined) ? null : choice.text,
      refusal: choice.refusal ?? null,
      reasoning_content: reasoning === '' ? undefined : reasoning,
      thinking_blocks: choice.thinking.length === 0 ? undefined : choice.thinking,
      tool_calls: choice.calls.length === 0 ? undefined : choice.calls.map(printCall),
    }),
    logprobs: choice.logprobs ?? null,
    finish_reason: choice.finishReason,
    stop_reason: choice.stopSequence,
  });
}

const printCall = (call: CompletionCall): JsonObject =>
  present({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
    provider_specific_fields: call.providerFields,
  });
