/** Which accounts a platform lives in, and whose credentials are at hand. */
import type { Platform, Region } from './platform.ts';
import type { PlatformSpec } from './spec.ts';

/** A platform, described or resolved. */
export interface WithAccounts {
  readonly account: string;
  readonly regions: readonly { readonly account?: string }[];
  readonly witnessAccount?: string;
  readonly satellites?: readonly { readonly account: string }[];
}

/** Accounts of the regions; one, unless the description is at fault. */
export const regionAccounts = ({ account, regions }: WithAccounts): readonly string[] => [
  ...new Set(regions.map((region) => region.account ?? account)),
];

/** Every account that something is made in, that of the names first. */
export const accountsOf = (platform: WithAccounts): readonly string[] => [
  ...new Set([
    platform.account,
    ...regionAccounts(platform),
    ...(platform.witnessAccount === undefined ? [] : [platform.witnessAccount]),
    ...(platform.satellites ?? []).map(({ account }) => account),
  ]),
];

/**
 * Whether a region's names are in another account than the region: CloudFormation writes records, and proves certificates,
 * in zones of its own account only.
 */
export const hasNamesElsewhere = ({ account }: Pick<Platform, 'account'>, region: Pick<Region, 'account'>): boolean =>
  region.account !== account;

/**
 * What is wrong with deploying under the credentials of an account; none is wrong without any, as for a review.
 * @param actual account of the credentials at hand, as CDK tells it
 */
export function credentialFaults(
  platform: WithAccounts & Pick<PlatformSpec, 'deployedFrom'>,
  actual: string | undefined,
): string[] {
  const known = accountsOf(platform);
  if (actual === undefined || actual === '' || [...known, ...(platform.deployedFrom ?? [])].includes(actual)) return [];
  return [
    `account: the credentials at hand are of ${actual}, this platform lives in ${known.join(', ')}; take on a role of ${platform.account}, or name ${actual} in deployedFrom if it is where you deploy from`,
  ];
}
