/** A canonical reply as a Message. https://platform.claude.com/docs/en/api/messages (Message in @anthropic-ai/sdk) */
import type { JsonObject } from '../../domain/request.ts';
import type { Block } from '../canonical/block.ts';
import { isObject, parseJson } from '../canonical/json.ts';
import { type AnswerFacts, readReply } from '../canonical/reply.ts';

export function fromReply(reply: Buffer): Buffer {
  const { blocks, ...facts } = readReply(reply);
  const message = {
    ...emptyMessage(facts),
    content: blocks.map(contentBlock),
    ...stopOf(facts, blocks),
    usage: { ...noUsage, ...usageOf(facts) },
  };
  return Buffer.from(JSON.stringify(message));
}

/** How a stream begins: all that is known before the answer. */
export const emptyMessage = (facts: AnswerFacts): JsonObject => ({
  id: facts.id.startsWith('msg_') ? facts.id : `msg_${facts.id}`,
  type: 'message',
  role: 'assistant',
  model: facts.model,
  content: [],
  stop_reason: null,
  stop_sequence: null,
  stop_details: null,
  container: null,
  diagnostics: null,
  usage: noUsage,
});

const noUsage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation: null,
  inference_geo: null,
  output_tokens_details: null,
  server_tool_use: null,
  service_tier: null,
  speed: null,
};

/** Anthropic counts cached tokens beside `input_tokens`, OpenAI within `prompt_tokens`. */
export function usageOf({ usage }: AnswerFacts): JsonObject {
  if (usage === undefined) return { output_tokens: 0 };
  return {
    input_tokens: Math.max(0, usage.prompt - usage.cacheRead - usage.cacheWrite),
    output_tokens: usage.completion,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens_details: usage.reasoning === 0 ? null : { thinking_tokens: usage.reasoning },
    server_tool_use: null,
  };
}

export function contentBlock(block: Block): JsonObject {
  switch (block.is) {
    case 'thinking':
      return { type: 'thinking', thinking: block.text, signature: block.signature };
    case 'redacted':
      return { type: 'redacted_thinking', data: block.data };
    case 'text':
    case 'refusal':
      return { type: 'text', text: block.text, citations: null };
    case 'tool':
      return {
        type: 'tool_use',
        id: block.id,
        name: block.name,
        input: inputOf(block.arguments),
        caller: { type: 'direct' },
      };
  }
}

/**
 * Arguments that are no JSON object are handed on under the name that Anthropic recommends for them.
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
 */
function inputOf(text: string): JsonObject {
  if (text.trim() === '') return {};
  const input = parseJson(text);
  return isObject(input) ? input : { INVALID_JSON: text };
}

/** Why the answer ended. Servers that say `stop` after calling a tool are corrected: agents go by this. */
export function stopOf(facts: AnswerFacts, blocks: readonly Block[]): JsonObject {
  const refusal = blocks.find((block) => block.is === 'refusal');
  if (refusal !== undefined || facts.finishReason === 'content_filter') {
    const details = { type: 'refusal', category: null, explanation: refusal?.text ?? null };
    return { stop_reason: 'refusal', stop_sequence: null, stop_details: details };
  }
  return { ...reasonOf(facts, blocks), stop_details: null };
}

function reasonOf(facts: AnswerFacts, blocks: readonly Block[]): JsonObject {
  if (facts.finishReason === 'length') return { stop_reason: 'max_tokens', stop_sequence: null };
  if (blocks.some((block) => block.is === 'tool')) return { stop_reason: 'tool_use', stop_sequence: null };
  if (facts.stopSequence !== undefined) return { stop_reason: 'stop_sequence', stop_sequence: facts.stopSequence };
  return { stop_reason: 'end_turn', stop_sequence: null };
}
