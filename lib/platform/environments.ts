/** One configuration may describe several environments; the regions of each have an account of their own. */
import { accountsOf, credentialFaults, regionAccounts, type WithAccounts } from './accounts.ts';
import { definePlatform, type Platform, PlatformError } from './platform.ts';
import type { EnvironmentName, PlatformSpec } from './spec.ts';
import { findFaults } from './validate.ts';

/** What `holdfast.config.ts` may export: one platform, or one for each environment by its name. */
export type Exported = Platform | Readonly<Partial<Record<EnvironmentName, Platform>>>;

const isPlatform = (exported: Exported): exported is Platform => 'regions' in exported;

/**
 * Several environments, of which the faults of all are told at once.
 * @throws PlatformError with all faults, each with its environment.
 */
export function definePlatforms<Name extends EnvironmentName>(
  specs: Readonly<Record<Name, PlatformSpec>>,
): Readonly<Partial<Record<EnvironmentName, Platform>>> {
  const described = Object.entries<PlatformSpec>(specs);
  const faults = described.flatMap(([name, spec]) => findFaults(spec).map((fault) => `${name}: ${fault}`));
  if (faults.length > 0) {
    const all = [...faults, ...sharedFaults(described)];
    throw new PlatformError(
      all,
      described.map(([, spec]) => spec),
    );
  }
  return Object.fromEntries(described.map(([name, spec]) => [name, definePlatform(spec)]));
}

/**
 * The platform of an environment.
 * @param name production if undefined, or the only one there is
 * @param credentials account of the credentials at hand, where these are known
 * @throws PlatformError when there is none of that name, it says that it is another one, two share what they must not, or
 * the credentials are another account's: all at once.
 */
export function chooseEnvironment(exported: Exported, name: string | undefined, credentials?: string): Platform {
  const byName = new Map<string, Platform>(
    isPlatform(exported) ? [[exported.environment, exported]] : Object.entries(exported),
  );
  const wanted = wantedOf([...byName.keys()], name);
  const found = byName.get(wanted);
  const faults = [
    ...sharedFaults([...byName]),
    ...(found === undefined ? [`no environment "${wanted}"; it has ${[...byName.keys()].join(', ')}`] : []),
    ...(found === undefined || found.environment === wanted
      ? []
      : [`environment "${wanted}" says that it is "${found.environment}"; the names must agree`]),
    ...(found === undefined ? [] : credentialFaults(found, credentials)),
  ];
  if (found === undefined || faults.length > 0) throw new PlatformError(faults);
  return found;
}

/** Which environment is meant. */
export const wantedOf = (names: readonly string[], name: string | undefined): string =>
  name ?? (names.length === 1 ? names[0] : undefined) ?? 'production';

type Shared = WithAccounts & Pick<PlatformSpec, 'domain' | 'delivery'>;

/** A mistake in one environment must not reach another's regions, and a name leads to one place. */
function sharedFaults(environments: readonly (readonly [name: string, Shared])[]): string[] {
  return environments.flatMap(([name, platform], index) =>
    environments.slice(0, index).flatMap(([before, other]) => {
      const both = `${before} and ${name}`;
      const accounts = new Set([
        ...regionAccounts(platform).filter((account) => accountsOf(other).includes(account)),
        ...regionAccounts(other).filter((account) => accountsOf(platform).includes(account)),
      ]);
      return [
        ...[...accounts].map(
          (account) =>
            `account: ${both} share ${account}; give the regions of each environment an account of their own, so that a mistake in one cannot reach the other`,
        ),
        ...(platform.domain === other.domain
          ? [`domain: ${both} share ${platform.domain}; clients would reach either`]
          : []),
        ...(accounts.size === 0 && platform.account === other.account && makesProvider(platform) && makesProvider(other)
          ? [
              `delivery.providerArn: ${both} both make a provider of CI's tokens in ${platform.account}, which takes one for an issuer; name it in one of them`,
            ]
          : []),
      ];
    }),
  );
}

const makesProvider = ({ delivery }: Shared): boolean => delivery !== undefined && delivery.providerArn === undefined;
