/** From OpenAI's chat completions to Converse and ConverseStream. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */

import { encodeModelId, modelIdOf } from '../../domain/bedrock-model.ts';
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamCall } from '../adapter.ts';
import type { Prompt } from '../chat/prompt.ts';
import { readPrompt } from '../chat/read-prompt.ts';
import { type AdapterOptions, inexpressible, malformed, refuseUnsupported } from '../chat/refuse.ts';
import { claudeTraits } from '../claude-models.ts';
import { toThinking } from '../claude-thinking.ts';
import { closedSchema } from '../closed-schema.ts';
import { objectOf, orNothing, present, printBody } from '../json.ts';
import { toMessages, toTextBlocks } from './messages.ts';
import { oneCallAtATime, toToolConfig } from './tools.ts';

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
  web_search_options: 'it has no search',
  moderation: 'use guardrailConfig',
  verbosity: 'it has no such setting',
};

/** Members of a Converse request that a client may state in Bedrock's own words; all others are the model's own. */
const converseMembers: ReadonlySet<string> = new Set([
  'guardrailConfig',
  'performanceConfig',
  'requestMetadata',
  'promptVariables',
  'additionalModelResponseFieldPaths',
]);

/** The request is not signed yet: that takes credentials and a clock, see `sign.ts`. */
export function toUpstream(request: ModelRequest, deployment: Deployment, options: AdapterOptions): UpstreamCall {
  if (request.operation !== 'chat') {
    throw inexpressible(request.operation, 'bedrock', 'this gateway asks it for chat, embeddings and rerank');
  }
  refuseUnsupported(request.body, unsupported, 'bedrock', options);
  const modelId = modelIdOf(deployment.model);
  return {
    origin: deployment.origin,
    path: `${deployment.basePath}/model/${encodeModelId(modelId)}/${request.stream ? 'converse-stream' : 'converse'}`,
    headers: { ...deployment.headers, 'content-type': 'application/json' },
    body: printBody(toBody(request, modelId, options)),
  };
}

function toBody(request: ModelRequest, modelId: string, options: AdapterOptions): JsonObject {
  const prompt = readPrompt(request.body);
  const messages = toMessages(prompt.turns);
  if (messages.length === 0) throw malformed('messages', 'more than empty text');
  const isClaude = modelId.includes('claude');
  const reasoning = toReasoning(prompt, modelId, isClaude);
  const own = Object.entries(prompt.own);
  const additional = present({
    ...Object.fromEntries(
      own.filter(([name]) => !converseMembers.has(name) && name !== 'additionalModelRequestFields'),
    ),
    ...topK(prompt, modelId),
    ...reasoning.fields,
    ...oneCallAtATime(prompt, isClaude, options),
    ...objectOf(prompt.own['additionalModelRequestFields']),
  });
  const system = toSystem(prompt);
  const outputConfig = present({ textFormat: textFormat(prompt), effort: reasoning.effort });
  return present({
    ...Object.fromEntries(own.filter(([name]) => converseMembers.has(name))),
    messages,
    system: system.length === 0 ? undefined : system,
    inferenceConfig: orNothing(inferenceConfig(prompt, modelId, isClaude, reasoning.fields, options)),
    toolConfig: toToolConfig(prompt),
    outputConfig: orNothing(outputConfig),
    serviceTier: serviceTier(request.body['service_tier'] ?? undefined, options),
    additionalModelRequestFields: orNothing(additional),
  });
}

/** There is no JSON mode without a schema; OpenAI's has the client ask for JSON in the prompt anyway. */
const jsonOnly = 'Answer with one JSON object and nothing else: no explanation, no code fence.';

function toSystem(prompt: Prompt): JsonObject[] {
  const blocks = toTextBlocks(prompt.system).map((block) => ({ ...block }));
  return prompt.format.is === 'json' ? [...blocks, { text: jsonOnly }] : blocks;
}

interface Reasoning {
  /** `outputConfig.effort`. */
  readonly effort?: string | undefined;
  /** In the model's own words. */
  readonly fields: JsonObject;
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html */
function toReasoning(prompt: Prompt, modelId: string, isClaude: boolean): Reasoning {
  const stated: JsonObject = prompt.thinking === undefined ? {} : { thinking: prompt.thinking };
  if (isClaude) {
    const { thinking, effort } = toThinking(prompt, claudeTraits(modelId));
    return { effort, fields: thinking === undefined ? stated : { thinking } };
  }
  const effort = prompt.reasoningEffort;
  if (effort === undefined || effort === 'none') return { fields: stated };
  if (modelId.includes('gpt-oss')) return { fields: { ...stated, reasoning_effort: effort } };
  if (modelId.includes('nova')) {
    const most = effort === 'minimal' ? 'low' : effort === 'xhigh' || effort === 'max' ? 'high' : effort;
    return { fields: { ...stated, reasoningConfig: { type: 'enabled', maxReasoningEffort: most } } };
  }
  return { effort: effort === 'minimal' ? 'low' : effort, fields: stated };
}

/** Not a setting of Converse; every model has its own place for it. */
function topK(prompt: Prompt, modelId: string): JsonObject {
  if (prompt.topK === undefined) return {};
  return modelId.includes('nova') ? { inferenceConfig: { topK: prompt.topK } } : { top_k: prompt.topK };
}

/** What a budget for thinking is added to when the client stated no limit: LiteLLM's default for Anthropic. */
const defaultMaxTokens = 4096;

function inferenceConfig(
  prompt: Prompt,
  modelId: string,
  isClaude: boolean,
  fields: JsonObject,
  options: AdapterOptions,
): JsonObject {
  const budget = objectOf(fields['thinking'])['budget_tokens'];
  const sampling = !isClaude || !options.dropParams || (claudeTraits(modelId).sampling && typeof budget !== 'number');
  return present({
    maxTokens: prompt.maxTokens ?? (typeof budget === 'number' ? budget + defaultMaxTokens : undefined),
    temperature: sampling ? prompt.temperature : undefined,
    topP: sampling ? prompt.topP : undefined,
    stopSequences: prompt.stop.length === 0 ? undefined : prompt.stop,
  });
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html */
function textFormat(prompt: Prompt): JsonObject | undefined {
  if (prompt.format.is !== 'schema') return undefined;
  const { name, description, schema } = prompt.format;
  const jsonSchema = present({ schema: JSON.stringify(closedSchema(schema)), name, description });
  return { type: 'json_schema', structure: { jsonSchema } };
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html */
function serviceTier(tier: unknown, options: AdapterOptions): JsonObject | undefined {
  if (tier === undefined || tier === 'auto') return undefined;
  if (tier === 'default' || tier === 'flex' || tier === 'priority' || tier === 'reserved') return { type: tier };
  if (options.dropParams) return undefined;
  throw inexpressible('service_tier', 'bedrock', 'it knows auto, default, flex and priority');
}
