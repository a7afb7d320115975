/** From OpenAI's body to a `Prompt`, or a refusal that names the parameter. */
import type { JsonObject } from '../../domain/request.ts';
import { gatewayMembers } from '../gateway-members.ts';
import { isObject, objectOf, textOf } from '../json.ts';
import type { Effort, Format, Prompt, Tool, ToolChoice } from './prompt.ts';
import { readMessages } from './read-messages.ts';
import { cacheControlOf } from './read-parts.ts';
import { malformed } from './refuse.ts';

/** Members of OpenAI's API, and of LiteLLM's that this reader knows. */
const knownMembers: ReadonlySet<string> = new Set(
  `audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages metadata
  modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
  prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream
  stream_options temperature thinking tool_choice tools top_k top_logprobs top_p user verbosity
  web_search_options`.split(/\s+/),
);

export function readPrompt(body: JsonObject): Prompt {
  const metadata = objectOf(body['metadata']);
  return {
    ...readMessages(body['messages']),
    tools: readTools(body['tools']),
    toolChoice: readToolChoice(body['tool_choice']),
    parallelToolCalls: readBoolean(body, 'parallel_tool_calls'),
    format: readFormat(body['response_format']),
    maxTokens: readCount(body, 'max_completion_tokens') ?? readCount(body, 'max_tokens'),
    temperature: readNumber(body, 'temperature'),
    topP: readNumber(body, 'top_p'),
    topK: readNumber(body, 'top_k'),
    stop: readStop(body['stop']),
    reasoningEffort: readEffort(body['reasoning_effort']),
    thinking: isObject(body['thinking']) ? body['thinking'] : undefined,
    userId: textOf(metadata['user_id']) ?? textOf(body['user']) ?? textOf(body['safety_identifier']),
    own: Object.fromEntries(
      Object.entries(body).filter(
        ([member, value]) =>
          value !== undefined && value !== null && !knownMembers.has(member) && !gatewayMembers.has(member),
      ),
    ),
  };
}

export const wantsUsage = (body: JsonObject): boolean => objectOf(body['stream_options'])['include_usage'] === true;

function readNumber(body: JsonObject, name: string): number | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
  throw malformed(name, 'a number');
}

function readCount(body: JsonObject, name: string): number | undefined {
  const value = readNumber(body, name);
  if (value === undefined || (Number.isSafeInteger(value) && value > 0)) return value;
  throw malformed(name, 'a whole number of at least 1');
}

function readBoolean(body: JsonObject, name: string): boolean | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  throw malformed(name, 'true or false');
}

function readStop(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const stop: unknown[] = Array.isArray(value) ? value : [value];
  return stop.map((sequence) => {
    if (typeof sequence === 'string') return sequence;
    throw malformed('stop', 'text or a list of texts');
  });
}

const efforts: readonly Effort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

function readEffort(value: unknown): Effort | undefined {
  if (value === undefined || value === null) return undefined;
  const effort = efforts.find((name) => name === value);
  if (effort === undefined) throw malformed('reasoning_effort', `one of ${efforts.join(', ')}`);
  return effort;
}

function readTools(value: unknown): Tool[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed('tools', 'a list');
  return value.map((tool: unknown, index): Tool => {
    const at = `tools[${index}]`;
    if (!isObject(tool)) throw malformed(at, 'an object with a type');
    if (!isObject(tool['function'])) {
      if (tool['type'] === 'function') throw malformed(`${at}.function`, 'an object with a name');
      return { is: 'foreign', tool, at };
    }
    const described = tool['function'];
    const name = textOf(described['name']);
    if (name === undefined) throw malformed(`${at}.function.name`, 'the name of the function');
    const { parameters, strict } = described;
    return {
      is: 'function',
      name,
      description: textOf(described['description']),
      parameters: isObject(parameters) ? parameters : undefined,
      strict: typeof strict === 'boolean' ? strict : undefined,
      cacheControl: cacheControlOf(tool) ?? cacheControlOf(described),
    };
  });
}

function readToolChoice(value: unknown): ToolChoice | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === 'auto' || value === 'none' || value === 'required') return { is: value };
  // Anthropic's and older clients' word for `required`.
  if (value === 'any') return { is: 'required' };
  const name = textOf(objectOf(objectOf(value)['function'])['name']);
  if (name === undefined) throw malformed('tool_choice', 'auto, none, required or a function by its name');
  return { is: 'named', name };
}

function readFormat(value: unknown): Format {
  if (value === undefined || value === null) return { is: 'text' };
  const format = objectOf(value);
  switch (format['type']) {
    case 'text':
      return { is: 'text' };
    case 'json_object': {
      // LiteLLM's older form carries a schema here.
      const schema = format['response_schema'];
      return isObject(schema) ? { is: 'schema', name: 'answer', description: undefined, schema } : { is: 'json' };
    }
    case 'json_schema': {
      const described = objectOf(format['json_schema']);
      const schema = described['schema'];
      if (!isObject(schema)) throw malformed('response_format.json_schema.schema', 'a JSON schema');
      const name = textOf(described['name']) ?? 'answer';
      return { is: 'schema', name, description: textOf(described['description']), schema };
    }
    default:
      throw malformed('response_format.type', 'text, json_object or json_schema');
  }
}
