/** A canonical reply as a Response. https://platform.openai.com/docs/api-reference/responses/object */
import type { JsonObject } from '../../domain/request.ts';
import { isCut } from '../canonical/block.ts';
import { objectOf } from '../canonical/json.ts';
import { type AnswerFacts, readReply } from '../canonical/reply.ts';
import { outputItem } from './output.ts';

export function fromReply(reply: Buffer, request: JsonObject): Buffer {
  const { blocks, ...facts } = readReply(reply);
  const output = blocks.map((block, index) => {
    const cut = facts.finishReason === 'length' && isCut(block, index === blocks.length - 1);
    return outputItem(block, index, facts.id, cut ? 'incomplete' : 'completed');
  });
  return Buffer.from(JSON.stringify(endedResponse(facts, request, output)));
}

/** A Response without an answer yet; the request is repeated in it, as the API does. */
export const emptyResponse = (facts: AnswerFacts, request: JsonObject): JsonObject => ({
  id: responseId(facts),
  object: 'response',
  created_at: facts.created,
  status: 'in_progress',
  background: false,
  error: null,
  incomplete_details: null,
  instructions: request['instructions'] ?? null,
  max_output_tokens: request['max_output_tokens'] ?? null,
  max_tool_calls: request['max_tool_calls'] ?? null,
  metadata: objectOf(request['metadata']),
  model: facts.model,
  output: [],
  parallel_tool_calls: request['parallel_tool_calls'] ?? true,
  previous_response_id: null,
  prompt_cache_key: request['prompt_cache_key'] ?? null,
  reasoning: { effort: null, summary: null, ...objectOf(request['reasoning']) },
  safety_identifier: request['safety_identifier'] ?? null,
  service_tier: facts.serviceTier ?? 'default',
  store: false,
  temperature: request['temperature'] ?? null,
  text: { format: { type: 'text' }, ...objectOf(request['text']) },
  tool_choice: request['tool_choice'] ?? 'auto',
  tools: request['tools'] ?? [],
  top_logprobs: request['top_logprobs'] ?? 0,
  top_p: request['top_p'] ?? null,
  truncation: 'disabled',
  usage: null,
  user: request['user'] ?? null,
});

export const endedResponse = (facts: AnswerFacts, request: JsonObject, output: readonly JsonObject[]): JsonObject => ({
  ...emptyResponse(facts, request),
  ...statusOf(facts),
  output,
  usage: usageOf(facts),
});

const responseId = ({ id }: AnswerFacts): string => (id.startsWith('resp_') ? id : `resp_${id}`);

function statusOf({ finishReason }: AnswerFacts): JsonObject {
  if (finishReason !== 'length' && finishReason !== 'content_filter') return { status: 'completed' };
  const reason = finishReason === 'length' ? 'max_output_tokens' : 'content_filter';
  return { status: 'incomplete', incomplete_details: { reason } };
}

function usageOf({ usage }: AnswerFacts): JsonObject | null {
  if (usage === undefined) return null;
  return {
    input_tokens: usage.prompt,
    input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    output_tokens: usage.completion,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.total,
  };
}
