import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { canRun } from '../../runbooks/lab/run-command.ts';
import { distinctObjects } from './platforms.ts';

/** A virtual environment that `.ci/run` makes; elsewhere: `python3 -m venv .cache/python && .cache/python/bin/pip install -r test/fixtures/python/requirements.txt` */
const python = fileURLToPath(new URL('../../.cache/python/bin/python', import.meta.url));
const script = fileURLToPath(new URL('../fixtures/python/validate_manifests.py', import.meta.url));
const installed = await canRun({ command: python, args: ['-c', 'import kubernetes_validate'] });
const versions = ['1.33', '1.34', '1.35', '1.36'];

/** Kinds that Kubernetes itself does not know; `extensions.test.ts` checks those that somebody publishes schemas of. */
const ofExtensions = [
  'barmancloud.cnpg.io/v1 ObjectStore',
  'chaos-mesh.org/v1alpha1 NetworkChaos',
  'chaos-mesh.org/v1alpha1 PodChaos',
  'cloud.google.com/v1 BackendConfig',
  'compute.cnrm.cloud.google.com/v1alpha1 ComputeManagedSSLCertificate',
  'compute.cnrm.cloud.google.com/v1beta1 ComputeAddress',
  'compute.cnrm.cloud.google.com/v1beta1 ComputeBackendService',
  'compute.cnrm.cloud.google.com/v1beta1 ComputeForwardingRule',
  'compute.cnrm.cloud.google.com/v1beta1 ComputeHealthCheck',
  'compute.cnrm.cloud.google.com/v1beta1 ComputeTargetHTTPSProxy',
  'compute.cnrm.cloud.google.com/v1beta1 ComputeURLMap',
  'eks.amazonaws.com/v1 TargetGroupBinding',
  'elbv2.k8s.aws/v1beta1 TargetGroupBinding',
  'external-secrets.io/v1 ExternalSecret',
  'gateway.networking.k8s.io/v1 Gateway',
  'gateway.networking.k8s.io/v1 HTTPRoute',
  'karpenter.sh/v1 NodePool',
  'keda.sh/v1alpha1 ScaledObject',
  'monitoring.coreos.com/v1 PrometheusRule',
  'monitoring.coreos.com/v1 ServiceMonitor',
  'networking.gke.io/v1 ManagedCertificate',
  'networking.gke.io/v1 MultiClusterIngress',
  'networking.gke.io/v1 MultiClusterService',
  'postgresql.cnpg.io/v1 Cluster',
  'postgresql.cnpg.io/v1 ScheduledBackup',
  'sql.cnrm.cloud.google.com/v1beta1 SQLDatabase',
  'sql.cnrm.cloud.google.com/v1beta1 SQLInstance',
];

const verdictSchema = z.object({
  checked: z.number(),
  faults: z.array(z.string()),
  unknown: z.array(z.string()),
});

function validate(objects: readonly unknown[]): Promise<z.output<typeof verdictSchema>> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: 150_000, maxBuffer: 16 * 1024 * 1024 };
    const child = execFile(python, [script], limits, (error, stdout, stderr) => {
      if (error === null) resolve(verdictSchema.parse(JSON.parse(stdout)));
      else reject(new Error(stderr, { cause: error }));
    });
    // A program that ended before it had read everything says why on its error output.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(JSON.stringify({ versions, objects }));
  });
}

it.skipIf(process.env['CI'] === undefined && !installed)(
  'Kubernetes 1.33 to 1.36 know every field of every manifest (skipped where .cache/python does not have the validator, never in CI)',
  async () => {
    const [deployment] = distinctObjects().filter(({ kind }) => kind === 'Deployment');
    const misspelt = { ...deployment, spec: { ...Object(deployment?.spec), replica: 3 } };
    const [verdict, refused] = await Promise.all([validate(distinctObjects()), validate([misspelt])]);
    expect(verdict.faults).toEqual([]);
    expect(verdict.unknown).toEqual(ofExtensions);
    expect(verdict.checked).toBeGreaterThan(200);
    // Guards the check itself.
    expect(refused.faults).toHaveLength(versions.length);
  },
  180_000,
);
