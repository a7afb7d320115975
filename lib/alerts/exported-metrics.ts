/** The gateways' own numbers that CloudWatch gets: those that an alarm needs which must not hang on a Prometheus. */
import { metricNames } from '../../gateway/contract.ts';
import type { Platform } from '../platform/platform.ts';

export const exportedMetrics: readonly string[] = [
  metricNames.outboxOldestSeconds,
  metricNames.outboxUnarchivedSeconds,
  metricNames.outboxPressure,
];

/** True where the cluster's collector sends them; nobody else does. */
export const exportsMetrics = ({ cluster }: Pick<Platform, 'cluster'>): boolean =>
  cluster.kind === 'eks' && cluster.addons.includes('telemetry');
