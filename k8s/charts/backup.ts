import type { Chart } from 'cdk8s';
import { backupBucketName, kubernetes } from '../../lib/platform/names.ts';
import { resources, scratch } from '../blocks/container.ts';
import { images } from '../blocks/images.ts';
import { cronJob, identity } from '../blocks/job.ts';
import type { ChartObject } from '../blocks/object.ts';
import { reach, reachIdentity, reachStores, reachTheWorld, resolveNames } from '../blocks/traffic.ts';
import { upload } from '../blocks/upload.ts';
import { networkPolicy } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/**
 * Copies beside those of the database service: a logical dump each day, readable by any PostgreSQL, and the configuration
 * with its secrets. They stand in every region; in one whose database is a replica the dump is the replica's. Old ones
 * (30 days) go by the bucket's lifecycle rule: who can write backups must not be able to delete them.
 */
export const backupChart = (input: ChartInput): Chart =>
  newChart('backup', [...databaseBackup(input), ...configurationBackup(input)]);

const stamp = '$(date -u +%Y%m%dT%H%M%SZ)';

function databaseBackup({ platform, region }: ChartInput): ChartObject[] {
  const component = { platform, component: kubernetes.databaseBackup, image: images.postgres } as const;
  const volumeMounts = [{ name: 'dump', mountPath: '/dump' }];
  return [
    identity(component),
    networkPolicy({
      ...component,
      ingress: [],
      egress: [
        ...resolveNames(),
        ...reachStores(platform, region),
        ...(platform.cluster.addons.includes('postgres') ? [reach(platform, 'postgres', 5432)] : []),
        ...reachTheWorld(),
        ...reachIdentity(platform),
      ],
    }),
    cronJob({
      ...component,
      schedule: '0 3 * * *',
      lateSeconds: 4 * 3600,
      retries: 3,
      deadlineSeconds: 4 * 3600,
      serviceAccountName: kubernetes.databaseBackup,
      steps: [
        {
          name: 'dump',
          image: images.postgres,
          command: ['/bin/sh', '-euc'],
          // Past PgBouncer, whose transactions are too short for a dump. A file that cannot be listed is no backup.
          args: [
            `pg_dump --format=custom --file=/dump/holdfast.dump "$DATABASE_DIRECT_URL"
pg_restore --list /dump/holdfast.dump | grep -q 'TABLE DATA'`,
          ],
          env: [
            {
              name: 'DATABASE_DIRECT_URL',
              valueFrom: { secretKeyRef: { name: kubernetes.secret, key: 'DATABASE_DIRECT_URL' } },
            },
          ],
          resources: resources({ cpu: '500m', memory: '512Mi', 'ephemeral-storage': '50Gi' }),
          volumeMounts,
        },
        upload(
          `aws s3 cp --only-show-errors /dump/holdfast.dump "s3://${backupBucketName(platform, region)}/postgresql/holdfast-${stamp}.dump"`,
          volumeMounts,
          region.region,
        ),
      ],
      volumes: [scratch('dump', '50Gi')],
    }),
  ];
}

/**
 * ConfigMap and Secret as the pods see them, without any right at the Kubernetes API. KMS encrypts them with the bucket's
 * key: there is no passphrase that could be lost together with the cluster.
 */
function configurationBackup({ platform, region }: ChartInput): ChartObject[] {
  const component = { platform, component: kubernetes.configurationBackup, image: images.awsCli } as const;
  const target = `s3://${backupBucketName(platform, region)}/configuration/$now`;
  return [
    identity(component),
    networkPolicy({
      ...component,
      ingress: [],
      egress: [...resolveNames(), ...reachTheWorld(), ...reachIdentity(platform)],
    }),
    cronJob({
      ...component,
      schedule: '30 3 * * *',
      lateSeconds: 4 * 3600,
      retries: 3,
      deadlineSeconds: 900,
      serviceAccountName: kubernetes.configurationBackup,
      steps: [
        upload(
          `now=${stamp}
aws s3 cp --only-show-errors --recursive --sse aws:kms --exclude '..*' /configuration "${target}/config/"
aws s3 cp --only-show-errors --recursive --sse aws:kms --exclude '..*' /secrets "${target}/secrets/"`,
          [
            { name: 'configuration', mountPath: '/configuration', readOnly: true },
            { name: 'secrets', mountPath: '/secrets', readOnly: true },
            { name: 'temporary', mountPath: '/tmp' },
          ],
          region.region,
        ),
      ],
      volumes: [
        { name: 'configuration', configMap: { name: kubernetes.configMap } },
        { name: 'secrets', secret: { secretName: kubernetes.secret } },
        scratch('temporary', '64Mi'),
      ],
    }),
  ];
}
