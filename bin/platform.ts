import { type Platform, PlatformError } from '../lib/platform/platform.ts';

/** The platform of `holdfast.config.ts`, or undefined after saying everything that is wrong with it. */
export async function loadPlatform(): Promise<Platform | undefined> {
  try {
    const { default: platform } = await import('../holdfast.config.ts');
    return platform;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
}
