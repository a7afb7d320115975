/** `LITELLM_<SETTING>`: a variable in the place of a setting of the file, such as `LITELLM_NUM_RETRIES`. */
import { parse } from 'yaml';
import type { ConfigPath } from './document.ts';
import type { Environment } from './environment.ts';
import { knownKeys } from './schema.ts';

const blocks = ['litellm_settings', 'router_settings', 'general_settings'] as const;

/** Settings that have another meaning, or a variable of their own. */
const notOverridable: ReadonlySet<string> = new Set(['master_key', 'environment_variables']);

export interface Override {
  readonly variable: string;
  /** A setting that stands in several blocks is set in all of them. */
  readonly paths: readonly ConfigPath[];
}

/** Every setting that a variable may stand for. */
const overridable: readonly Override[] = Object.entries(
  Object.groupBy(
    blocks.flatMap((block) => (knownKeys[block] ?? []).map((key) => ({ block, key }))),
    ({ key }) => key,
  ),
).flatMap(([key, places = []]) =>
  notOverridable.has(key)
    ? []
    : [{ variable: `LITELLM_${key.toUpperCase()}`, paths: places.map(({ block }) => [block, key]) }],
);

/** @returns the tree with what variables say, and which they are. A list or a block is written as JSON. */
export function withOverrides(
  tree: unknown,
  environment: Environment,
): { readonly value: unknown; readonly applied: readonly Override[] } {
  const applied = overridable.filter(({ variable }) => (environment[variable] ?? '') !== '');
  if (applied.length === 0 || typeof tree !== 'object' || tree === null) return { value: tree, applied: [] };
  const value: Record<string, unknown> = { ...tree };
  for (const { variable, paths } of applied) {
    const stated = valueOf(environment[variable] ?? '');
    for (const [block, key] of paths) {
      const before = value[String(block)];
      if (before !== undefined && before !== null && typeof before !== 'object') continue;
      value[String(block)] = { ...before, [String(key)]: stated };
    }
  }
  return { value, applied };
}

/** Numbers and booleans are read from text anyway; what opens with a bracket is more than text. */
function valueOf(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return parse(text, { stringKeys: true });
  } catch {
    // The schema says what is wrong with a text in the place of a block.
    return text;
  }
}
