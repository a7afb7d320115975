/** Gateways of a lab region that serve, and those that do not. */
import { healthPaths } from '../../gateway/contract.ts';
import type { LabRegion } from './lab-region.ts';

/** @param url of a gateway. */
export async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(1_000)]);
    return (await fetch(new URL(healthPaths.ready, url), { signal: bounded })).ok;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

export async function readyGateways({ gateways }: LabRegion, signal: AbortSignal): Promise<number> {
  return (await Promise.all(gateways.map(({ url }) => isReady(url, signal)))).filter(Boolean).length;
}

/** Starts those that were started before and do not serve any more. */
export async function startUnready(region: LabRegion, signal: AbortSignal): Promise<void> {
  for (const [index, { gateway }] of region.places.entries()) {
    if (gateway === undefined || !(await isReady(gateway.url, signal))) await region.startGateway(index);
  }
}
