import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes, objectKeys, ports, vaultKeyAlias } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { resources, scratch } from '../blocks/container.ts';
import { disruptionBudget } from '../blocks/disruption.ts';
import { imageOf } from '../blocks/images.ts';
import { cronJob, identity } from '../blocks/job.ts';
import { selector } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { placement } from '../blocks/placement.ts';
import { containerSecurity, isolated, podSecurity } from '../blocks/security.ts';
import { endpointSeconds, preStopPause } from '../blocks/shutdown.ts';
import { reach, reachIdentity, reachObjectStore, reachTheWorld, resolveNames, serve } from '../blocks/traffic.ts';
import { slots, upload } from '../blocks/upload.ts';
import { claim } from '../blocks/volume.ts';
import { metadataOf, networkPolicy } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const replicas = 3;
const clusterPort = 8201;

/**
 * Vault by Raft over three zones: it survives the loss of one, unseals itself by the region's KMS key, and is copied to
 * S3 every hour, since snapshots on a schedule are an Enterprise feature. A second region has a Vault of its own, restored
 * from the replicated snapshot (`vault operator raft snapshot restore`; the KMS key must be a replica of the same
 * multi-region key). With Enterprise, performance replication takes the place of that: then leave the restore out.
 */
export function vaultChart(input: ChartInput): Chart {
  return newChart('vault', [...vaultItself(input), ...snapshots(input)]);
}

function vaultItself(input: ChartInput): ChartObject[] {
  const { platform } = input;
  const component = { platform, component: 'vault', image: imageOf(platform, 'vault') } as const;
  const metadata = metadataOf(component);
  const pods = selector(platform, 'vault');
  const config = `${kubernetes.vault}-config`;
  return [
    identity(component),
    {
      manifest: k8s.KubeConfigMap.manifest({
        metadata: { ...metadata, name: config },
        data: { 'vault.hcl': serverConfig(input) },
      }),
    },
    networkPolicy({
      ...component,
      ingress: [serve(platform, 'all', ports.vault), serve(platform, ['vault'], ports.vault, clusterPort)],
      egress: [
        ...resolveNames(),
        reach(platform, 'vault', ports.vault, clusterPort),
        ...reachTheWorld(),
        ...reachIdentity(platform),
      ],
    }),
    {
      manifest: k8s.KubeService.manifest({
        metadata,
        spec: {
          clusterIp: 'None',
          selector: pods,
          // Members find each other before they are ready.
          publishNotReadyAddresses: true,
          ports: [{ name: 'api', port: ports.vault, targetPort: k8s.IntOrString.fromString('api') }],
        },
      }),
    },
    {
      manifest: k8s.KubeStatefulSet.manifest({
        metadata,
        spec: {
          replicas,
          serviceName: kubernetes.vault,
          podManagementPolicy: 'Parallel',
          // By hand, the standbys first and the leader last, as its own upgrade guide says.
          updateStrategy: { type: 'OnDelete' },
          persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
          selector: { matchLabels: pods },
          template: { metadata: { labels: metadata.labels }, spec: podSpec(platform, config) },
          volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim(platform, '10Gi') }],
        },
      }),
      patches: [preStopPause(endpointSeconds)],
    },
    {
      manifest: k8s.KubePodDisruptionBudget.manifest({
        metadata,
        // Two of three are the quorum.
        spec: disruptionBudget({ selector: pods, minAvailable: 2, replicas }),
      }),
    },
  ];
}

