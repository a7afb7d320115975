import { credentialFaults } from '../lib/platform/accounts.ts';
import { chooseEnvironment, wantedOf } from '../lib/platform/environments.ts';
import { type Platform, PlatformError } from '../lib/platform/platform.ts';

/**
 * The platform of `holdfast.config.ts`, or undefined after saying everything that is wrong with it.
 * @param environment which one, where it describes several; `HOLDFAST_ENVIRONMENT` if undefined, else production
 * @param account whose credentials it is to be deployed with, where that is known: of another platform's they are a fault
 */
export async function loadPlatform(environment?: string, account?: string): Promise<Platform | undefined> {
  const name = environment ?? process.env['HOLDFAST_ENVIRONMENT'];
  try {
    const { default: exported } = await import('../holdfast.config.ts');
    return chooseEnvironment(exported, name, account);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const wanted = wantedOf(
      error.specs.map((spec) => spec.environment),
      name,
    );
    const spec = error.specs.find((each) => each.environment === wanted);
    const faults = [...error.faults, ...(spec === undefined ? [] : credentialFaults(spec, account))];
    process.stderr.write(`${new PlatformError(faults).message}\n`);
    return undefined;
  }
}
