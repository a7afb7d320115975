import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes, objectKeys, ports } from '../../lib/platform/names.ts';
import { cloudSqlProxy } from '../blocks/cloud-sql.ts';
import { resources, scratch } from '../blocks/container.ts';
import { imageOf } from '../blocks/images.ts';
import { cronJob, identity } from '../blocks/job.ts';
import type { ChartObject } from '../blocks/object.ts';
import { reach, reachObjectStore, reachStores, resolveNames } from '../blocks/traffic.ts';
import { fromObjectStore, slots, upload } from '../blocks/upload.ts';
import { networkPolicy } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/**
 * Copies beside those of the database service: a logical dump each day, readable by any PostgreSQL, the configuration with
 * its secrets, and what our own Redis holds. They stand in every region; in one whose database is a replica the dump is the
 * replica's. What a copy replaces is the copy of a month, a week or a day ago: see `slots`.
 */
export const backupChart = (input: ChartInput): Chart =>
  newChart('backup', [
    ...databaseBackup(input),
    ...configurationBackup(input),
    ...(input.platform.cluster.addons.includes('redis') ? redisBackup(input) : []),
  ]);

const shell = ['/bin/sh', '-euc'];
const daily = { lateSeconds: 4 * 3600, retries: 3 } as const;

function databaseBackup({ platform, region }: ChartInput): ChartObject[] {
  const image = imageOf(platform, 'postgres');
  const component = { platform, component: kubernetes.databaseBackup, image } as const;
  const volumeMounts = [{ name: 'dump', mountPath: '/dump' }];
  return [
    identity(component),
    networkPolicy({
      ...component,
      ingress: [],
      egress: [
        ...resolveNames(),
        ...reachStores(platform, region),
        ...(platform.cluster.addons.includes('postgres') ? [reach(platform, 'postgres', ports.postgres)] : []),
        ...reachObjectStore(platform),
      ],
    }),
    cronJob({
      ...component,
      ...daily,
      schedule: '0 3 * * *',
      deadlineSeconds: 4 * 3600,
      serviceAccountName: kubernetes.databaseBackup,
      ...(platform.cluster.kind === 'gke' ? { sidecars: [cloudSqlProxy(platform)] } : {}),
      steps: [
        {
          name: 'dump',
          image,
          command: shell,
          // Past PgBouncer, whose transactions are too short for a dump. A file that cannot be listed is no backup, and
          // whatever fails here keeps the copy of a month ago where it is.
          args: [
            `pg_dump --format=custom --file=/dump/holdfast.dump "\${DIRECT_DATABASE_URL:-$DATABASE_URL}"
pg_restore --list /dump/holdfast.dump >/dump/contents
grep -q 'TABLE DATA' /dump/contents`,
          ],
          env: [fromGateway('DATABASE_URL'), fromGateway('DIRECT_DATABASE_URL', true)],
          resources: resources({ cpu: '500m', memory: '512Mi', 'ephemeral-storage': '50Gi' }),
          volumeMounts,
        },
        upload({
          platform,
          region,
          file: '/dump/holdfast.dump',
          key: `${objectKeys.databaseDumps}holdfast-${slots.dayOfMonth}.dump`,
          volumeMounts,
        }),
      ],
      volumes: [scratch('dump', '50Gi')],
    }),
  ];
}

/** A variable that the gateway reads, too. */
const fromGateway = (name: string, optional = false): k8s.EnvVar => ({
  name,
  valueFrom: { secretKeyRef: { name: kubernetes.secret, key: name, ...(optional ? { optional } : {}) } },
});

/**
 * ConfigMap and Secret as the pods see them, in one archive and without any right at the Kubernetes API. On EKS KMS
 * encrypts it with the bucket's key: there is no passphrase that could be lost together with the cluster. Elsewhere
 * OpenSSL does, with a passphrase that somebody must keep in another place.
 */
