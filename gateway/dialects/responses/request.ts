/** A Responses request as a canonical one. https://platform.openai.com/docs/api-reference/responses/create */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, numberOf, present, without } from '../canonical/json.ts';
import { inexpressible, malformed, refuseAll } from '../canonical/refuse.ts';
import type { DialectOptions } from '../dialect.ts';
import { messagesOf } from './items.ts';
import { toolChoiceOf, toolsOf } from './tools.ts';

/** Members with another name or shape in chat completions, and those that say only what is so anyway. */
const translated = [
  'input',
  'instructions',
  'max_output_tokens',
  'tools',
  'tool_choice',
  'text',
  'reasoning',
  'stream',
  'stream_options',
  'include',
  'top_logprobs',
  'store',
  'background',
  'truncation',
  // Limits tools that run at OpenAI; none of them can be asked for.
  'max_tool_calls',
];

/** Members that need a memory between requests. */
const kept = ['previous_response_id', 'conversation', 'prompt', 'context_management'];

export function toChat(body: JsonObject, options = refuseAll): JsonObject {
  refuseMemory(body, options);
  const tools = toolsOf(body['tools'], options);
  const instructions = body['instructions'];
  return {
    ...without(body, [...translated, ...kept]),
    messages: [
      ...(typeof instructions === 'string' && instructions !== '' ? [{ role: 'system', content: instructions }] : []),
      ...messagesOf(body['input'], options),
    ],
    ...present({
      max_completion_tokens: body['max_output_tokens'],
      tools,
      tool_choice: tools === undefined && options.dropParams ? undefined : toolChoiceOf(body['tool_choice'], options),
      reasoning_effort: effortOf(body['reasoning']),
      ...textMembers(body['text']),
      ...logprobMembers(body),
    }),
    ...streamMembers(body['stream']),
  };
}

function refuseMemory(body: JsonObject, { dropParams }: DialectOptions): void {
  for (const name of kept) {
    const value = body[name];
    if (value !== undefined && value !== null) {
      throw inexpressible(name, 'it keeps no conversations; send the whole conversation as input');
    }
  }
  if (body['store'] === true && !dropParams) {
    throw inexpressible('store', 'it keeps no answers; leave store out or send false');
  }
  if (body['background'] === true) throw inexpressible('background', 'it answers at once or as a stream');
  const truncation = body['truncation'] ?? 'disabled';
  if (truncation !== 'disabled' && !dropParams) throw inexpressible('truncation', 'it never shortens what is sent');
  const instructions = body['instructions'] ?? '';
  if (typeof instructions !== 'string') throw malformed('instructions', 'text');
}

/** A summary is not asked for: what a provider shows of its reasoning is always handed on. */
function effortOf(reasoning: unknown): unknown {
  if (reasoning === undefined || reasoning === null) return undefined;
  if (!isObject(reasoning)) throw malformed('reasoning', 'an object');
  for (const [name, usual] of [
    ['mode', 'standard'],
    ['context', 'auto'],
  ] as const) {
    if ((reasoning[name] ?? usual) !== usual) throw inexpressible(`reasoning.${name}`, `only ${usual}`);
  }
  return reasoning['effort'];
}

function textMembers(text: unknown): JsonObject {
  if (text === undefined || text === null) return {};
  if (!isObject(text)) throw malformed('text', 'an object');
  return { response_format: formatOf(text['format']), verbosity: text['verbosity'] };
}

function formatOf(format: unknown): JsonObject | undefined {
  if (format === undefined || format === null) return undefined;
  if (!isObject(format)) throw malformed('text.format', 'an object');
  switch (format['type']) {
    case 'text':
      return undefined;
    case 'json_object':
      return { type: 'json_object' };
    case 'json_schema':
      if (!isObject(format['schema'])) throw malformed('text.format.schema', 'a JSON schema');
      return { type: 'json_schema', json_schema: present(without(format, ['type'])) };
    default:
      throw inexpressible('text.format.type', 'only text, json_object and json_schema');
  }
}

/** What else may be included belongs to tools that run at OpenAI, so it never occurs. */
function logprobMembers(body: JsonObject): JsonObject {
  const top = numberOf(body['top_logprobs']);
  const included = Array.isArray(body['include']) && body['include'].includes('message.output_text.logprobs');
  if (!included && (top === undefined || top === 0)) return {};
  return { logprobs: true, top_logprobs: top };
}

/** Token counts come with a stream only if they are asked for, and this format cannot do without. */
function streamMembers(stream: unknown): JsonObject {
  if (stream === undefined || stream === null) return {};
  return stream === true ? { stream, stream_options: { include_usage: true } } : { stream };
}