const podSpec = (platform: Platform, config: string): k8s.PodSpec => ({
  ...isolated,
  ...placement(selector(platform, 'vault'), 'StatefulSet'),
  serviceAccountName: kubernetes.vault,
  terminationGracePeriodSeconds: endpointSeconds + 30,
  securityContext: podSecurity(),
  containers: [
    {
      name: kubernetes.vault,
      image: imageOf(platform, 'vault'),
      imagePullPolicy: 'IfNotPresent',
      command: ['vault', 'server', '-config=/vault/config/vault.hcl'],
      env: [
        { name: 'VAULT_RAFT_NODE_ID', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        // A name that its certificate has: clients that are sent on to the leader check it.
        { name: 'VAULT_API_ADDR', value: `https://$(VAULT_RAFT_NODE_ID).${kubernetes.vault}:${ports.vault}` },
        {
          name: 'VAULT_CLUSTER_ADDR',
          value: `https://$(VAULT_RAFT_NODE_ID).${kubernetes.vault}:${clusterPort}`,
        },
        { name: 'HOME', value: '/tmp' },
      ],
      ...(platform.cluster.kind === 'eks' ? {} : { envFrom: [{ secretRef: { name: kubernetes.vaultSealSecret } }] }),
      ports: [
        { name: 'api', containerPort: ports.vault, protocol: 'TCP' },
        { name: 'cluster', containerPort: clusterPort, protocol: 'TCP' },
      ],
      // A sealed or new Vault is alive; only one that serves, as leader or standby, is ready.
      startupProbe: health('standbyok=true&sealedcode=204&uninitcode=204', { periodSeconds: 5, failureThreshold: 30 }),
      livenessProbe: health('standbyok=true&sealedcode=204&uninitcode=204', { periodSeconds: 10, failureThreshold: 6 }),
      readinessProbe: health('standbyok=true', { periodSeconds: 5, failureThreshold: 2 }),
      resources: resources({ cpu: '250m', memory: '512Mi', 'ephemeral-storage': '256Mi' }),
      securityContext: containerSecurity(),
      volumeMounts: [
        { name: 'data', mountPath: '/vault/data' },
        { name: 'config', mountPath: '/vault/config', readOnly: true },
        { name: 'tls', mountPath: '/vault/tls', readOnly: true },
        { name: 'temporary', mountPath: '/tmp' },
      ],
    },
  ],
  volumes: [
    { name: 'config', configMap: { name: config } },
    { name: 'tls', secret: { secretName: kubernetes.vaultTls } },
    scratch('temporary', '128Mi'),
  ],
});

const health = (query: string, more: Partial<k8s.Probe>): k8s.Probe => ({
  httpGet: { path: `/v1/sys/health?${query}`, port: k8s.IntOrString.fromString('api'), scheme: 'HTTPS' },
  timeoutSeconds: 5,
  ...more,
});

const serverConfig = ({ platform, region }: ChartInput): string => `ui            = false
disable_mlock = true

listener "tcp" {
  address         = "0.0.0.0:${ports.vault}"
  cluster_address = "0.0.0.0:${clusterPort}"
  tls_cert_file   = "/vault/tls/tls.crt"
  tls_key_file    = "/vault/tls/tls.key"
}

storage "raft" {
  path = "/vault/data"
${Array.from({ length: replicas }, (_, index) => retryJoin(index)).join('\n')}
}

seal "awskms" {
  region     = "${region.region}"
  kms_key_id = "${vaultKeyAlias(platform)}"
}
`;

const retryJoin = (index: number): string => `  retry_join {
    leader_api_addr     = "https://${kubernetes.vault}-${index}.${kubernetes.vault}:${ports.vault}"
    leader_ca_cert_file = "/vault/tls/ca.crt"
  }`;

function snapshots({ platform, region }: ChartInput): ChartObject[] {
  const component = { platform, component: kubernetes.vaultSnapshot, image: imageOf(platform, 'vault') } as const;
  const amounts = resources({ cpu: '100m', memory: '256Mi', 'ephemeral-storage': '1Gi' });
  const volumeMounts = [
    { name: 'snapshot', mountPath: '/snapshot' },
    { name: 'identity', mountPath: '/var/run/secrets/vault', readOnly: true },
    { name: 'tls', mountPath: '/vault/tls', readOnly: true },
  ];
  const address = [
    { name: 'VAULT_ADDR', value: `https://${kubernetes.vault}:${ports.vault}` },
    { name: 'VAULT_CACERT', value: '/vault/tls/ca.crt' },
    { name: 'HOME', value: '/snapshot' },
  ];
  return [
    identity(component),
    networkPolicy({
      ...component,
      ingress: [],
      egress: [...resolveNames(), reach(platform, 'vault', ports.vault), ...reachObjectStore(platform)],
    }),
    cronJob({
      ...component,
      schedule: '7 * * * *',
      lateSeconds: 1800,
      retries: 3,
      deadlineSeconds: 900,
      serviceAccountName: kubernetes.vaultSnapshot,
      steps: [
        {
          name: 'take',
          image: imageOf(platform, 'vault'),
          command: ['/bin/sh', '-euc'],
          args: [
            // Asked for a snapshot, a standby sends its client on to the leader, which the client does not follow.
            `VAULT_ADDR=$(vault status -format=json | sed -n 's/^ *"leader_address": "\\(https:[^"]*\\)".*/\\1/p')
test -n "$VAULT_ADDR"
export VAULT_ADDR
VAULT_TOKEN=$(vault write -field=token auth/kubernetes/login role=${kubernetes.vaultSnapshot} jwt=@/var/run/secrets/vault/token)
export VAULT_TOKEN
vault operator raft snapshot save /snapshot/vault.snap
vault operator raft snapshot inspect /snapshot/vault.snap`,
          ],
          env: address,
          resources: amounts,
          volumeMounts,
        },
        upload({
          platform,
          region,
          file: '/snapshot/vault.snap',
          key: `${objectKeys.vaultSnapshots}${slots.hourOfWeek}.snap`,
          volumeMounts: [{ name: 'snapshot', mountPath: '/snapshot' }],
        }),
      ],
      volumes: [
        scratch('snapshot', '1Gi'),
        { name: 'tls', secret: { secretName: kubernetes.vaultTls } },
        {
          // The one token that this pod has: good for Vault alone.
          name: 'identity',
          projected: {
            sources: [{ serviceAccountToken: { path: 'token', audience: kubernetes.vault, expirationSeconds: 600 } }],
          },
        },
      ],
    }),
  ];
}
