import { accountFaults } from '../lib/platform/accounts.ts';
import { chooseEnvironment } from '../lib/platform/environments.ts';
import { type Platform, PlatformError } from '../lib/platform/platform.ts';

/**
 * The platform of `holdfast.config.ts`, or undefined after saying everything that is wrong with it.
 * @param environment which one, where it describes several; `HOLDFAST_ENVIRONMENT` if undefined, else production
 * @param account whose credentials it is to be deployed with, where that is known: of another platform's they are a fault
 */
export async function loadPlatform(environment?: string, account?: string): Promise<Platform | undefined> {
  try {
    const { default: exported } = await import('../holdfast.config.ts');
    const platform = chooseEnvironment(exported, environment ?? process.env['HOLDFAST_ENVIRONMENT']);
    const faults = accountFaults(platform, account);
    if (faults.length > 0) throw new PlatformError(faults);
    return platform;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const { message } = new PlatformError([
      ...error.faults,
      ...(error.spec === undefined ? [] : accountFaults(error.spec, account)),
    ]);
    process.stderr.write(`${message}\n`);
    return undefined;
  }
}
