/** A Messages request as a canonical one. https://platform.claude.com/docs/en/api/messages (MessageCreateParams) */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../domain/request.ts';
import { isObject, numberOf, objectOf, present, textOf, without } from '../canonical/json.ts';
import { inexpressible, malformed, refuseAll } from '../canonical/refuse.ts';
import { toolChoiceOf, toolsOf } from './tools.ts';
import { messagesOf, systemMessages } from './turns.ts';

/** Members with another name or shape in chat completions; the others pass through. */
const translated = [
  'messages',
  'system',
  'max_tokens',
  'stop_sequences',
  'stream',
  'metadata',
  'tools',
  'tool_choice',
  'output_config',
  'output_format',
  'service_tier',
];

/** Members that ask for what only Anthropic's own servers do. */
const atAnthropicOnly = ['container', 'mcp_servers'];

/** OpenAI refuses a longer `user`. */
const longestUser = 64;

export function toChat(body: JsonObject, options = refuseAll): JsonObject {
  for (const name of atAnthropicOnly) {
    const value = body[name];
    if (value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0) && !options.dropParams) {
      throw inexpressible(name, 'it runs at Anthropic only');
    }
  }
  const tools = toolsOf(body['tools'], options);
  const stop = body['stop_sequences'];
  if (stop !== undefined && stop !== null && !Array.isArray(stop)) throw malformed('stop_sequences', 'a list of texts');
  return {
    ...without(body, [...translated, ...atAnthropicOnly]),
    messages: [...systemMessages(body['system'], 'system'), ...messagesOf(body['messages'], options)],
    ...present({
      max_completion_tokens: body['max_tokens'],
      stop: Array.isArray(stop) && stop.length > 0 ? stop : undefined,
      tools,
      service_tier: body['service_tier'] === 'standard_only' ? 'default' : body['service_tier'],
    }),
    ...(tools === undefined && options.dropParams ? {} : toolChoiceOf(body['tool_choice'])),
    ...userOf(body['metadata']),
    ...outputOf(body),
    ...streamOf(body['stream']),
  };
}

/** Token counts come with a stream only if they are asked for, and this format cannot do without. */
function streamOf(stream: unknown): JsonObject {
  if (stream === undefined) return {};
  return stream === true ? { stream, stream_options: { include_usage: true } } : { stream };
}

/** An id that is too long for OpenAI becomes its SHA-256: as stable, and 64 characters. */
function userOf(metadata: unknown): JsonObject {
  const user = textOf(objectOf(metadata)['user_id']);
  const others = without(objectOf(metadata), ['user_id']);
  return {
    ...(user === undefined
      ? {}
      : { user: user.length > longestUser ? createHash('sha256').update(user).digest('hex') : user }),
    ...(Object.keys(others).length === 0 ? {} : { metadata: others }),
  };
}

/** Effort and the shape of the answer. `output_format` is the older name of `output_config.format`. */
function outputOf(body: JsonObject): JsonObject {
  const config = objectOf(body['output_config']);
  const others = without(config, ['effort', 'format']);
  return {
    ...present({
      reasoning_effort: config['effort'] ?? effortOf(objectOf(body['thinking'])),
      response_format: formatOf(config['format'] ?? body['output_format']),
    }),
    ...(Object.keys(others).length === 0 ? {} : { output_config: others }),
  };
}

/** LiteLLM's steps. `thinking` itself passes through beside it, for providers that take the exact budget. */
function effortOf(thinking: JsonObject): string | undefined {
  const budget = numberOf(thinking['budget_tokens']);
  if (thinking['type'] !== 'enabled' || budget === undefined) return undefined;
  return budget >= 10_000 ? 'high' : budget >= 5_000 ? 'medium' : budget >= 2_000 ? 'low' : 'minimal';
}

function formatOf(format: unknown): JsonObject | undefined {
  if (format === undefined || format === null) return undefined;
  if (!isObject(format) || format['type'] !== 'json_schema' || !isObject(format['schema'])) {
    throw malformed('output_config.format', 'a json_schema format with a schema');
  }
  return { type: 'json_schema', json_schema: { name: 'output', schema: format['schema'], strict: true } };
}
