/** What must make each alert fire, and what must not: series in promtool's notation, one sample a minute. */
export interface AlertCase {
  readonly alert: string;
  readonly because: string;
  readonly series: Readonly<Record<string, string>>;
  readonly atMinutes: number;
  /** Labels and summary of what fires, without `severity`; empty when nothing may. */
  readonly fires: readonly { readonly labels: Readonly<Record<string, string>>; readonly summary: string }[];
}

/** Labels of every series that a gateway is scraped for. */
export const job = 'namespace="holdfast",job="gateway"';

/** A CronJob's metric of kube-state-metrics. */
export const cronJob = (metric: string, name: string): string =>
  `kube_cronjob_${metric}{namespace="holdfast",cronjob="${name}"}`;
