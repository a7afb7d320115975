/**
 * OpenAI's chat completion request, read once: what every provider with a wire format of its own maps from.
 * https://platform.openai.com/docs/api-reference/chat/create and, for the members beyond OpenAI's own,
 * https://docs.litellm.ai/docs/reasoning_content and https://docs.litellm.ai/docs/completion/prompt_caching
 */
import type { JsonObject } from '../../domain/request.ts';

export interface Prompt {
  /** All system and developer messages, in order, wherever they stood. */
  readonly system: readonly TextPart[];
  /** Never empty; neighbours may have the same role. */
  readonly turns: readonly Turn[];
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice | undefined;
  readonly parallelToolCalls: boolean | undefined;
  readonly format: Format;
  /** `max_completion_tokens`, else `max_tokens`. */
  readonly maxTokens: number | undefined;
  readonly temperature: number | undefined;
  readonly topP: number | undefined;
  readonly topK: number | undefined;
  readonly stop: readonly string[];
  readonly reasoningEffort: Effort | undefined;
  /** Anthropic's `thinking` as it is; it says more than an effort. */
  readonly thinking: JsonObject | undefined;
  /** `metadata.user_id`, else `user`, else `safety_identifier`. */
  readonly userId: string | undefined;
  /** Members that are neither OpenAI's nor the gateway's: the provider's own, passed on as they are. */
  readonly own: JsonObject;
}

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

export type Turn = UserTurn | AssistantTurn | ToolTurn;

export interface UserTurn {
  readonly role: 'user';
  readonly parts: readonly Part[];
}

export interface AssistantTurn {
  readonly role: 'assistant';
  /** LiteLLM's `thinking_blocks`, in order. */
  readonly thinking: readonly ThinkingBlock[];
  readonly parts: readonly TextPart[];
  readonly calls: readonly ToolCall[];
}

/** The result of one call. */
export interface ToolTurn {
  readonly role: 'tool';
  readonly callId: string;
  /** Name of the function, from the call with this id. */
  readonly name: string | undefined;
  readonly parts: readonly Part[];
  readonly cacheControl: JsonObject | undefined;
  readonly at: string;
}

/** Where a part stands in the client's body is kept, so that a refusal can name it. */
export type Part = TextPart | ImagePart | FilePart | AudioPart | ForeignPart;

export interface TextPart {
  readonly is: 'text';
  readonly text: string;
  /** Anthropic's marker for prompt caching. */
  readonly cacheControl: JsonObject | undefined;
}

export interface ImagePart {
  readonly is: 'image';
  readonly source: MediaSource;
  readonly cacheControl: JsonObject | undefined;
  readonly at: string;
}

export interface FilePart {
  readonly is: 'file';
  readonly source: MediaSource;
  readonly fileName: string | undefined;
  readonly cacheControl: JsonObject | undefined;
  readonly at: string;
}

export interface AudioPart {
  readonly is: 'audio';
  readonly base64: string;
  /** `wav` or `mp3`. */
  readonly format: string;
  readonly at: string;
}

/** A part of a type that OpenAI does not have: perhaps the provider's own. */
export interface ForeignPart {
  readonly is: 'foreign';
  readonly type: string;
  readonly part: JsonObject;
  readonly at: string;
}

export type MediaSource =
  | { readonly is: 'data'; readonly mediaType: string; readonly base64: string }
  | { readonly is: 'url'; readonly url: string }
  /** A file that was uploaded to the provider. */
  | { readonly is: 'id'; readonly id: string };

export type ThinkingBlock =
  | { readonly is: 'thinking'; readonly text: string; readonly signature: string }
  /** Reasoning that only the provider can read. */
  | { readonly is: 'redacted'; readonly data: string };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: JsonObject;
  readonly cacheControl: JsonObject | undefined;
  /** LiteLLM's place for what a provider wants back unchanged. */
  readonly providerFields: JsonObject;
}

export type Tool =
  | {
      readonly is: 'function';
      readonly name: string;
      readonly description: string | undefined;
      /** JSON schema of the arguments. */
      readonly parameters: JsonObject | undefined;
      readonly strict: boolean | undefined;
      readonly cacheControl: JsonObject | undefined;
    }
  /** A tool of the provider itself, in its own words. */
  | { readonly is: 'foreign'; readonly tool: JsonObject; readonly at: string };

export type ToolChoice =
  | { readonly is: 'auto' }
  | { readonly is: 'none' }
  | { readonly is: 'required' }
  | { readonly is: 'named'; readonly name: string };

export type Format =
  | { readonly is: 'text' }
  /** Any JSON object. */
  | { readonly is: 'json' }
  | {
      readonly is: 'schema';
      readonly name: string;
      readonly description: string | undefined;
      readonly schema: JsonObject;
    };
