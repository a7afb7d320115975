import type { k8s } from 'cdk8s-plus-28';
import { backupBucketName, kubernetes } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { resources } from './container.ts';
import { imageOf } from './images.ts';

/**
 * Names that come round again, so that a new copy replaces the oldest and nothing is ever deleted: who can write backups
 * needs no right to delete them, no rule can take the last good one away while new ones fail, and the number of copies is
 * bounded in any store. Where the bucket keeps versions, what was replaced is there, too.
 */
export const slots = {
  /** 31 copies of a daily job. */
  dayOfMonth: 'day-$(date -u +%d)',
  /** 168 copies of an hourly job: seven days. */
  hourOfWeek: 'day-$(date -u +%u)-hour-$(date -u +%H)',
  /** 24 copies of an hourly job. */
  hourOfDay: 'hour-$(date -u +%H)',
} as const;

export interface UploadOptions {
  readonly platform: Platform;
  readonly region: Region;
  /** Path of the one file. */
  readonly file: string;
  /** Key in the region's bucket for backups, in words of the shell. */
  readonly key: string;
  readonly volumeMounts: k8s.VolumeMount[];
}

/** Writes to S3: with the pod's own role on EKS, elsewhere with the keys of a Secret. */
export function upload(options: UploadOptions): Omit<k8s.Container, 'securityContext'> {
  const { platform, region, file, key } = options;
  const { kind, objectStoreUrl } = platform.cluster;
  // On EKS the bucket encrypts with its own key by itself, and no option may say how: `--sse aws:kms` alone would mean
  // AWS's key, which no other account or region can be given. Other stores have no key, so what must be secret is
  // encrypted before.
  return {
    name: 'upload',
    image: imageOf(platform, 'awsCli'),
    command: ['/bin/sh', '-euc'],
    args: [
      `test -s ${file}
aws s3 cp --only-show-errors ${file} "s3://${backupBucketName(platform, region)}/${key}"`,
    ],
    env: [
      { name: 'AWS_REGION', value: region.region },
      { name: 'HOME', value: '/tmp' },
      ...(kind === 'eks'
        ? []
        : [
            fromObjectStore('AWS_ACCESS_KEY_ID', 'ACCESS_KEY_ID'),
            fromObjectStore('AWS_SECRET_ACCESS_KEY', 'SECRET_ACCESS_KEY'),
          ]),
      ...(objectStoreUrl === undefined ? [] : [{ name: 'AWS_ENDPOINT_URL_S3', value: objectStoreUrl }]),
    ],
    resources: resources({ cpu: '100m', memory: '256Mi', 'ephemeral-storage': '128Mi' }),
    volumeMounts: options.volumeMounts,
  };
}

/** A variable out of the Secret that belongs to the store of backups. */
export const fromObjectStore = (name: string, key: string): k8s.EnvVar => ({
  name,
  valueFrom: { secretKeyRef: { name: kubernetes.objectStoreSecret, key } },
});
