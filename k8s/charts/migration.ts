import { createHash } from 'node:crypto';
import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes } from '../../lib/platform/names.ts';
import { cloudSqlProxy } from '../blocks/cloud-sql.ts';
import { holdfastContainer, migrationResources, volumes } from '../blocks/container.ts';
import { labels } from '../blocks/labels.ts';
import { isolated, podSecurity } from '../blocks/security.ts';
import { type ChartInput, newChart } from './region-chart.ts';

const command = ['node', 'bin/holdfast.ts', 'migrate'];
/** A little more than the longest migration may take. */
const deadlineSeconds = 900;
const keptSeconds = 86_400;

/**
 * With `kubectl` the order of the files is the order. Argo CD and Helm are told: after the foundation and before the
 * gateway. For Helm the foundation must be a release of its own, since its hooks run before anything else of a release.
 */
const hooks = {
  'argocd.argoproj.io/hook': 'Sync',
  'argocd.argoproj.io/hook-delete-policy': 'BeforeHookCreation',
  'argocd.argoproj.io/sync-wave': '-1',
  'helm.sh/hook': 'pre-install,pre-upgrade',
  'helm.sh/hook-weight': '-1',
  'helm.sh/hook-delete-policy': 'before-hook-creation',
} as const;

/**
 * Brings the schema up to date once per release, instead of in every pod. It stands in every region, because which one
 * writes changes in a failover and these files do not: in a region whose database is a replica it has nothing to do.
 * Gateways do not wait for it; they serve with the schema of the release before.
 */
export function migrationChart({ platform, region }: ChartInput): Chart {
  const own = labels(platform, 'migration');
  const manifest = k8s.KubeJob.manifest({
    metadata: {
      name: jobName(platform.imageDigest ?? platform.image),
      namespace: kubernetes.namespace,
      labels: own,
      annotations: hooks,
    },
    spec: {
      backoffLimit: 6,
      activeDeadlineSeconds: deadlineSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: {
        metadata: { labels: own },
        spec: {
          ...isolated,
          serviceAccountName: kubernetes.gatewayServiceAccount,
          restartPolicy: 'Never',
          securityContext: podSecurity(),
          ...(platform.cluster.kind === 'gke' ? { initContainers: [cloudSqlProxy(platform)] } : {}),
          containers: [
            holdfastContainer(platform, region, {
              name: 'migrate',
              command,
              resources: migrationResources(),
              env: [pastPooler],
            }),
          ],
          volumes: volumes(),
        },
      },
    },
  });
  return newChart('migration', [{ manifest }]);
}

/**
 * The lock that keeps two migrations apart belongs to a session, which a pooler of transactions does not give. Optional:
 * without it DATABASE_URL is the database itself.
 */
const pastPooler: k8s.EnvVar = {
  name: 'DATABASE_URL',
  valueFrom: { secretKeyRef: { name: kubernetes.secret, key: 'DIRECT_DATABASE_URL', optional: true } },
};

/** Named after the image: Kubernetes refuses to change a Job, so each release has its own, and the same one no second. */
const jobName = (image: string): string =>
  `${kubernetes.gateway}-migrate-${createHash('sha256').update(image).digest('hex').slice(0, 10)}`;
