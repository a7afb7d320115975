/** From the platform to Kubernetes manifests: one folder per region, to be applied in the order of the file names. */
import { readFileSync } from 'node:fs';
import type { Chart } from 'cdk8s';
import type { AddonName, Platform } from '../lib/platform/platform.ts';
import { foundationChart } from './charts/foundation.ts';
import { gatewayChart } from './charts/gateway.ts';
import { ingressChart } from './charts/ingress.ts';
import { migrationChart } from './charts/migration.ts';
import { monitoringChart } from './charts/monitoring.ts';
import { pgbouncerChart } from './charts/pgbouncer.ts';
import type { ChartInput } from './charts/region-chart.ts';
import { writeManifests } from './manifest-files.ts';

interface ChartFile {
  readonly name: string;
  readonly chartOf: (input: ChartInput) => Chart;
  /** Absent = every platform has it. */
  readonly addon?: AddonName;
}

/** The files of a region. The numbers order them and leave room between them. */
const charts: readonly ChartFile[] = [
  { name: '00-foundation.yaml', chartOf: foundationChart },
  { name: '08-pgbouncer.yaml', chartOf: pgbouncerChart, addon: 'pgbouncer' },
  { name: '10-migration.yaml', chartOf: migrationChart },
  { name: '20-gateway.yaml', chartOf: gatewayChart },
  { name: '30-ingress.yaml', chartOf: ingressChart },
  { name: '54-monitoring.yaml', chartOf: monitoringChart, addon: 'monitoring' },
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
    charts
      .filter(({ addon }) => addon === undefined || platform.cluster.addons.includes(addon))
      .map(({ name, chartOf }) => ({
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
