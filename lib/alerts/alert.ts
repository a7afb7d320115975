import type { RunbookId } from '../../runbooks/catalog.ts';

/** `critical` wakes somebody up, `warning` waits for the morning. */
export type Severity = 'critical' | 'warning';

/** Where an alert comes from: one of the two public documents that this platform is held against, or ourselves. */
export type AlertOrigin = 'LiteLLM: High availability' | 'High availability patterns' | 'Holdfast';

/** One alert, defined once: Prometheus rules, the checklist and people read the same. */
export interface Alert {
  readonly name: string;
  /** PromQL. Every metric in it is one of the gateway's or stands in `exporter-metrics.ts` (tested). */
  readonly expression: string;
  /** How long the expression must hold before anybody is told. */
  readonly forSeconds: number;
  readonly severity: Severity;
  /** One line for the pager; Prometheus fills in the labels. */
  readonly summary: string;
  /** What it means and what to do first, in words that suffice at three in the morning. */
  readonly firstResponse: string;
  /** The runbook to run if the first response does not help; absent where there is nothing to run. */
  readonly runbook?: RunbookId;
  readonly origin: AlertOrigin;
}
