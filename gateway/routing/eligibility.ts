/** Which deployments of a group a request may go to, before any strategy chooses: tags, regions, window, order. Pure. */
import type { Deployment } from '../domain/deployment.ts';
import type { RoutingSettings, StrategyName } from '../domain/recovery.ts';
import type { Load } from './load.ts';

export interface Wanted {
  /** Tags of the request; empty = none were given. */
  readonly tags: readonly string[];
  readonly promptTokens: number;
}

/** Tag of the deployments that serve requests without tags, and requests whose tags nobody has. */
const defaultTag = 'default';

export type Narrowed =
  | { readonly is: 'some'; readonly deployments: readonly Deployment[] }
  /** No deployment has the request's tags. */
  | { readonly is: 'no-tag' }
  /** The prompt is longer than every context window. */
  | { readonly is: 'too-long'; readonly largestWindow: number };

export function narrow(deployments: readonly Deployment[], wanted: Wanted, settings: RoutingSettings): Narrowed {
  const tagged = settings.tagFiltering ? byTags(deployments, wanted.tags, settings.matchAnyTag) : deployments;
  if (tagged.length === 0 && deployments.length > 0) return { is: 'no-tag' };
  if (!settings.preCallChecks) return { is: 'some', deployments: tagged };
  const fitting = tagged.filter(
    ({ maxInputTokens }) => wanted.promptTokens <= (maxInputTokens ?? Number.POSITIVE_INFINITY),
  );
  if (fitting.length === 0 && tagged.length > 0) {
    return { is: 'too-long', largestWindow: Math.max(...tagged.map(({ maxInputTokens }) => maxInputTokens ?? 0)) };
  }
  return { is: 'some', deployments: fitting };
}

function byTags(deployments: readonly Deployment[], tags: readonly string[], any: boolean): readonly Deployment[] {
  const pool = (): readonly Deployment[] =>
    deployments.filter((deployment) => deployment.tags?.includes(defaultTag) === true);
  if (tags.length === 0) {
    const defaults = pool();
    // Without a default pool, deployments that carry no tag at all serve requests without tags.
    return defaults.length > 0 ? defaults : deployments.filter((deployment) => (deployment.tags?.length ?? 0) === 0);
  }
  const matching = deployments.filter(({ tags: own = [] }) =>
    any ? tags.some((tag) => own.includes(tag)) : tags.every((tag) => own.includes(tag)),
  );
  return matching.length > 0 ? matching : pool();
}

/** Whether rpm and tpm leave room for this request in the running minute. */
export function isWithinLimits({ rpm, tpm }: Deployment, load: Load, promptTokens: number): boolean {
  return (
    load.requests < (rpm ?? Number.POSITIVE_INFINITY) && load.tokens + promptTokens <= (tpm ?? Number.POSITIVE_INFINITY)
  );
}

/**
 * Whether rpm and tpm bind. Elsewhere they are weights (or nothing) to LiteLLM: deployments beyond them come last, since
 * their provider will refuse, but a request is not refused because of them.
 */
export const limitsBind: Readonly<Record<StrategyName, boolean>> = {
  'simple-shuffle': false,
  'least-busy': false,
  'usage-based-routing': true,
  'usage-based-routing-v2': true,
  'latency-based-routing': true,
  'cost-based-routing': true,
};

/** Those with the lowest `order`; a deployment without one comes last. Applied after cooldown and limits. */
export function firstInOrder(deployments: readonly Deployment[]): readonly Deployment[] {
  if (deployments.every(({ order }) => order === undefined)) return deployments;
  const orderOf = ({ order }: Deployment): number => order ?? Number.POSITIVE_INFINITY;
  const first = Math.min(...deployments.map(orderOf));
  return deployments.filter((deployment) => orderOf(deployment) === first);
}
