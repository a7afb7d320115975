import type { ApiObjectProps, Chart } from 'cdk8s';
import { gatewayPort, healthPaths, longestStreamSeconds } from '../../gateway/contract.ts';
import { database, kubernetes } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { labels } from '../blocks/labels.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/**
 * Google's database and load balancer as Config Connector objects, with the values of LiteLLM's guide. Reviewed, NOT RUN:
 * nothing here was ever applied to a project. In a folder of its own, to be read before it is used. The load balancer is
 * the way for instance groups; in GKE the ingress file does the same.
 */
export function configConnectorChart(input: ChartInput): Chart {
  return newChart(
    'config-connector',
    [...cloudSql(input), ...loadBalancer(input)].map((manifest) => ({ manifest })),
  );
}

/** The platform knows no Google project; whoever applies these puts in theirs. */
const projectPlaceholder = 'PROJECT_ID';

const metadataOf = (platform: Platform, name: string) => ({
  name: `${kubernetes.namespace}-${name}`,
  namespace: kubernetes.namespace,
  labels: labels(platform, 'gateway'),
  annotations: { 'holdfast/reviewed': 'not run' },
});

/** @param group for example `compute` */
const resource = (
  group: string,
  kind: string,
  metadata: ReturnType<typeof metadataOf>,
  spec: Readonly<Record<string, unknown>>,
  version: 'v1alpha1' | 'v1beta1' = 'v1beta1',
): ApiObjectProps => ({ apiVersion: `${group}.cnrm.cloud.google.com/${version}`, kind, metadata, spec });

function cloudSql({ platform, region }: ChartInput): ApiObjectProps[] {
  const instance = metadataOf(platform, 'db');
  const zones = region.availabilityZones;
  return [
    resource('sql', 'SQLInstance', instance, {
      databaseVersion: 'POSTGRES_18',
      region: region.region,
      settings: {
        tier: 'db-custom-4-16384',
        availabilityType: 'REGIONAL',
        deletionProtectionEnabled: true,
        backupConfiguration: { enabled: true, startTime: '03:00', pointInTimeRecoveryEnabled: true },
        ipConfiguration: { ipv4Enabled: false, requireSsl: true },
      },
    }),
    resource('sql', 'SQLInstance', metadataOf(platform, 'db-read-1'), {
      databaseVersion: 'POSTGRES_18',
      region: region.region,
      masterInstanceRef: { name: instance.name },
      settings: {
        tier: 'db-custom-2-8192',
        ...(zones[1] === undefined ? {} : { locationPreference: { zone: zones[1] } }),
      },
    }),
    resource('sql', 'SQLDatabase', metadataOf(platform, database.name), { instanceRef: { name: instance.name } }),
  ];
}

function loadBalancer({ platform }: ChartInput): ApiObjectProps[] {
  const named = (name: string) => metadataOf(platform, name);
  const { tier } = platform;
  return [
    resource('compute', 'ComputeHealthCheck', named('health'), {
      location: 'global',
      checkIntervalSec: tier.loadBalancer.healthCheckIntervalSeconds,
      timeoutSec: tier.loadBalancer.healthCheckTimeoutSeconds,
      healthyThreshold: tier.loadBalancer.healthyThreshold,
      unhealthyThreshold: tier.loadBalancer.unhealthyThreshold,
      httpHealthCheck: { port: gatewayPort, requestPath: healthPaths.readiness },
    }),
    resource('compute', 'ComputeBackendService', named('backend'), {
      location: 'global',
      protocol: 'HTTP',
      portName: 'http',
      timeoutSec: longestStreamSeconds + 10,
      healthChecks: [{ healthCheckRef: { name: named('health').name } }],
    }),
    resource('compute', 'ComputeURLMap', named('lb'), {
      location: 'global',
      defaultService: { backendServiceRef: { name: named('backend').name } },
    }),
    resource(
      'compute',
      'ComputeManagedSSLCertificate',
      named('certificate'),
      { projectRef: { external: projectPlaceholder }, managed: { domains: [platform.domain] } },
      'v1alpha1',
    ),
    resource('compute', 'ComputeTargetHTTPSProxy', named('https-proxy'), {
      location: 'global',
      urlMapRef: { name: named('lb').name },
      sslCertificates: [
        { external: `projects/${projectPlaceholder}/global/sslCertificates/${named('certificate').name}` },
      ],
    }),
    resource('compute', 'ComputeAddress', named('ip'), { location: 'global', addressType: 'EXTERNAL' }),
    resource('compute', 'ComputeForwardingRule', named('https'), {
      location: 'global',
      portRange: '443',
      loadBalancingScheme: 'EXTERNAL',
      ipAddress: { addressRef: { name: named('ip').name } },
      target: { targetHTTPSProxyRef: { name: named('https-proxy').name } },
    }),
  ];
}
