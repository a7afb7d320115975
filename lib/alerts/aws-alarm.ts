import type { RunbookId } from '../../runbooks/catalog.ts';
import type { Severity } from './alert.ts';

/** One metric of CloudWatch. */
export interface AwsMetric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly statistic: 'Average' | 'Maximum' | 'Minimum' | 'Sum' | 'p99';
}

/**
 * An alarm on what AWS itself sees: it works while the cluster and its Prometheus do not. Where it watches the same thing
 * as an alert of `alerts.ts` it has the same name, so that both lead to the same place.
 */
export interface AwsAlarm {
  /** Stable; with the platform's prefix and the region it is the alarm's name in AWS. */
  readonly name: string;
  readonly severity: Severity;
  readonly summary: string;
  /** What it means and what to do first, in words that suffice at three in the morning. */
  readonly firstResponse: string;
  /** The runbook to run if the first response does not help; absent where the first response is all there is to do. */
  readonly runbook?: RunbookId;
  /** Alone it is the value; several need an expression in which they are m1, m2, ... */
  readonly metrics: readonly AwsMetric[];
  readonly expression?: string;
  readonly periodSeconds: number;
  /** Periods in a row that must be beyond the threshold. */
  readonly periods: number;
  readonly above?: number;
  readonly below?: number;
  /** What silence means. `unknown` shows it without waking anybody. */
  readonly silence: 'bad' | 'good' | 'unknown';
}