function configurationBackup({ platform, region }: ChartInput): ChartObject[] {
  const image = imageOf(platform, 'postgres');
  const component = { platform, component: kubernetes.configurationBackup, image } as const;
  const sealed = platform.cluster.kind !== 'eks';
  const archive = '/pack/configuration.tgz';
  return [
    identity(component),
    networkPolicy({ ...component, ingress: [], egress: [...resolveNames(), ...reachObjectStore(platform)] }),
    cronJob({
      ...component,
      ...daily,
      schedule: '30 3 * * *',
      deadlineSeconds: 900,
      serviceAccountName: kubernetes.configurationBackup,
      steps: [
        {
          name: 'pack',
          // For its tar and OpenSSL.
          image,
          command: shell,
          args: [packing(archive, sealed)],
          env: sealed ? [fromObjectStore('BACKUP_PASSPHRASE', 'BACKUP_PASSPHRASE')] : [],
          resources: resources({ cpu: '100m', memory: '128Mi', 'ephemeral-storage': '64Mi' }),
          volumeMounts: [
            { name: 'configuration', mountPath: '/configuration', readOnly: true },
            { name: 'secrets', mountPath: '/secrets', readOnly: true },
            { name: 'pack', mountPath: '/pack' },
          ],
        },
        upload({
          platform,
          region,
          file: sealed ? `${archive}.enc` : archive,
          key: `${objectKeys.configurationBackups}${slots.dayOfMonth}.tgz${sealed ? '.enc' : ''}`,
          volumeMounts: [
            { name: 'pack', mountPath: '/pack', readOnly: true },
            { name: 'temporary', mountPath: '/tmp' },
          ],
        }),
      ],
      volumes: [
        { name: 'configuration', configMap: { name: kubernetes.configMap } },
        { name: 'secrets', secret: { secretName: kubernetes.secret } },
        // In memory: secrets in the clear never touch the node's disk.
        { name: 'pack', emptyDir: { medium: 'Memory', sizeLimit: k8s.Quantity.fromString('32Mi') } },
        scratch('temporary', '64Mi'),
      ],
    }),
  ];
}

/** Links into the hidden folders by which Kubernetes changes files at once are followed, and those folders left out. */
const packing = (archive: string, sealed: boolean): string => {
  const pack = `tar --create --gzip --dereference --exclude='..*' --directory=/ --file=${archive} configuration secrets`;
  const seal = `openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -salt -pass env:BACKUP_PASSPHRASE -in ${archive} -out ${archive}.enc`;
  return sealed ? `${pack}\n${seal}` : pack;
};

/** Redis holds nothing that must be kept; a copy spares a region that lost it the time in which limits start anew. */
function redisBackup({ platform, region }: ChartInput): ChartObject[] {
  const image = imageOf(platform, 'redis');
  const component = { platform, component: kubernetes.redisBackup, image } as const;
  const volumeMounts = [{ name: 'dump', mountPath: '/dump' }];
  return [
    identity(component),
    networkPolicy({
      ...component,
      ingress: [],
      egress: [...resolveNames(), reach(platform, 'redis', ports.valkey), ...reachObjectStore(platform)],
    }),
    cronJob({
      ...component,
      schedule: '37 * * * *',
      lateSeconds: 1800,
      retries: 1,
      deadlineSeconds: 900,
      serviceAccountName: kubernetes.redisBackup,
      steps: [
        {
          name: 'dump',
          image,
          command: shell,
          // From the first that answers, the one that leads at the start last.
          args: [
            `for number in 2 1 0; do
  timeout 120 redis-cli -h "redis-$number.redis" -p ${ports.valkey} -a "$REDIS_PASSWORD" --no-auth-warning --rdb /dump/redis.rdb && break
done
redis-check-rdb /dump/redis.rdb`,
          ],
          envFrom: [{ secretRef: { name: kubernetes.redisSecret } }],
          resources: resources({ cpu: '100m', memory: '128Mi', 'ephemeral-storage': '3Gi' }),
          volumeMounts,
        },
        upload({
          platform,
          region,
          file: '/dump/redis.rdb',
          key: `${objectKeys.redisSnapshots}${slots.hourOfDay}.rdb`,
          volumeMounts,
        }),
      ],
      volumes: [scratch('dump', '3Gi')],
    }),
  ];
}
