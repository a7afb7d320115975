/**
 * What differs between generations of Claude, told by the model's name alone: Anthropic's own names
 * (`claude-opus-4-1-20250805`, `claude-sonnet-5-5`) and Bedrock's (`us.anthropic.claude-sonnet-4-5-20250929-v1:0`).
 * https://platform.claude.com/docs/en/build-with-claude/thinking and the migration guides of each model
 */
import type { Effort } from './chat/prompt.ts';

export interface ClaudeTraits {
  /**
   * How reasoning is asked for: not at all (before 3.7), by a number of tokens (to 4.5), or by an effort while the model
   * decides itself (from 4.6; names without a version are taken as the newest).
   */
  readonly thinking: 'none' | 'budget' | 'adaptive';
  /** Whether `temperature`, `top_p` and `top_k` are accepted; from 4.7 on they are errors. */
  readonly sampling: boolean;
  /** Whether the model thinks without being asked, which is so from generation 5 on. */
  readonly thinksByDefault: boolean;
  /** How reasoning is turned off where it is on by default; undefined = it cannot be. */
  readonly thinkingOff: 'disabled' | 'between_tools' | undefined;
  /** Whether reasoning is returned only when `display` asks for it. */
  readonly hidesThinking: boolean;
  /** Whether the effort between high and max exists. */
  readonly xhigh: boolean;
  /** Whether `strict` tools and JSON schema output exist. */
  readonly structuredOutput: boolean;
}

/** Least budget the API accepts. */
const leastBudgetTokens = 1024;

/** LiteLLM's defaults for low, medium and high, continued by doubling. */
export const budgetOfEffort: Readonly<Record<Exclude<Effort, 'none'>, number>> = {
  minimal: leastBudgetTokens,
  low: leastBudgetTokens,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16_384,
};

export function claudeTraits(model: string): ClaudeTraits {
  const { family, version } = readName(model);
  const adaptive = version >= 4.06;
  return {
    thinking: adaptive ? 'adaptive' : version >= 3.07 ? 'budget' : 'none',
    sampling: version < 4.07,
    thinksByDefault: version >= 5,
    thinkingOff: thinkingOff(family, version),
    hidesThinking: version >= 4.07,
    xhigh: version >= 4.07,
    structuredOutput: version >= 4.05,
  };
}

/** The budget that fits below the limit of the whole answer, or undefined when none does. */
export function fittingBudget(effort: Exclude<Effort, 'none'>, maxTokens: number | undefined): number | undefined {
  const budget = Math.min(budgetOfEffort[effort], (maxTokens ?? Number.POSITIVE_INFINITY) - 1);
  return budget >= leastBudgetTokens ? budget : undefined;
}

/** The word for an effort in `output_config.effort`. */
export function adaptiveEffort(effort: Exclude<Effort, 'none'>, traits: ClaudeTraits): string {
  if (effort === 'minimal') return 'low';
  return effort === 'xhigh' && !traits.xhigh ? 'high' : effort;
}

function thinkingOff(family: string, version: number): ClaudeTraits['thinkingOff'] {
  if (version === 5 && (family === 'opus' || family === 'sonnet')) return 'disabled';
  if (version === 5.05 && family === 'haiku') return 'disabled';
  return version === 5.05 && family === 'sonnet' ? 'between_tools' : undefined;
}

/** 4.5 is 4.05, so that 4.10 would be more than 4.9. */
function readName(model: string): { family: string; version: number } {
  const found = /claude-(?:([a-z]+)-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?(?:-([a-z]+))?/.exec(model);
  if (found === null) return { family: '', version: Number.POSITIVE_INFINITY };
  const [, before, major = '0', minor = '0', after] = found;
  return { family: before ?? after ?? '', version: Number(major) + Number(minor) / 100 };
}
