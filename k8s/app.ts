/** From the platform to Kubernetes manifests: one folder per region, to be applied in the order of the file names. */
import { readFileSync } from 'node:fs';
import type { Chart } from 'cdk8s';
import type { Platform } from '../lib/platform/platform.ts';
import { foundationChart } from './charts/foundation.ts';
import { gatewayChart } from './charts/gateway.ts';
import { migrationChart } from './charts/migration.ts';
import type { ChartInput } from './charts/region-chart.ts';
import { writeManifests } from './manifest-files.ts';

/** The files of a region. The numbers order them and leave room between them. */
const charts: readonly (readonly [string, (input: ChartInput) => Chart])[] = [
  ['00-foundation.yaml', foundationChart],
  ['10-migration.yaml', migrationChart],
  ['20-gateway.yaml', gatewayChart],
];

/** What was written into one file. */
export interface SynthesizedManifest {
  readonly region: string;
  /** Relative to the output folder. */
  readonly file: string;
  readonly resources: number;
  /** Number of objects by kind. */
  readonly kinds: Record<string, number>;
}

/**
 * Writes `DIRECTORY/REGION/*.yaml` for every region and removes what an earlier run wrote and this one does not.
 * `config` is the gateway's config.yaml; `k8s/gateway-config.yaml` if not given.
 */
export function synthesizeManifests(
  platform: Platform,
  directory: string,
  config: string = readFileSync(new URL('gateway-config.yaml', import.meta.url), 'utf8'),
): SynthesizedManifest[] {
  const files = platform.regions.flatMap((region) =>
    charts.map(([name, chartOf]) => ({
      region: region.region,
      path: `${region.region}/${name}`,
      chart: chartOf({ platform, region, config }),
    })),
  );
  const written = writeManifests(directory, files);
  return files.map(({ region, path }) => {
    const objects = written.get(path) ?? [];
    const kinds: Record<string, number> = {};
    for (const { kind } of objects) kinds[kind] = (kinds[kind] ?? 0) + 1;
    return { region, file: path, resources: objects.length, kinds };
  });
}

if (import.meta.main) {
  const { default: platform } = await import('../holdfast.config.ts');
  for (const { file, resources } of synthesizeManifests(platform, 'dist/k8s')) {
    process.stdout.write(`dist/k8s/${file}  ${resources} objects\n`);
  }
}
