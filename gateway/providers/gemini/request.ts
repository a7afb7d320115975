/** From OpenAI's chat completions to Gemini's generateContent. https://ai.google.dev/api/generate-content */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamCall } from '../adapter.ts';
import type { Prompt } from '../chat/prompt.ts';
import { readPrompt } from '../chat/read-prompt.ts';
import { type AdapterOptions, inexpressible, malformed, refuseUnsupported } from '../chat/refuse.ts';
import { objectOf, orNothing, present, printBody } from '../json.ts';
import { toContents } from './contents.ts';
import { type GeminiTraits, geminiTraits, methodPath } from './model-name.ts';
import { toThinkingConfig } from './thinking.ts';
import { toFunctionCallingConfig, toTools } from './tools.ts';

const unsupported: Readonly<Record<string, string>> = {
  logit_bias: 'it cannot be steered by token',
  modalities: 'this gateway passes on text only',
  audio: 'this gateway passes on text only',
  functions: 'use tools',
  function_call: 'use tool_choice',
  moderation: 'use safety_settings',
  verbosity: 'it has no such setting',
};

/** Members of a request that a client may state in Gemini's own words; all others are settings of the generation. */
const ownMembers: ReadonlySet<string> = new Set([
  'safetySettings',
  'safety_settings',
  'cachedContent',
  'cached_content',
  'labels',
]);
/** They are merged with what is made here. */
const mergedMembers: ReadonlySet<string> = new Set([
  'toolConfig',
  'tool_config',
  'generationConfig',
  'generation_config',
]);

export function toUpstream(request: ModelRequest, deployment: Deployment, options: AdapterOptions): UpstreamCall {
  if (request.operation !== 'chat')
    throw inexpressible(request.operation, 'gemini', 'this gateway asks it for chat and embeddings');
  refuseUnsupported(request.body, unsupported, 'gemini', options);
  const method = request.stream ? 'streamGenerateContent?alt=sse' : 'generateContent';
  return {
    origin: deployment.origin,
    path: methodPath(deployment, method),
    headers: { ...deployment.headers, 'content-type': 'application/json' },
    body: printBody(toBody(request.body, deployment.model, options)),
  };
}

function toBody(body: JsonObject, model: string, options: AdapterOptions): JsonObject {
  const prompt = readPrompt(body);
  const traits = geminiTraits(model);
  const contents = toContents(prompt.turns, traits);
  if (contents.length === 0) throw malformed('messages', 'more than empty text');
  const system = prompt.system.filter((part) => part.text !== '').map((part) => ({ text: part.text }));
  const own = Object.entries(prompt.own);
  const toolConfig = present({
    ...objectOf(prompt.own['tool_config'] ?? prompt.own['toolConfig']),
    functionCallingConfig: toFunctionCallingConfig(prompt),
  });
  return present({
    ...Object.fromEntries(own.filter(([name]) => ownMembers.has(name))),
    contents,
    systemInstruction: system.length === 0 ? undefined : { parts: system },
    tools: toTools(prompt, (body['web_search_options'] ?? undefined) !== undefined, options),
    toolConfig: orNothing(toolConfig),
    generationConfig: orNothing({
      ...Object.fromEntries(own.filter(([name]) => !ownMembers.has(name) && !mergedMembers.has(name))),
      ...objectOf(prompt.own['generation_config'] ?? prompt.own['generationConfig']),
      ...toGenerationConfig(body, prompt, traits),
    }),
    serviceTier: serviceTier(body['service_tier'] ?? undefined, options),
  });
}

/** https://ai.google.dev/api/generate-content#generationconfig */
function toGenerationConfig(body: JsonObject, prompt: Prompt, traits: GeminiTraits): JsonObject {
  const { format } = prompt;
  const wantsLogprobs = body['logprobs'] === true;
  return present({
    candidateCount: stated(body, 'n', 1),
    maxOutputTokens: prompt.maxTokens,
    temperature: prompt.temperature,
    topP: prompt.topP,
    topK: prompt.topK,
    stopSequences: prompt.stop.length === 0 ? undefined : prompt.stop,
    seed: stated(body, 'seed'),
    frequencyPenalty: stated(body, 'frequency_penalty'),
    presencePenalty: stated(body, 'presence_penalty'),
    responseLogprobs: wantsLogprobs ? true : undefined,
    logprobs: wantsLogprobs ? stated(body, 'top_logprobs', 0) : undefined,
    responseMimeType: format.is === 'text' ? undefined : 'application/json',
    // JSON schema as it is; `responseSchema` would be another dialect.
    responseJsonSchema: format.is === 'schema' ? format.schema : undefined,
    thinkingConfig: toThinkingConfig(prompt, traits),
  });
}

/** A number that asks for something. */
function stated(body: JsonObject, name: string, nothing?: number): number | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || value === nothing) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed(name, 'a number');
  return value;
}

/** https://ai.google.dev/gemini-api/docs/flex-inference, https://ai.google.dev/gemini-api/docs/priority-inference */
function serviceTier(tier: unknown, options: AdapterOptions): string | undefined {
  if (tier === undefined || tier === 'auto') return undefined;
  if (tier === 'default') return 'standard';
  if (tier === 'flex' || tier === 'priority' || tier === 'standard') return tier;
  if (options.dropParams) return undefined;
  throw inexpressible('service_tier', 'gemini', 'it knows auto, default, flex and priority');
}
