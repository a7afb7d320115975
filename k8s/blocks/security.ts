import type { k8s } from 'cdk8s-plus-28';

/** The user `node` of the official images. */
const user = 1000;

/** What a pod may not do. It satisfies Kubernetes' "restricted" standard, which the namespace enforces. */
export const podSecurity = (): k8s.PodSecurityContext => ({
  runAsNonRoot: true,
  runAsUser: user,
  runAsGroup: user,
  fsGroup: user,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
});

export const containerSecurity = (): k8s.SecurityContext => ({
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
});

/** Labels by which a namespace refuses pods below the restricted standard. */
export const restrictedNamespace = (): Record<string, string> => ({
  'pod-security.kubernetes.io/enforce': 'restricted',
  'pod-security.kubernetes.io/warn': 'restricted',
  'pod-security.kubernetes.io/audit': 'restricted',
});

/** Fields of a pod specification that keep Kubernetes itself out of the container. */
export const isolated = {
  // The gateway talks to the Kubernetes API only where its leader's lease lies there. EKS Pod Identity brings a token of its own.
  automountServiceAccountToken: false,
  // A Service named "redis" would otherwise set REDIS_PORT=tcp://..., which the gateway reads as its own setting.
  enableServiceLinks: false,
} as const;
