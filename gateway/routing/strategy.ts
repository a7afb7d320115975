/** Routing strategies: small pure functions. State and randomness come in, a deployment comes out. */
import type { Deployment } from '../domain/deployment.ts';
import type { StrategyName } from '../domain/recovery.ts';
import type { Load } from './load.ts';
import { simpleShuffle } from './simple-shuffle.ts';

/** The request, as far as it matters for the choice. */
export interface Need {
  readonly stream: boolean;
  /** Estimate of the prompt's tokens. */
  readonly promptTokens: number;
}

export interface StrategyInput {
  /** Those that may be called and whose limits have room. */
  readonly candidates: readonly Deployment[];
  readonly loadOf: (deploymentId: string) => Load;
  readonly need: Need;
  /** In [0, 1). */
  readonly random: () => number;
  /** `routing_strategy_args.lowest_latency_buffer`: how much slower than the fastest still counts as fast, 0.5 = 50 %. */
  readonly latencyBuffer: number;
}

/** @returns undefined only when there is no candidate. */
export type RoutingStrategy = (input: StrategyInput) => Deployment | undefined;

/** Fewest attempts under way. */
export const leastBusy: RoutingStrategy = ({ candidates, loadOf, random }) =>
  lowest(candidates, ({ id }) => loadOf(id).inFlight, random);

/** Fewest tokens this minute. */
export const usageBased: RoutingStrategy = ({ candidates, loadOf, random }) =>
  lowest(candidates, ({ id }) => loadOf(id).tokens, random);

/** Requests that may be under way at once to a deployment whose speed nobody knows yet, while that of others is known. */
const probesAtOnce = 1;

/**
 * Fastest: time to the first chunk for streams, time per token otherwise. One that was not seen lately is tried by single
 * requests while the others go where it is known to be fast: before its first answer it looks neither fast nor slow.
 */
export const latencyBased: RoutingStrategy = ({ candidates, loadOf, need, random, latencyBuffer }) => {
  const known: { readonly candidate: Deployment; readonly seconds: number }[] = [];
  const unseen: Deployment[] = [];
  for (const candidate of candidates) {
    const load = loadOf(candidate.id);
    const seconds = need.stream ? load.firstChunkSeconds : load.secondsPerToken;
    if (seconds === undefined) unseen.push(candidate);
    else known.push({ candidate, seconds });
  }
  if (known.length === 0) return leastBusy({ candidates, loadOf, need, random, latencyBuffer });
  const probe = anyOf(
    unseen.filter(({ id }) => loadOf(id).inFlight < probesAtOnce),
    random,
  );
  if (probe !== undefined) return probe;
  const limit = Math.min(...known.map(({ seconds }) => seconds)) * (1 + latencyBuffer);
  return anyOf(
    known.filter(({ seconds }) => seconds <= limit).map(({ candidate }) => candidate),
    random,
  );
};

/** Cheapest per token. A deployment without prices comes last, since nobody knows what it costs. */
export const costBased: RoutingStrategy = ({ candidates, random }) =>
  lowest(
    candidates,
    // An embedding has no output to be priced; a price of the output alone says nothing.
    ({ prices }) => (prices?.inputCostPerToken ?? Number.POSITIVE_INFINITY) + (prices?.outputCostPerToken ?? 0),
    random,
  );

export const strategies: Readonly<Record<StrategyName, RoutingStrategy>> = {
  'simple-shuffle': ({ candidates, random }) => simpleShuffle(candidates, random),
  'least-busy': leastBusy,
  'usage-based-routing': usageBased,
  'usage-based-routing-v2': usageBased,
  'latency-based-routing': latencyBased,
  'cost-based-routing': costBased,
};

/** One of those with the lowest number; ties are broken at random, or the first in the file would take them all. */
function lowest(
  candidates: readonly Deployment[],
  numberOf: (candidate: Deployment) => number,
  random: () => number,
): Deployment | undefined {
  const numbers = candidates.map(numberOf);
  const least = Math.min(...numbers);
  return anyOf(
    candidates.filter((_, index) => numbers[index] === least),
    random,
  );
}

const anyOf = (candidates: readonly Deployment[], random: () => number): Deployment | undefined =>
  candidates[Math.floor(random() * candidates.length)];
