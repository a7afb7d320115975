import type { k8s } from 'cdk8s-plus-28';
import { resources } from './container.ts';
import { images } from './images.ts';

/** Writes to S3 with the pod's own role. It may not delete: old copies go by the bucket's lifecycle rule. */
export const upload = (
  command: string,
  volumeMounts: k8s.VolumeMount[],
  region: string,
): Omit<k8s.Container, 'securityContext'> => ({
  name: 'upload',
  image: images.awsCli,
  command: ['/bin/sh', '-euc'],
  args: [command],
  env: [
    { name: 'AWS_REGION', value: region },
    { name: 'HOME', value: '/tmp' },
  ],
  resources: resources({ cpu: '100m', memory: '256Mi', 'ephemeral-storage': '128Mi' }),
  volumeMounts,
});
