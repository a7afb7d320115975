import type { ApiObjectProps } from 'cdk8s';

export interface ServiceMonitorOptions {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Record<string, string> };
  /** Labels of the Service. */
  readonly selector: Record<string, string>;
  /** Name of the Service's port. */
  readonly port: string;
  readonly path: string;
  readonly region: string;
  /** Keeps `namespace` and `pod` of the series as they are: for an exporter that speaks of other things than itself. */
  readonly honorLabels?: boolean;
}

/**
 * Tells Prometheus to read a Service's pods. Each series gets the label `region`: an external label would only be added
 * when data leaves Prometheus, and the alerts, which sum by region, would never see it.
 */
export const serviceMonitor = (options: ServiceMonitorOptions): ApiObjectProps => ({
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'ServiceMonitor',
  metadata: options.metadata,
  spec: {
    selector: { matchLabels: options.selector },
    endpoints: [
      {
        port: options.port,
        path: options.path,
        interval: '15s',
        scrapeTimeout: '10s',
        ...(options.honorLabels === true ? { honorLabels: true } : {}),
        relabelings: [{ action: 'replace', targetLabel: 'region', replacement: options.region }],
      },
    ],
  },
});
