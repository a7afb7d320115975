import { k8s } from 'cdk8s-plus-28';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { resources } from './container.ts';
import { imageOf } from './images.ts';
import { containerSecurity } from './security.ts';

/**
 * Google's proxy to Cloud SQL beside the gateway, which then finds PostgreSQL at 127.0.0.1. A sidecar of Kubernetes' own
 * kind (an init container that keeps running): it is up before the gateway starts and goes after the gateway has ended.
 */
export const cloudSqlProxy = (platform: Platform): k8s.Container => ({
  name: 'cloud-sql-proxy',
  image: imageOf(platform, 'cloudSqlProxy'),
  restartPolicy: 'Always',
  args: [
    '--private-ip',
    '--structured-logs',
    '--health-check',
    '--http-address=0.0.0.0',
    `--port=${ports.postgres}`,
    '$(CLOUD_SQL_INSTANCE)',
  ],
  // PROJECT:REGION:INSTANCE, beside the other settings that differ between installations.
  env: [
    { name: 'CLOUD_SQL_INSTANCE', valueFrom: { secretKeyRef: { name: kubernetes.cloudSqlSecret, key: 'instance' } } },
  ],
  startupProbe: {
    httpGet: { path: '/startup', port: k8s.IntOrString.fromNumber(9090) },
    periodSeconds: 1,
    timeoutSeconds: 5,
    failureThreshold: 20,
  },
  resources: resources({ cpu: '100m', memory: '128Mi', 'ephemeral-storage': '64Mi' }),
  securityContext: containerSecurity(),
});
