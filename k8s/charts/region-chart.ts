import { ApiObject, App, Chart } from 'cdk8s';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { ChartObject } from '../blocks/object.ts';

/** What every chart is made from. */
export interface ChartInput {
  readonly platform: Platform;
  readonly region: Region;
  /** The gateway's `config.yaml`, as text. */
  readonly config: string;
}

/**
 * A chart of its own app. Objects carry the names that they are given, without hashes. They are plain `ApiObject`s: the
 * generated classes `k8s.Kube*` would silently drop every patched field that their types do not know.
 */
export function newChart(name: string, objects: readonly ChartObject[]): Chart {
  const chart = new Chart(new App(), name, { disableResourceNameHashes: true });
  for (const { manifest, patches = [] } of objects) {
    const object = new ApiObject(chart, `${manifest.kind}-${manifest.metadata?.name}`, manifest);
    object.addJsonPatch(...patches);
  }
  return chart;
}
