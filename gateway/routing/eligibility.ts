/** Which deployments of a group a request may go to, before any strategy chooses: tags, regions, window, order. Pure. */
import type { Deployment } from '../domain/deployment.ts';
import type { RoutingSettings, StrategyName } from '../domain/recovery.ts';
import type { Load } from './load.ts';

export interface Wanted {
  /** Tags of the request; empty = none were given. */
  readonly tags: readonly string[];
  readonly promptTokens: number;
  /** Regions that the request may be served in, each of which must allow it; absent = anywhere. */
  readonly regions?: readonly string[];
}

/** Tag of the deployments that serve requests without tags, and requests whose tags nobody has. */
const defaultTag = 'default';

export type Narrowed =
  | { readonly is: 'some'; readonly deployments: readonly Deployment[] }
  /** No deployment is where the request may be served. */
  | { readonly is: 'no-region'; readonly allowed: readonly string[] }
  /** No deployment has the request's tags. */
  | { readonly is: 'no-tag' }
  /** The prompt is longer than every context window. */
  | { readonly is: 'too-long'; readonly largestWindow: number };

export function narrow(all: readonly Deployment[], wanted: Wanted, settings: RoutingSettings): Narrowed {
  const allowed = allowedRegions(wanted, settings);
  const deployments =
    allowed.length === 0 ? all : all.filter(({ region }) => allowed.every((one) => isIn(region, one)));
  // Where data may go is a promise: unlike the other checks it holds without being asked for.
  if (deployments.length === 0 && all.length > 0) return { is: 'no-region', allowed };
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

const anywhere: readonly string[] = [];

/** The configuration's and the request's own: a request can narrow it, and not widen it. */
function allowedRegions({ regions = anywhere }: Wanted, { allowedRegion }: RoutingSettings): readonly string[] {
  return allowedRegion === undefined ? regions : [allowedRegion, ...regions];
}

/** `eu` allows `eu`, `eu-west-1` and `europe-west4`; a deployment whose region nobody stated is nowhere. */
function isIn(region: string | undefined, allowed: string): boolean {
  if (region === undefined) return false;
  const [at, where] = [region.toLowerCase(), allowed.toLowerCase()];
  return at === where || at.startsWith(`${where}-`) || (where === 'eu' && at.startsWith('europe'));
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
