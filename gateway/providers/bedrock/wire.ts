/** What is written to Bedrock's Converse API, as far as this gateway writes it. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
import type { JsonObject } from '../../domain/request.ts';

/** `blob` in AWS's documentation; base64 on the wire. */
type Base64 = string;

export type ContentBlock =
  | { readonly text: string }
  | { readonly image: { readonly format: string; readonly source: MediaSource } }
  | { readonly document: { readonly format: string; readonly name: string; readonly source: MediaSource } }
  | { readonly toolUse: { readonly toolUseId: string; readonly name: string; readonly input: JsonObject } }
  | { readonly toolResult: { readonly toolUseId: string; readonly content: readonly ContentBlock[] } }
  | { readonly reasoningContent: ReasoningContent }
  | CachePoint;

export interface MediaSource {
  readonly bytes: Base64;
}

export type ReasoningContent =
  | { readonly reasoningText: { readonly text: string; readonly signature: string } }
  | { readonly redactedContent: Base64 };

/** Everything before it is cached. https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html */
export interface CachePoint {
  readonly cachePoint: { readonly type: 'default'; readonly ttl?: string };
}

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: readonly ContentBlock[];
}

/** `stopReason` of an answer. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html */
export type StopReason =
  | 'end_turn'
  | 'tool_use'
  | 'max_tokens'
  | 'stop_sequence'
  | 'guardrail_intervened'
  | 'content_filtered'
  | 'malformed_model_output'
  | 'malformed_tool_use'
  | 'model_context_window_exceeded';
