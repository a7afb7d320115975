/** `reasoning_effort` and `thinking` as Gemini understands them. https://ai.google.dev/gemini-api/docs/thinking and, for the numbers, https://ai.google.dev/gemini-api/docs/openai#thinking */
import type { JsonObject } from '../../domain/request.ts';
import type { Effort, Prompt } from '../chat/prompt.ts';
import type { GeminiTraits } from './model-name.ts';

const budgets: Readonly<Record<Exclude<Effort, 'none'>, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
};

const levels: Readonly<Record<Exclude<Effort, 'none'>, string>> = {
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
};

/** Least budget of the models that cannot do without. */
const leastBudget = 128;
/** The model decides. */
const dynamicBudget = -1;

export function toThinkingConfig(prompt: Prompt, traits: GeminiTraits): JsonObject | undefined {
  if (prompt.thinking !== undefined) return fromAnthropic(prompt.thinking, traits);
  const effort = prompt.reasoningEffort;
  if (effort === undefined || traits.thinking === 'none') return undefined;
  if (effort === 'none') return off(traits);
  if (traits.thinking === 'budget') return { includeThoughts: true, thinkingBudget: budgets[effort] };
  return { includeThoughts: true, thinkingLevel: effort === 'minimal' && traits.alwaysThinks ? 'LOW' : levels[effort] };
}

function off(traits: GeminiTraits): JsonObject {
  if (traits.thinking === 'level') return { thinkingLevel: traits.alwaysThinks ? 'LOW' : 'MINIMAL' };
  return { thinkingBudget: traits.alwaysThinks ? leastBudget : 0 };
}

/** Anthropic's parameter, which LiteLLM takes for every provider that thinks. Budgets work in every generation. */
function fromAnthropic(thinking: JsonObject, traits: GeminiTraits): JsonObject | undefined {
  if (traits.thinking === 'none') return undefined;
  if (thinking['type'] === 'disabled') return off(traits);
  const budget = thinking['budget_tokens'];
  return { includeThoughts: true, thinkingBudget: typeof budget === 'number' ? budget : dynamicBudget };
}
