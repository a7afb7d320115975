/** From the platform to Kubernetes manifests: one folder per region, to be applied in the order of the file names. */
import { readFileSync } from 'node:fs';
import type { Chart } from 'cdk8s';
import type { Platform, Region } from '../lib/platform/platform.ts';
import type { AddonName, ClusterKind } from '../lib/platform/spec.ts';
import { agentgatewayChart } from './charts/agentgateway.ts';
import { backupChart } from './charts/backup.ts';
import { chaosChart } from './charts/chaos.ts';
import { configConnectorChart } from './charts/config-connector.ts';
import { exportersChart } from './charts/exporters.ts';
import { faultInjectionChart } from './charts/fault-injection.ts';
import { foundationChart } from './charts/foundation.ts';
import { gatewayChart } from './charts/gateway.ts';
import { ingressChart } from './charts/ingress.ts';
import { loadChart } from './charts/load.ts';
import { migrationChart } from './charts/migration.ts';
import { monitoringChart } from './charts/monitoring.ts';
import { pgbouncerChart } from './charts/pgbouncer.ts';
import { postgresChart } from './charts/postgres.ts';
import { redisChart } from './charts/redis.ts';
import type { ChartInput } from './charts/region-chart.ts';
import { regionWatchChart } from './charts/region-watch.ts';
import { telemetryChart } from './charts/telemetry.ts';
import { vaultChart } from './charts/vault.ts';
import { vllmChart } from './charts/vllm.ts';
import { kustomizeFiles, type RegionFiles } from './kustomize.ts';
import { writeManifests } from './manifest-files.ts';

interface ChartFile {
  readonly name: string;
  readonly chartOf: (input: ChartInput) => Chart;
  /** Absent = every platform has it. */
  readonly addon?: AddonName;
  /** Absent = on every kind of cluster. */
  readonly kind?: ClusterKind;
  /** Only where regions ask whether they could take over. */
  readonly isWatch?: true;
}

/** The files of a region. The numbers order them and leave room between them. */
const charts: readonly ChartFile[] = [
  { name: '00-foundation.yaml', chartOf: foundationChart },
  { name: '02-postgres.yaml', chartOf: postgresChart, addon: 'postgres' },
  { name: '04-redis.yaml', chartOf: redisChart, addon: 'redis' },
  { name: '06-vault.yaml', chartOf: vaultChart, addon: 'vault' },
  { name: '08-pgbouncer.yaml', chartOf: pgbouncerChart, addon: 'pgbouncer' },
  { name: '10-migration.yaml', chartOf: migrationChart },
  { name: '20-gateway.yaml', chartOf: gatewayChart },
  { name: '30-ingress.yaml', chartOf: ingressChart },
  { name: '40-vllm.yaml', chartOf: vllmChart, addon: 'vllm' },
  { name: '42-agentgateway.yaml', chartOf: agentgatewayChart, addon: 'agentgateway' },
  { name: '50-exporters.yaml', chartOf: exportersChart, addon: 'exporters' },
  { name: '52-telemetry.yaml', chartOf: telemetryChart, addon: 'telemetry' },
  { name: '54-monitoring.yaml', chartOf: monitoringChart, addon: 'monitoring' },
  { name: '56-region-watch.yaml', chartOf: regionWatchChart, isWatch: true },
  { name: '60-backup.yaml', chartOf: backupChart, addon: 'backup' },
  // It starts nothing: whoever starts the experiment of AWS FIS does.
  { name: '62-fault-injection.yaml', chartOf: faultInjectionChart, addon: 'drills', kind: 'eks' },
  // In folders of their own, which `kubectl apply -f` passes over: applying a drill starts it.
  { name: 'drills/70-load.yaml', chartOf: loadChart, addon: 'drills' },
  { name: 'drills/80-chaos.yaml', chartOf: chaosChart, addon: 'drills' },
  { name: 'config-connector/90-google.yaml', chartOf: configConnectorChart, kind: 'gke' },
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

/** The gateway's config.yaml, where nobody gives another. */
const ownConfig = (): string => readFileSync(new URL('gateway-config.yaml', import.meta.url), 'utf8');

/** Charts of a region in the order in which they are applied; `folder/name` for what is not applied with the rest. */
export const chartsOf = (platform: Platform, region: Region, config: string = ownConfig()): NamedChart[] =>
  charts
    .filter(({ addon }) => addon === undefined || platform.cluster.addons.includes(addon))
    .filter(({ isWatch }) => isWatch === undefined || platform.cluster.regionWatch)
    .filter(({ kind = platform.cluster.kind }) => kind === platform.cluster.kind)
    .map(({ name, chartOf }) => ({ name, chart: chartOf({ platform, region, config }) }));

/** The charts that a stack applies: not the drills, since applying one starts it. */
export const appliedCharts = (platform: Platform, region: Region): NamedChart[] =>
  chartsOf(platform, region).filter(({ name }) => !name.includes('/'));

export interface NamedChart {
  readonly name: string;
  readonly chart: Chart;
}

/**
 * Writes `DIRECTORY/REGION/*.yaml` for every region, the same for kustomize, and removes what an earlier run wrote and this one does not.
 * `config` is the gateway's config.yaml; `k8s/gateway-config.yaml` if not given.
 */
export function synthesizeManifests(
  platform: Platform,
  directory: string,
  config: string = ownConfig(),
): SynthesizedManifest[] {
  const files = platform.regions.flatMap((region) =>
    chartsOf(platform, region, config).map(({ name, chart }) => ({
      region: region.region,
      path: `${region.region}/${name}`,
      chart,
    })),
  );
  const written = writeManifests(directory, files, (objects) => {
    const ofRegion = (region: string): RegionFiles =>
      new Map([...objects].filter(([path]) => path.startsWith(`${region}/`)));
    const others = platform.standbys.map(({ region }): [string, RegionFiles] => [region, ofRegion(region)]);
    return kustomizeFiles(ofRegion(platform.primary.region), new Map(others));
  });
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
