/** What all looks of `holdfast region` have in common. */
import { regionalDomain } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import { type Host, type OpenedWorld, UsageError, type WorldName } from '../runbook/host.ts';

export interface RegionOptions {
  readonly world: WorldName;
  readonly json?: true;
  /** Prometheus' text instead of lines for people. */
  readonly metrics?: true;
  readonly journal?: string;
  /** `name=url`, where a region's gateways are reached if not by their own name. */
  readonly address?: readonly string[];
}

export type Unanswered = { readonly because: string };

export async function answered<T>(ask: () => Promise<T>): Promise<T | Unanswered> {
  try {
    return await ask();
  } catch (error) {
    // What a fetch says itself is that it failed.
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return { because: `${messageOf(error)}${cause}` };
  }
}

export async function platformOf(host: Host): Promise<Platform> {
  const platform = await host.platform();
  if (platform === undefined) throw new UsageError('holdfast.config.ts has faults');
  return platform;
}

/** With the world's own addresses, where nobody gave others. */
export const inWorld = <Options extends RegionOptions>(
  options: Options,
  { addresses: own }: Pick<OpenedWorld, 'addresses'>,
): Options => ({
  ...(own === undefined ? {} : { address: own }),
  ...options,
});

const addresses = ({ address }: RegionOptions): ReadonlyMap<string, string> =>
  new Map((address ?? []).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));

/** Regions that are named on the command line, else those of the platform. */
export const namesOf = (platform: Platform, options: RegionOptions): readonly string[] => {
  const named = [...addresses(options).keys()];
  return named.length > 0 ? named : platform.regions.map(({ region }) => region);
};

export const addressOf = (platform: Platform, region: string, options: RegionOptions): string =>
  addresses(options).get(region) ?? `https://${regionalDomain(platform, region)}`;
