import type { Alert } from './alert.ts';
import { alertGroups } from './alerts.ts';

/** A Prometheus rule file's part for one group; the same shape stands in a PrometheusRule object. */
export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly AlertingRule[];
}

export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** All alerts as Prometheus reads them. */
export const ruleGroups = (): RuleGroup[] =>
  Object.entries(alertGroups).map(([name, alerts]) => ({ name: `holdfast-${name}`, rules: alerts.map(rule) }));

const rule = (alert: Alert): AlertingRule => ({
  alert: alert.name,
  expr: alert.expression,
  for: `${alert.forSeconds}s`,
  labels: { severity: alert.severity },
  annotations: {
    summary: alert.summary,
    description: alert.firstResponse,
    ...(alert.runbook === undefined ? {} : { runbook: alert.runbook }),
  },
});
