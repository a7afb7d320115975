/** Whose credentials these are, against whose account the configuration means. */
import type { PlatformSpec } from './platform.ts';

/**
 * What is wrong with deploying under the credentials of an account; none is wrong without any, as for a review.
 * @param actual account of the credentials at hand, as CDK tells it
 */
export function accountFaults(
  { account, deployedFrom = [] }: Pick<PlatformSpec, 'account' | 'deployedFrom'>,
  actual: string | undefined,
): string[] {
  if (actual === undefined || actual === '' || actual === account || deployedFrom.includes(actual)) return [];
  return [
    `account: the credentials at hand are of ${actual}, this platform lives in ${account}; take on a role of ${account}, or name ${actual} in deployedFrom if it is where you deploy from`,
  ];
}
