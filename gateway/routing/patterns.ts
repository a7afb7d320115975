/** Model names with wildcards: `openai/*` stands for every name it fits, the most specific pattern first. */

/** @returns the pattern's group, and what stood for the `*`. */
export function matchPattern(patterns: readonly string[], model: string): { group: string; rest: string } | undefined {
  for (const pattern of patterns) {
    const star = pattern.indexOf('*');
    const head = pattern.slice(0, star);
    const tail = pattern.slice(star + 1);
    if (model.length >= head.length + tail.length && model.startsWith(head) && model.endsWith(tail)) {
      return { group: pattern, rest: model.slice(head.length, model.length - tail.length) };
    }
  }
  return undefined;
}

/** The longer the fixed part, the more specific; equal ones in alphabetical order, the same in every process. */
export const sortPatterns = (names: readonly string[]): string[] =>
  names.filter((name) => name.includes('*')).toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1));
