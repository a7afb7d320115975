/** One configuration may describe several environments; each is a platform with an account of its own. */
import { type EnvironmentName, type Platform, PlatformError } from './platform.ts';

/** What `holdfast.config.ts` may export: one platform, or one for each environment by its name. */
export type Exported = Platform | Readonly<Partial<Record<EnvironmentName, Platform>>>;

const isPlatform = (exported: Exported): exported is Platform => 'regions' in exported;

/**
 * The platform of an environment.
 * @param name production if undefined, or the only one there is
 * @throws PlatformError when there is none of that name, it says that it is another one, or two share what they must not.
 */
export function chooseEnvironment(exported: Exported, name: string | undefined): Platform {
  const byName = new Map<string, Platform>(
    isPlatform(exported) ? [[exported.environment, exported]] : Object.entries(exported),
  );
  const [only] = byName.size === 1 ? byName.keys() : [];
  const wanted = name ?? only ?? 'production';
  const found = byName.get(wanted);
  const shared = sharedFaults([...byName]);
  if (shared.length > 0) throw new PlatformError(shared);
  if (found === undefined) {
    throw new PlatformError([`no environment "${wanted}"; it has ${[...byName.keys()].join(', ')}`]);
  }
  if (found.environment !== wanted) {
    throw new PlatformError([`environment "${wanted}" says that it is "${found.environment}"; the names must agree`]);
  }
  return found;
}

/** An account has one rule for copies of its images and one provider of tokens, and a name leads to one place. */
function sharedFaults(environments: readonly (readonly [name: string, Platform])[]): string[] {
  return environments.flatMap(([name, platform], index) =>
    environments
      .slice(0, index)
      .flatMap(([before, other]) => [
        ...(platform.account === other.account
          ? [
              `account: ${before} and ${name} share ${platform.account}; give each environment an account of its own, so that a mistake in one cannot reach the other`,
            ]
          : []),
        ...(platform.domain === other.domain
          ? [`domain: ${before} and ${name} share ${platform.domain}; clients would reach either`]
          : []),
      ]),
  );
}
