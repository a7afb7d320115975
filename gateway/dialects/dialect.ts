/**
 * The contract of an inbound dialect: another API's wire format in front of the canonical one, which is OpenAI's chat
 * completions (https://platform.openai.com/docs/api-reference/chat). Everything here maps bytes and does no I/O.
 *
 * Members beyond OpenAI's own that a canonical request may carry, with LiteLLM's names and meaning: `thinking`,
 * `top_k`, `cache_control` on content parts and tools, `reasoning_content` and `thinking_blocks` on assistant messages.
 * A provider that does not know them leaves them out.
 */
import type { ClientApi, JsonObject } from '../domain/request.ts';

/** What the gateway says when something fails, in LiteLLM's shape. */
export interface ErrorEnvelope {
  readonly message: string;
  readonly type: string | null;
  readonly param: string | null;
  /** The HTTP status as text. */
  readonly code: string;
}

export interface DialectOptions {
  /**
   * LiteLLM's `drop_params`: what only the API's own provider does (tools that run there, storing answers) is left out
   * instead of refused. What would change the meaning of the conversation is refused all the same.
   */
  readonly dropParams: boolean;
}

/** One client API. Stateless: one instance serves every request. All answers are `application/json` unless streamed. */
export interface Dialect {
  readonly api: ClientApi;
  /**
   * The client's body as a canonical body. Members that are not known pass through unchanged.
   * @throws Refusal 400 naming the parameter that cannot be expressed.
   */
  toChat(body: JsonObject, options?: DialectOptions): JsonObject;
  /** A whole `chat.completion` in the client's format. `request` is the client's own body. */
  fromReply(reply: Buffer, request: JsonObject): Buffer;
  /** For one stream; used once. `request` is the client's own body. */
  encoder(request: JsonObject): DialectEncoder;
  /** The gateway's error in the client's format; the HTTP status stays what it is. */
  fromError(status: number, envelope: ErrorEnvelope): Buffer;
}

/**
 * Writes one stream (`text/event-stream`) in the client's format. Holds the stream's state and throws nothing. Exactly
 * one of `end` and `broken` is called last; whatever comes after the stream's last event is empty.
 */
export interface DialectEncoder {
  /** Whole canonical events, any number, `[DONE]` included. Empty when there is nothing to tell yet. */
  push(block: Buffer): Buffer;
  /** The upstream finished properly. */
  end(): Buffer;
  /** The upstream broke: the client must not take what it has for the whole answer. */
  broken(envelope: ErrorEnvelope): Buffer;
}
