/** Volumes that outlive pods and nodes. */
import type { ApiObjectProps } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';

/**
 * Auto Mode brings no StorageClass, so EKS gets ours; other clusters have a default. A volume is made in the zone where
 * its pod is placed, and kept when its claim goes: what is on it may be money.
 */
export const storageClass = (platform: Platform, labels: Record<string, string>): ApiObjectProps | undefined =>
  platform.cluster.kind === 'eks'
    ? k8s.KubeStorageClass.manifest({
        metadata: { name: kubernetes.storageClass, labels },
        provisioner:
          platform.cluster.loadBalancerController === 'auto-mode' ? 'ebs.csi.eks.amazonaws.com' : 'ebs.csi.aws.com',
        parameters: { type: 'gp3', encrypted: 'true' },
        reclaimPolicy: 'Retain',
        volumeBindingMode: 'WaitForFirstConsumer',
        allowVolumeExpansion: true,
      })
    : undefined;

/** A claim on a volume that one node mounts. */
export const claim = (platform: Platform, size: string): k8s.PersistentVolumeClaimSpec => ({
  accessModes: ['ReadWriteOnce'],
  ...(platform.cluster.kind === 'eks' ? { storageClassName: kubernetes.storageClass } : {}),
  resources: { requests: { storage: k8s.Quantity.fromString(size) } },
});

/** Name of the class where a specification asks for it in words; empty = the cluster's default. */
export const storageClassField = (platform: Platform): { storageClass?: string } =>
  platform.cluster.kind === 'eks' ? { storageClass: kubernetes.storageClass } : {};
