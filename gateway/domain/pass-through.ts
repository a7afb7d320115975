/** Paths of the gateway whose requests go to another server as they are, and come back as they are. */

import type { ModelPrices } from './prices.ts';

export const passThroughMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type PassThroughMethod = (typeof passThroughMethods)[number];

export interface ProviderRoute {
  readonly provider: string;
  /** Of the deployment that lends its key; undefined = the environment does. */
  readonly deploymentId?: string;
  /** Under which name price lists have the models behind the address; undefined = anybody may be there. */
  readonly listedAs?: string;
}

export interface PassThroughEndpoint {
  /** Of the gateway, without a slash at its end. */
  readonly path: string;
  /** Everything below the path belongs to it. */
  readonly includeSubpath: boolean;
  readonly methods: readonly PassThroughMethod[];
  /** Scheme, host and port of the target. */
  readonly origin: string;
  /** Path of the target. */
  readonly basePath: string;
  /** Parameters for the target; the client's own win. */
  readonly query: Readonly<Record<string, string>>;
  /** For the target, by lower-case names; they win over the client's. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the client's own headers go to the target. */
  readonly forwardHeaders: boolean;
  /** Whether the client needs a key of this gateway. */
  readonly needsKey: boolean;
  /** To the head of an answer, and between two pieces of it. */
  readonly timeoutSeconds: number;
  /** Millionths of a US dollar; undefined = unknown. */
  readonly costMicros?: bigint;
  /** The whole API of a provider, at the gateway's own expense: only for keys that may use all of its models. */
  readonly providerRoute?: ProviderRoute;
}

/**
 * Prices of what a provider's raw API was used for.
 * @returns undefined for a model that nobody knows, or behind whose address anybody may be.
 */
export type PassedPrices = (provider: string, model: string) => ModelPrices | undefined;
