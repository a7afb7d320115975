/** From OpenAI's chat completions to Anthropic's Messages API. https://platform.claude.com/docs/en/api/messages/create */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamCall } from '../adapter.ts';
import type { Prompt } from '../chat/prompt.ts';
import { readPrompt } from '../chat/read-prompt.ts';
import { type AdapterOptions, inexpressible, malformed, refuseUnsupported } from '../chat/refuse.ts';
import { type ClaudeTraits, claudeTraits } from '../claude-models.ts';
import { type Thinking, toThinking } from '../claude-thinking.ts';
import { closedSchema } from '../closed-schema.ts';
import { objectOf, present, printBody } from '../json.ts';
import { toMessages, toTextBlocks } from './messages.ts';
import { toTools } from './tools.ts';

/**
 * The version with `temperature`, `top_p` and `top_k`, which clients of OpenAI's API send and older models take; the next
 * one (2026-10-21) refuses them for every model. https://platform.claude.com/docs/en/api/versioning
 */
export const apiVersion = '2023-06-01';

/**
 * Anthropic demands a limit. LiteLLM's default, which every model can give, plus the budget for thinking; models that
 * decide themselves how much to think (4.6 and later, all of which can give 64,000) need room for it in the same limit.
 */
const defaultMaxTokens = 4096;
const defaultMaxTokensAdaptive = 32_000;

const unsupported: Readonly<Record<string, string>> = {
  n: 'it gives one answer to a request',
  logprobs: 'it reports no probabilities',
  top_logprobs: 'it reports no probabilities',
  logit_bias: 'it cannot be steered by token',
  frequency_penalty: 'it has no such setting',
  presence_penalty: 'it has no such setting',
  seed: 'its answers cannot be repeated',
  modalities: 'it answers in text',
  audio: 'it answers in text',
  functions: 'use tools',
  function_call: 'use tool_choice',
  web_search_options: 'use its own tool web_search in tools',
  moderation: 'it has no such setting',
  verbosity: 'it has no such setting',
};

export function toUpstream(request: ModelRequest, deployment: Deployment, options: AdapterOptions): UpstreamCall {
  if (request.operation !== 'chat') throw inexpressible(request.operation, 'anthropic', 'it answers chat only');
  refuseUnsupported(request.body, unsupported, 'anthropic', options);
  return {
    origin: deployment.origin,
    path: messagesPath(deployment.basePath),
    headers: { 'anthropic-version': apiVersion, ...deployment.headers, 'content-type': 'application/json' },
    body: printBody(toBody(request, deployment.model, options)),
  };
}

/** `api_base` may or may not name the version or the whole path, as in LiteLLM. */
export function messagesPath(basePath: string): string {
  if (basePath.endsWith('/v1/messages')) return basePath;
  return basePath.endsWith('/v1') ? `${basePath}/messages` : `${basePath}/v1/messages`;
}

function toBody(request: ModelRequest, model: string, options: AdapterOptions): JsonObject {
  const prompt = readPrompt(request.body);
  const traits = claudeTraits(model);
  const messages = toMessages(prompt.turns);
  if (messages.length === 0) throw malformed('messages', 'more than empty text');
  const thinking = toThinking(prompt, traits);
  const system = toSystem(prompt);
  const outputConfig = present({
    ...objectOf(prompt.own['output_config']),
    effort: thinking.effort ?? objectOf(prompt.own['output_config'])['effort'],
    format:
      prompt.format.is === 'schema'
        ? { type: 'json_schema', schema: closedSchema(prompt.format.schema) }
        : objectOf(prompt.own['output_config'])['format'],
  });
  return present({
    ...prompt.own,
    model,
    max_tokens: prompt.maxTokens ?? defaultLimit(thinking, traits),
    messages,
    system: system.length === 0 ? undefined : system,
    ...toTools(prompt, traits),
    ...sampling(prompt, traits, thinking, options),
    stop_sequences: stopSequences(prompt, options),
    thinking: thinking.thinking,
    output_config: Object.keys(outputConfig).length === 0 ? undefined : outputConfig,
    metadata: prompt.userId === undefined || isPersonal(prompt.userId) ? undefined : { user_id: prompt.userId },
    service_tier: serviceTier(request.body['service_tier'] ?? undefined, options),
    stream: request.stream ? true : undefined,
  });
}

/** OpenAI's JSON mode has no schema, and has the client ask for JSON in the prompt anyway; this says it once more. */
const jsonOnly = 'Answer with one JSON object and nothing else: no explanation, no code fence.';

function toSystem(prompt: Prompt): JsonObject[] {
  const blocks = toTextBlocks(prompt.system).map((block) => ({ ...block }));
  return prompt.format.is === 'json' ? [...blocks, { type: 'text', text: jsonOnly }] : blocks;
}

function defaultLimit(thinking: Thinking, traits: ClaudeTraits): number {
  if (traits.thinking === 'adaptive') return defaultMaxTokensAdaptive;
  const budget = thinking.thinking?.['budget_tokens'];
  return defaultMaxTokens + (typeof budget === 'number' ? budget : 0);
}

/**
 * What the model does not take is sent all the same, so that its own refusal explains it, or dropped on demand:
 * newer models have no sampling, and a thinking budget fixes the temperature.
 */
function sampling(prompt: Prompt, traits: ClaudeTraits, thinking: Thinking, options: AdapterOptions): JsonObject {
  const { temperature, topP, topK } = prompt;
  if (options.dropParams && !traits.sampling) return {};
  const budgeted = options.dropParams && thinking.thinking?.['type'] === 'enabled';
  return budgeted ? { top_p: topP } : { temperature, top_p: topP, top_k: topK };
}

function stopSequences(prompt: Prompt, options: AdapterOptions): string[] | undefined {
  const usable = prompt.stop.filter((sequence) => sequence.trim() !== '');
  if (usable.length < prompt.stop.length && !options.dropParams) {
    throw inexpressible('stop', 'anthropic', 'a stop sequence must contain more than white space');
  }
  return usable.length === 0 ? undefined : usable;
}

/** Anthropic asks for opaque ids; LiteLLM leaves addresses and telephone numbers out as well. */
const isPersonal = (userId: string): boolean =>
  /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(userId) || /^\+?[\d\s().-]{7,15}$/.test(userId);

/** https://platform.claude.com/docs/en/api/service-tiers */
function serviceTier(tier: unknown, options: AdapterOptions): string | undefined {
  if (tier === undefined) return undefined;
  if (tier === 'auto' || tier === 'standard_only') return tier;
  if (tier === 'default') return 'standard_only';
  if (options.dropParams) return undefined;
  throw inexpressible('service_tier', 'anthropic', 'it knows auto and default');
}
