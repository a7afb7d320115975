import type { ApiObjectProps, Chart } from 'cdk8s';
import { backupBucketName, database, kubernetes, ports } from '../../lib/platform/names.ts';
import type { Region } from '../../lib/platform/platform.ts';
import type { AddonName } from '../../lib/platform/spec.ts';
import { imageOf } from '../blocks/images.ts';
import { type Component, labels, selector } from '../blocks/labels.ts';
import { placement } from '../blocks/placement.ts';
import { reach, reachKubernetes, reachObjectStore, resolveNames, serve } from '../blocks/traffic.ts';
import { storageClassField } from '../blocks/volume.ts';
import { networkPolicy } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const statusPort = 8000;

/**
 * PostgreSQL without AWS, by CloudNativePG (1.26 or later with its Barman Cloud plugin): three instances over the zones,
 * one of which has every commit before the client hears of it, and the log in S3 all the time.
 *
 * Every region has one cluster of the same form. `replica.primary` names who writes; a standby follows from the archive
 * of that one. Promotion changes no file. First demote the old one, which leaves a token in `.status.demotionToken`:
 *
 *     kubectl -n holdfast patch cluster postgres-OLD --type merge -p '{"metadata":{"annotations":
 *       {"holdfast/database-writer":"postgres-NEW"}},"spec":{"replica":{"primary":"postgres-NEW"}}}'
 *
 * Then the same in the new region, with `"promotionToken": "..."` beside `primary`: it waits until everything before the
 * token has been replayed, so nothing is lost. Without a token, when the old region is gone, what was not archived is lost.
 * These files go on naming the first writer: `roleGuard` keeps them from taking the role back when they are applied again.
 */
export function postgresChart(input: ChartInput): Chart {
  const { platform } = input;
  return newChart('postgres', [
    networkPolicy({
      platform,
      component: 'postgres',
      image: imageOf(platform, 'cloudNativePg'),
      ingress: [
        serve(platform, ['postgres', 'gateway', 'migration', ...callers(input)], ports.postgres),
        // The operator asks each instance how it is.
        serve(platform, 'all', statusPort),
        serve(platform, ['postgres'], statusPort),
      ],
      egress: [
        ...resolveNames(),
        reach(platform, 'postgres', ports.postgres, statusPort),
        reachKubernetes(),
        ...reachObjectStore(platform),
      ],
    }),
    ...platform.regions.map((region) => ({ manifest: archive(input, region) })),
    { manifest: cluster(input) },
    { manifest: schedule(input) },
    ...(platform.regions.length > 1 ? roleGuard(input).map((manifest) => ({ manifest })) : []),
  ]);
}

/** What else of this namespace asks the database, by the addon that brings it. */
const callersByAddon: readonly (readonly [AddonName, Component])[] = [
  ['pgbouncer', 'pgbouncer'],
  ['exporters', 'postgres-exporter'],
  ['backup', 'database-backup'],
];

const callers = ({ platform }: ChartInput): Component[] =>
  callersByAddon.filter(([addon]) => platform.cluster.addons.includes(addon)).map(([, component]) => component);

const clusterName = (region: Region): string => `${kubernetes.postgres}-${region.region}`;

const metadataOf = ({ platform }: ChartInput, name: string) => ({
  name,
  namespace: kubernetes.namespace,
  labels: labels(platform, 'postgres', imageOf(platform, 'cloudNativePg')),
});

/** Where a region's log and base backups are; a standby reads the primary's. */
const archive = (input: ChartInput, region: Region): ApiObjectProps => ({
  apiVersion: 'barmancloud.cnpg.io/v1',
  kind: 'ObjectStore',
  metadata: metadataOf(input, clusterName(region)),
  spec: {
    retentionPolicy: '30d',
    configuration: {
      destinationPath: `s3://${backupBucketName(input.platform, region)}/cloudnative-pg/`,
      ...(input.platform.cluster.objectStoreUrl === undefined
        ? {}
        : { endpointURL: input.platform.cluster.objectStoreUrl }),
      s3Credentials: credentials(input),
      wal: { compression: 'gzip', maxParallel: 8 },
      data: { compression: 'gzip', jobs: 2 },
    },
  },
});

const credentials = ({ platform }: ChartInput): unknown =>
  platform.cluster.kind === 'eks'
    ? { inheritFromIAMRole: true }
    : {
        accessKeyId: { name: kubernetes.objectStoreSecret, key: 'ACCESS_KEY_ID' },
        secretAccessKey: { name: kubernetes.objectStoreSecret, key: 'SECRET_ACCESS_KEY' },
      };

