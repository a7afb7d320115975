/** Who may end up serving a request of a group: its deployments, and those of every group it may fall back to. */
import type { Deployment } from '../domain/deployment.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { ModelDirectory } from '../routing/directory.ts';

/** @param model what the client wrote, for a group that is a pattern. */
export function reachableDeployments(
  directory: ModelDirectory,
  recovery: RecoverySettings,
  group: string,
  model: string,
): Deployment[] {
  const found: Deployment[] = [];
  const entered = new Set<string>();
  let names: readonly string[] = [model === '' ? group : model];
  for (let depth = 0; depth <= recovery.maxFallbacks && names.length > 0; depth++) {
    const next: string[] = [];
    for (const name of names) {
      const resolved = directory.resolve(name) ?? name;
      if (entered.has(resolved)) continue;
      entered.add(resolved);
      found.push(...directory.deployments(resolved).map((deployment) => directory.concrete(deployment, name)));
      next.push(...fallbacksOf(recovery, [name, resolved]));
    }
    names = next;
  }
  return found;
}

/** Of every kind of failure, under every name by which a list may be stored. */
function fallbacksOf(recovery: RecoverySettings, names: readonly string[]): string[] {
  const stored = names.flatMap((name) => [name, name.slice(name.indexOf('/') + 1)]);
  const lists = [recovery.fallbacks, recovery.contextWindowFallbacks, recovery.contentPolicyFallbacks];
  return [...lists.flatMap((list) => stored.flatMap((name) => list.get(name) ?? [])), ...recovery.defaultFallbacks];
}
