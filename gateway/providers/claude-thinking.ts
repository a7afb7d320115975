/**
 * `reasoning_effort` as Claude understands it, each generation in its own way. It is a hint, so where the rest
 * of the request leaves no room for reasoning it gives way instead of making an error.
 * https://platform.claude.com/docs/en/build-with-claude/thinking, https://platform.claude.com/docs/en/build-with-claude/effort
 */
import type { JsonObject } from '../domain/request.ts';
import type { Prompt } from './chat/prompt.ts';
import { adaptiveEffort, type ClaudeTraits, fittingBudget } from './claude-models.ts';

export interface Thinking {
  readonly thinking?: JsonObject;
  readonly effort?: string;
}

export function toThinking(prompt: Prompt, traits: ClaudeTraits): Thinking {
  const effort = prompt.reasoningEffort;
  // The client's own words; an effort beside them keeps its other meaning.
  if (prompt.thinking !== undefined) {
    const stated = effort !== undefined && effort !== 'none' && traits.thinking === 'adaptive';
    return { thinking: prompt.thinking, ...(stated ? { effort: adaptiveEffort(effort, traits) } : {}) };
  }
  if (effort === undefined || traits.thinking === 'none') return {};
  if (effort === 'none') {
    if (!traits.thinksByDefault) return {};
    return traits.thinkingOff === undefined ? { effort: 'low' } : { thinking: { type: traits.thinkingOff } };
  }
  if (traits.thinking === 'adaptive') {
    return {
      thinking: { type: 'adaptive', ...(traits.hidesThinking ? { display: 'summarized' } : {}) },
      effort: adaptiveEffort(effort, traits),
    };
  }
  const budget = fittingBudget(effort, prompt.maxTokens);
  if (budget === undefined || forcesTool(prompt) || lacksThoughts(prompt)) return {};
  return { thinking: { type: 'enabled', budget_tokens: budget } };
}

/** With a budget, thinking and a forced tool exclude each other. */
const forcesTool = (prompt: Prompt): boolean =>
  prompt.tools.length > 0 && (prompt.toolChoice?.is === 'required' || prompt.toolChoice?.is === 'named');

/** With a budget, a call that waits for its answer must come with the thoughts before it; many clients do not keep them. */
function lacksThoughts(prompt: Prompt): boolean {
  const last = prompt.turns.findLast((turn) => turn.role !== 'tool');
  return (
    prompt.turns.at(-1)?.role === 'tool' &&
    last?.role === 'assistant' &&
    last.calls.length > 0 &&
    last.thinking.length === 0
  );
}
