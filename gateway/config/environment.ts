/** `os.environ/NAME`: a text value anywhere in the file that stands for a variable. */
import type { ConfigPath } from './document.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export const prefix = 'os.environ/';
const requiredNames: ReadonlySet<unknown> = new Set(['model', 'model_name']);

export interface ResolvedEnvironment {
  readonly value: unknown;
  /** Where a variable was named that is not set; the value there is undefined. */
  readonly missing: readonly { readonly path: ConfigPath; readonly variable: string }[];
}

/** Replaces every reference in a tree that came from YAML (so it has no cycles). */
export function resolveEnvironment(tree: unknown, environment: Environment): ResolvedEnvironment {
  const missing: { path: ConfigPath; variable: string }[] = [];
  const walk = (node: unknown, path: ConfigPath): unknown => {
    if (typeof node === 'string' && node.startsWith(prefix)) {
      const variable = node.slice(prefix.length);
      const value = environment[variable];
      if (value !== undefined && value !== '') return value;
      missing.push({ path, variable });
      // What a deployment must have to be one at all keeps the reference, so that it is left out and not at fault.
      const last = path.at(-1);
      return path[0] === 'model_list' && (requiredNames.has(last) || typeof last === 'number') ? node : undefined;
    }
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
    if (typeof node === 'object' && node !== null) {
      return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, walk(value, [...path, key])]));
    }
    return node;
  };
  return { value: walk(tree, []), missing };
}
