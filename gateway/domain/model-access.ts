/** Which model groups a list of names lets through. */

/** `model_info.access_groups`: names that stand for the model groups which carry them. */
export type AccessGroups = ReadonlyMap<string, readonly string[]>;

/** An empty list lets everything through. A pattern such as `openai/*` stands for everything below it. */
export function listAllows(models: readonly string[], model: string): boolean {
  return models.length === 0 || models.some((allowed) => entryAllows(allowed, model));
}

const entryAllows = (allowed: string, model: string): boolean =>
  allowed === model ||
  allowed === '*' ||
  allowed === 'all-proxy-models' ||
  (allowed.endsWith('*') && model.startsWith(allowed.slice(0, -1)));

/** Whether `inner` lets nothing through that `outer` does not. */
export function listWithin(inner: readonly string[], outer: readonly string[]): boolean {
  if (allowsAll(outer)) return true;
  // A pattern fits itself and what is narrower: openai/* lets openai/gpt-* through.
  return (
    inner.length > 0 && inner.every((name) => name !== 'all-proxy-models' && name !== '*' && listAllows(outer, name))
  );
}

const allowsAll = (models: readonly string[]): boolean =>
  models.length === 0 || models.includes('*') || models.includes('all-proxy-models');

/**
 * Writes out access groups. In a list of a team's key, `all-team-models` says what an empty list says; elsewhere there is
 * no team, and it lets nothing through.
 */
export function expandModels(models: readonly string[], groups: AccessGroups, ofTeam: boolean): readonly string[] {
  if (ofTeam && models.includes('all-team-models')) return [];
  if (!models.some((name) => groups.has(name))) return models;
  return [...new Set(models.flatMap((name) => groups.get(name) ?? [name]))];
}
