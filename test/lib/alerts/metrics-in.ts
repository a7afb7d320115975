const words = new Set(['and', 'or', 'unless', 'by', 'on', 'without', 'ignoring', 'group_left', 'group_right', 'bool']);

/** Names of the metrics in a PromQL expression: what is left when strings, matchers, label lists and functions are gone. */
export function metricsIn(expression: string): string[] {
  const bare = expression
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    // Arguments of label_replace are strings, and those are gone.
    .replace(/,\s*(?=[,)])/g, '');
  const names = bare.matchAll(/([a-zA-Z_:][a-zA-Z0-9_:]*)(?!\s*\()(?![a-zA-Z0-9_:])/g);
  return [...new Set([...names].map(([, name = '']) => name).filter((name) => !words.has(name)))];
}
