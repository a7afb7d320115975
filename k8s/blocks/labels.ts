import { kubernetes, prefix } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';

export type Component =
  | 'gateway'
  | 'gateway-pods'
  | 'migration'
  | 'pgbouncer'
  | 'vllm'
  | 'agentgateway'
  | 'vault'
  | 'vault-snapshot'
  | 'kube-state-metrics'
  | 'postgres-exporter'
  | 'redis-exporter'
  | 'otel-collector'
  | 'region-watch'
  | 'postgres'
  | 'redis'
  | 'redis-sentinel'
  | 'database-backup'
  | 'configuration-backup'
  | 'redis-backup'
  | 'load-test';

/** Kubernetes' recommended labels of everything that belongs to one component. */
export function labels(
  platform: Platform,
  component: Component,
  image: string = platform.image,
): Record<string, string> {
  return {
    ...selector(platform, component),
    'app.kubernetes.io/part-of': platform.name,
    'app.kubernetes.io/version': imageVersion(image),
    'app.kubernetes.io/managed-by': 'cdk8s',
  };
}

/**
 * The labels that select a component's pods. Never the version: Kubernetes refuses to change a selector, and one with a
 * version would lose the pods of the release before.
 */
export function selector(platform: Platform, component: Component): Record<string, string> {
  return {
    'app.kubernetes.io/name': `${kubernetes.namespace}-${component}`,
    'app.kubernetes.io/instance': prefix(platform),
    'app.kubernetes.io/component': component,
  };
}

/** The image's tag, or the beginning of its digest; a label value holds 63 characters of a few kinds. */
export function imageVersion(image: string): string {
  const [name = '', digest] = image.split('@');
  const tag = /:([\w][\w.-]*)$/.exec(name)?.[1];
  const version = tag ?? digest?.replace(/^sha256:/, '').slice(0, 12) ?? 'latest';
  return version.slice(0, 63).replace(/[^A-Za-z0-9]+$/, '');
}
