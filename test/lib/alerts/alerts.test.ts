import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../gateway/telemetry/metrics.ts';
import { alerts } from '../../../lib/alerts/alerts.ts';
import { exporterMetrics } from '../../../lib/alerts/exporter-metrics.ts';
import { runbookTitles } from '../../../runbooks/catalog.ts';
import { metricsIn } from './metrics-in.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What a gateway shows at /metrics, whatever has happened in it: Prometheus' text names every metric it knows. */
async function gatewayMetrics(): Promise<string[]> {
  const metrics = new Metrics({
    inFlight: () => 0,
    outbox: () => ({ queued: 0, bytes: 0, oldestUnshippedSeconds: 0, pressure: 'none' }),
    databaseUp: () => true,
    redisUp: () => true,
    deploymentStates: () => [],
    unpricedDeployments: () => 0,
  });
  const text = await metrics.registry.metrics();
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name);
}

describe('the alerts', () => {
  it('name no metric that neither the gateway nor a listed exporter has', async () => {
    const known = new Set([...(await gatewayMetrics()), ...Object.keys(exporterMetrics)]);
    const unknown = alerts.flatMap(({ name, expression }) =>
      metricsIn(expression)
        .filter((metric) => !known.has(metric))
        .map((metric) => `${name}: ${metric}`),
    );
    expect(unknown).toEqual([]);
    // Guards the reader of expressions: one that finds nothing would find nothing wrong.
    for (const { name, expression } of alerts) expect(metricsIn(expression), name).not.toEqual([]);
  });

  it('have the eight of the two documents, with their names, waits and severities', () => {
    const held = new Map(alerts.map((alert) => [alert.name, [alert.forSeconds, alert.severity, alert.origin]]));
    const litellm = 'LiteLLM: High availability';
    const patterns = 'High availability patterns';
    expect(Object.fromEntries([...held].filter(([, [, , origin]]) => origin !== 'Holdfast'))).toEqual({
      InstanceDown: [120, 'critical', litellm],
      HighErrorRate: [300, 'critical', litellm],
      DatabaseConnectionFailed: [60, 'critical', litellm],
      AllProvidersDown: [120, 'critical', litellm],
      InsufficientReplicas: [300, 'critical', patterns],
      SingleAZDeployment: [600, 'warning', patterns],
      DatabaseReplicationLag: [300, 'warning', patterns],
      RegionHealthDegraded: [300, 'critical', patterns],
    });
  });

  it('have each a name of its own and say what to do first', () => {
    expect(new Set(alerts.map(({ name }) => name)).size).toBe(alerts.length);
    for (const { name, firstResponse } of alerts) expect(firstResponse.length, name).toBeGreaterThan(100);
  });
});

it('runbooks that exist are in the catalog', () => {
  const books = globSync('runbooks/books/*.ts', { cwd: root }).flatMap((path) => {
    const text = readFileSync(`${root}/${path}`, 'utf8');
    return [...text.matchAll(/useWhen:/g)].length === 0 ? [] : [/\bid: '([\w-]+)'/.exec(text)?.[1] ?? path];
  });
  for (const id of books) expect(Object.keys(runbookTitles)).toContain(id);
});

describe('the reader of expressions', () => {
  it.each([
    ['up{job="a"} == 0', ['up']],
    ['sum by (region) (rate(a_total{x="b_c"}[5m])) / sum(b) > 0.01', ['a_total', 'b']],
    ['label_replace(x{y="z"}, "to", "$1", "from", "(.+)") * on (node) group_left (zone) k', ['x', 'k']],
    ['time() - (a or b) > 7200', ['a', 'b']],
    ['vllm:waiting > 1 unless absent(c)', ['vllm:waiting', 'c']],
  ])('finds in %s the metrics %j', (expression, metrics) => {
    expect(metricsIn(expression)).toEqual(metrics);
  });
});
