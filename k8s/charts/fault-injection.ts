import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { kubernetes } from '../../lib/platform/names.ts';
import { labels } from '../blocks/labels.ts';
import type { ChartObject } from '../blocks/object.ts';
import { reachKubernetes, resolveNames } from '../blocks/traffic.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/**
 * What AWS FIS needs in the cluster to delete pods in a drill: it starts a pod of its own in the namespace, which deletes
 * the others. Nothing happens before somebody starts the experiment. Rights end at the namespace.
 */
export function faultInjectionChart({ platform }: ChartInput): Chart {
  const { namespace, faultInjection: name } = kubernetes;
  const metadata = { name, namespace, labels: labels(platform, 'gateway') };
  const allow = (apiGroup: string, resource: string, ...verbs: string[]): k8s.PolicyRule => ({
    apiGroups: [apiGroup],
    resources: [resource],
    verbs,
  });
  const rbac = 'rbac.authorization.k8s.io';
  const objects: ChartObject[] = [
    { manifest: k8s.KubeServiceAccount.manifest({ metadata }) },
    {
      // AWS documents these for all its faults of pods. Ephemeral containers and `exec` are left out: deleting needs neither.
      manifest: k8s.KubeRole.manifest({
        metadata,
        rules: [
          allow('', 'configmaps', 'get', 'create', 'patch', 'delete'),
          allow('', 'pods', 'create', 'list', 'get', 'delete', 'deletecollection'),
          allow('apps', 'deployments', 'get'),
        ],
      }),
    },
    {
      manifest: k8s.KubeRoleBinding.manifest({
        metadata,
        roleRef: { apiGroup: rbac, kind: 'Role', name },
        subjects: [
          { kind: 'ServiceAccount', name, namespace },
          // Whom the cluster takes the role of FIS for: the resilience stack's access entry says so.
          { apiGroup: rbac, kind: 'User', name: kubernetes.faultInjectionUser },
        ],
      }),
    },
    {
      manifest: k8s.KubeNetworkPolicy.manifest({
        metadata,
        spec: {
          // AWS names and labels its pod: it is one that none of our charts made.
          podSelector: { matchExpressions: [{ key: 'app.kubernetes.io/name', operator: 'DoesNotExist' }] },
          policyTypes: ['Egress'],
          egress: [...resolveNames(), reachKubernetes()],
        },
      }),
    },
  ];
  return newChart('fault-injection', objects);
}
