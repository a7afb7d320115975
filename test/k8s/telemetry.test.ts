import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { gatewayPort, healthPaths, metricNames } from '../../gateway/contract.ts';
import { awsAlarms } from '../../lib/alerts/aws-alarms.ts';
import { exportedMetrics } from '../../lib/alerts/exported-metrics.ts';
import { kubernetes, metricLogGroup } from '../../lib/platform/names.ts';
import { at, find, listAt, type Manifest, objectsOf } from './manifests.ts';
import { mayLeave } from './network.ts';
import { ofTier } from './platforms.ts';

const region = 'us-east-1';
const platform = ofTier('high', { addons: ['telemetry'] });
const onEks = objectsOf(platform, region);
const elsewhere = objectsOf(ofTier('high', { kind: 'generic', addons: ['telemetry'] }), region);

const configOf = (objects: readonly Manifest[]): unknown =>
  parse(String(Object(at(find(objects, 'ConfigMap', kubernetes.otelCollector), 'data'))['config.yaml']));

describe('the collector on EKS', () => {
  const config = configOf(onEks);
  const emf = at(config, 'exporters.awsemf');
  const scrape = at(config, 'receivers.prometheus.config.scrape_configs.0');

  it('sends what alarms of CloudWatch read, under the name and dimension that they ask for', () => {
    const deployed = { loadBalancer: 'app/x/1', targetGroup: 'targetgroup/x/1', certificateArn: undefined };
    const asked = awsAlarms(platform, platform.primary, deployed)
      .flatMap(({ metrics }) => metrics)
      .filter(({ namespace }) => !/^AWS\/|^CloudWatchSynthetics$|^Holdfast\/Regions$/.test(namespace));
    expect(asked).toHaveLength(exportedMetrics.length);
    for (const metric of asked) {
      expect(at(emf, 'namespace')).toBe(metric.namespace);
      expect(listAt(emf, 'metric_declarations.0.metric_name_selectors')).toContain(metric.name);
      expect(listAt(emf, 'metric_declarations.0.dimensions')).toEqual([Object.keys(metric.dimensions)]);
      const label = listAt(scrape, 'relabel_configs').find((rule) => at(rule, 'target_label') === 'region');
      expect(at(label, 'replacement')).toBe(metric.dimensions['region']);
    }
    expect(at(emf, 'log_group_name')).toBe(metricLogGroup(platform, region));
  });

  it('sends nothing else there', () => {
    expect(at(config, 'service.pipelines.metrics/exported.processors.1')).toBe('filter/exported');
    expect(listAt(Object(at(config, 'processors'))['filter/exported'], 'metrics.metric')).toEqual([
      `name != "${metricNames.outboxOldestSeconds}" and name != "${metricNames.outboxUnarchivedSeconds}" and name != "${metricNames.outboxPressure}"`,
    ]);
  });

  it('reads every gateway, also one that is not ready, and tells two of them apart', () => {
    const service = find(onEks, 'Service', kubernetes.gatewayMetrics);
    expect(at(service, 'spec')).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
    expect(at(scrape, 'dns_sd_configs.0')).toMatchObject({
      names: [`${kubernetes.gatewayMetrics}.${kubernetes.namespace}.svc.cluster.local`],
      port: gatewayPort,
    });
    expect(at(scrape, 'metrics_path')).toBe(healthPaths.metrics);
    expect(listAt(scrape, 'relabel_configs').map((rule) => at(rule, 'target_label'))).toContain('gateway');
  });

  it('gets its rights by its service account, and reaches who hands them out', () => {
    const pod = at(find(onEks, 'Deployment', kubernetes.otelCollector), 'spec.template');
    expect(at(pod, 'spec.serviceAccountName')).toBe(kubernetes.otelCollector);
    expect(find(onEks, 'ServiceAccount', kubernetes.otelCollector)).toBeDefined();
    const labels = at(pod, 'metadata.labels');
    expect(mayLeave(onEks, { labels, peer: { address: '169.254.170.23' }, port: 80 })).toBe(true);
    const gateway = at(find(onEks, 'Deployment', kubernetes.gateway), 'spec.template.metadata.labels');
    const peer = { namespace: kubernetes.namespace, labels: gateway };
    expect(mayLeave(onEks, { labels, peer, port: gatewayPort })).toBe(true);
  });
});

it('elsewhere the collector knows nothing of AWS', () => {
  expect(JSON.stringify(configOf(elsewhere))).not.toContain('aws');
  expect(() => find(elsewhere, 'Service', kubernetes.gatewayMetrics)).toThrow('0 objects');
});
