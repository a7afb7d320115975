import { k8s } from 'cdk8s-plus-28';
import { youngHeapFlag } from '../../gateway/contract.ts';
import { gatewayImage, kubernetes } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { containerSecurity } from './security.ts';

/** Where the image expects things. */
export const paths = {
  /** The gateway's default for `CONFIG_FILE_PATH`. */
  config: '/app/config/config.yaml',
  /** The key mirror's snapshot and the spend outbox. */
  data: '/var/lib/holdfast',
  temporary: '/tmp',
} as const;

/** Key of the config file in the ConfigMap. */
export const configKey = 'config.yaml';

/** A container of our image, with what the gateway and the migration have in common. */
export function holdfastContainer(
  platform: Platform,
  region: Region,
  container: Omit<k8s.Container, 'image' | 'securityContext' | 'envFrom' | 'volumeMounts'>,
): k8s.Container {
  return {
    ...container,
    image: gatewayImage(platform, region),
    imagePullPolicy: 'IfNotPresent',
    securityContext: containerSecurity(),
    // DATABASE_URL, REDIS_URL, LITELLM_MASTER_KEY, LITELLM_SALT_KEY, provider keys. It is made outside of these
    // manifests, by whatever reads Secrets Manager, so that no secret ever stands in a file. Without it no pod starts.
    envFrom: [{ secretRef: { name: kubernetes.secret } }],
    // In the pod and not in the ConfigMap, so that a change of one is a change of the pod and rolls out by itself.
    env: [...Object.entries(environment).map(([name, value]) => ({ name, value })), ...(container.env ?? [])],
    volumeMounts: [
      // By subPath, which Kubernetes never updates in a running pod: a config that is wrong meets the first new pod of
      // a rolling update, which stays unready and stops it, and not all running pods at once.
      { name: 'config', mountPath: paths.config, subPath: configKey, readOnly: true },
      { name: dataVolume, mountPath: paths.data },
      { name: 'temporary', mountPath: paths.temporary },
    ],
  };
}

const environment = {
  NODE_ENV: 'production',
  // Leaves a third of the memory limit to buffers and code, which the heap limit does not count.
  NODE_OPTIONS: `--max-old-space-size-percentage=65 ${youngHeapFlag}`,
  CONFIG_FILE_PATH: paths.config,
  HOLDFAST_DATA_DIRECTORY: paths.data,
} as const;

/**
 * The volumes behind the mounts. The data folder outlives a crash of the container, not the pod: a pod that leaves in
 * order has shipped its spend before, and the space is bounded so that one pod cannot fill a node.
 */
export const volumes = (): k8s.Volume[] => [
  ...volumesBesideData(),
  { name: dataVolume, emptyDir: { sizeLimit: k8s.Quantity.fromString(`${dataGiB.node}Gi`) } },
];

/** Size of the data folder: a part of the node's disk, or a volume of its own. */
export const dataGiB = { node: 2, volume: 10 } as const;

/**
 * Keeps the outbox within its folder. Beyond an emptyDir's limit Kubernetes ends the pod and throws the folder away; the
 * gateway stops taking requests that cost money before that. The rest is for the snapshot of keys.
 */
export const outboxBound = (kind: keyof typeof dataGiB): k8s.EnvVar => ({
  name: 'HOLDFAST_OUTBOX_MAX_BYTES',
  value: String(Math.floor(dataGiB[kind] * 0.75) * 1024 ** 3),
});

/** The same where the data folder is a volume of its own. */
export const volumesBesideData = (): k8s.Volume[] => [
  { name: 'config', configMap: { name: kubernetes.configMap } },
  scratch('temporary', '256Mi'),
];

/** Name of the volume that holds the outbox. */
export const dataVolume = 'data';

/** A bounded folder that goes with the pod. */
export const scratch = (name: string, size: string): k8s.Volume => ({
  name,
  emptyDir: { sizeLimit: k8s.Quantity.fromString(size) },
});

/**
 * A gateway is one Node process, which fills about one core: more pods, not bigger ones. There is no limit on CPU: the
 * request guarantees the core, and a limit would only halt the process in the middle of a burst of garbage collection
 * or TLS handshakes, which clients see as latency. Memory has its limit equal to the request, so that a node that runs
 * short never ends a gateway that stayed within its own.
 */
export const gatewayResources = (): k8s.ResourceRequirements =>
  resources({ cpu: '1', memory: '2Gi', 'ephemeral-storage': '2560Mi' });

export const migrationResources = (): k8s.ResourceRequirements =>
  resources({ cpu: '250m', memory: '512Mi', 'ephemeral-storage': '512Mi' });

export function resources(
  amounts: Readonly<Record<'cpu' | 'memory' | 'ephemeral-storage', string>>,
): k8s.ResourceRequirements {
  const requests = Object.fromEntries(
    Object.entries(amounts).map(([name, amount]) => [name, k8s.Quantity.fromString(amount)]),
  );
  const { cpu: _unlimited, ...limits } = requests;
  return { requests, limits };
}
