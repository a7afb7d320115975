import { chooseEnvironment } from '../lib/platform/environments.ts';
import { type Platform, PlatformError } from '../lib/platform/platform.ts';

/**
 * The platform of `holdfast.config.ts`, or undefined after saying everything that is wrong with it.
 * @param environment which one, where it describes several; `HOLDFAST_ENVIRONMENT` if undefined, else production
 */
export async function loadPlatform(environment?: string): Promise<Platform | undefined> {
  try {
    const { default: exported } = await import('../holdfast.config.ts');
    return chooseEnvironment(exported, environment ?? process.env['HOLDFAST_ENVIRONMENT']);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
}
