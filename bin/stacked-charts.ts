import type { Platform } from '../lib/platform/platform.ts';
import type { ChartsOf } from '../lib/stacks/manifests.ts';

/** Manifests for the stacks that apply them; undefined, and nothing loaded, where the configuration has none. */
export async function stackedCharts(platform: Platform): Promise<ChartsOf | undefined> {
  if (platform.cluster.applyByStack === undefined) return undefined;
  const { appliedCharts } = await import('../k8s/app.ts');
  return (region) => appliedCharts(platform, region);
}
