/** One configuration may describe several environments; each is a platform with an account of its own. */
import { type EnvironmentName, type Platform, PlatformError } from './platform.ts';

/** What `holdfast.config.ts` may export: one platform, or one for each environment by its name. */
export type Exported = Platform | Readonly<Partial<Record<EnvironmentName, Platform>>>;

const isPlatform = (exported: Exported): exported is Platform => 'regions' in exported;

/**
 * The platform of an environment.
 * @param name production if undefined, or the only one there is
 * @throws PlatformError when there is none of that name, or it says that it is another one.
 */
export function chooseEnvironment(exported: Exported, name: string | undefined): Platform {
  const byName = new Map<string, Platform>(
    isPlatform(exported) ? [[exported.environment, exported]] : Object.entries(exported),
  );
  const [only] = byName.size === 1 ? byName.keys() : [];
  const wanted = name ?? only ?? 'production';
  const found = byName.get(wanted);
  if (found === undefined) {
    throw new PlatformError([`no environment "${wanted}"; it has ${[...byName.keys()].join(', ')}`]);
  }
  if (found.environment !== wanted) {
    throw new PlatformError([`environment "${wanted}" says that it is "${found.environment}"; the names must agree`]);
  }
  return found;
}