const plugin = (region: Region, more: Record<string, unknown> = {}): unknown => ({
  name: 'barman-cloud.cloudnative-pg.io',
  ...more,
  parameters: { barmanObjectName: clusterName(region), serverName: clusterName(region) },
});

function cluster(input: ChartInput): ApiObjectProps {
  const { platform, region } = input;
  const { tier, regions, primary } = platform;
  const image = imageOf(platform, 'cloudNativePg');
  const own = labels(platform, 'postgres', image);
  const { affinity, topologySpreadConstraints } = placement(selector(platform, 'postgres'), 'StatefulSet');
  return {
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: metadataOf(input, clusterName(region)),
    spec: {
      instances: 3,
      imageName: image,
      inheritedMetadata: { labels: own },
      enablePDB: true,
      // The gateway asks for its own connections' worth; the rest is for replication and administration.
      postgresql: {
        parameters: {
          max_connections: '200',
          shared_buffers: '2GB',
          wal_level: 'logical',
          max_wal_senders: '10',
          max_replication_slots: '10',
        },
        // A commit waits for one of the two others, but not for ever: with none left, serving comes first.
        synchronous: { method: 'any', number: 1, dataDurability: 'preferred' },
      },
      bootstrap:
        region === primary
          ? { initdb: { database: database.name, owner: database.user } }
          : { recovery: { source: clusterName(primary), database: database.name, owner: database.user } },
      storage: { size: `${tier.database.allocatedStorageGiB}Gi`, ...storageClassField(platform) },
      walStorage: { size: '50Gi', ...storageClassField(platform) },
      resources: { requests: { cpu: '2', memory: '8Gi' }, limits: { memory: '8Gi' } },
      affinity: {
        enablePodAntiAffinity: true,
        topologyKey: 'topology.kubernetes.io/zone',
        podAntiAffinityType: 'preferred',
        additionalPodAntiAffinity: affinity.podAntiAffinity,
      },
      topologySpreadConstraints,
      plugins: [plugin(region, { isWALArchiver: true })],
      ...(regions.length > 1
        ? {
            replica: { self: clusterName(region), primary: clusterName(primary), source: clusterName(primary) },
            externalClusters: regions.map((other) => ({ name: clusterName(other), plugin: plugin(other) })),
          }
        : {}),
    },
  };
}

/** The annotation that a promotion sets together with the new writer. */
const writerAnnotation = 'holdfast/database-writer';

/**
 * Refuses a change of who writes that is no promotion: files of the time before one, applied again by a person or by
 * GitOps, would demote the database that takes writes now.
 */
function roleGuard(input: ChartInput): ApiObjectProps[] {
  const name = `${kubernetes.namespace}-database-role`;
  const metadata = { name, labels: metadataOf(input, name).labels };
  const [now, before] = ['object.spec.replica.primary', 'oldObject.spec.replica.primary'];
  const annotations = 'object.metadata.annotations';
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ['postgresql.cnpg.io'],
              apiVersions: ['v1'],
              operations: ['UPDATE'],
              resources: ['clusters'],
            },
          ],
        },
        matchConditions: [{ name: 'has-a-role', expression: `has(oldObject.spec.replica) && has(${before})` }],
        validations: [
          {
            expression: `has(object.spec.replica) && has(${now}) && (${now} == ${before} || (has(${annotations}) && '${writerAnnotation}' in ${annotations} && ${annotations}['${writerAnnotation}'] == ${now}))`,
            message: `This would change which region's database takes writes. If that is meant, set the annotation ${writerAnnotation} to the new writer in the same change; if not, these manifests are older than the last promotion.`,
          },
        ],
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: {
        policyName: name,
        validationActions: ['Deny'],
        matchResources: {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': kubernetes.namespace } },
        },
      },
    },
  ];
}

/** Six fields, seconds first: every day at 02:00 UTC. */
const schedule = (input: ChartInput): ApiObjectProps => ({
  apiVersion: 'postgresql.cnpg.io/v1',
  kind: 'ScheduledBackup',
  metadata: metadataOf(input, clusterName(input.region)),
  spec: {
    schedule: '0 0 2 * * *',
    backupOwnerReference: 'self',
    cluster: { name: clusterName(input.region) },
    method: 'plugin',
    pluginConfiguration: { name: 'barman-cloud.cloudnative-pg.io' },
  },
});
