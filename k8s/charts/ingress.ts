/** How clients get in, by the kind of cluster. */
import type { ApiObjectProps, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayPort, healthPaths, longestStreamSeconds } from '../../gateway/contract.ts';
import { kubernetes, regionalDomain, targetGroupName } from '../../lib/platform/names.ts';
import { labels, selector } from '../blocks/labels.ts';
import { httpPort } from '../blocks/probes.ts';
import { lastStreamSeconds } from '../blocks/shutdown.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** Longer than the longest stream, so that the gateway ends it with an error event and not the load balancer in silence. */
const timeoutSeconds = longestStreamSeconds + 10;

export function ingressChart(input: ChartInput): Chart {
  const { kind, ingress } = input.platform.cluster;
  const manifests: Record<typeof kind, (input: ChartInput) => ApiObjectProps[]> = {
    eks: targetGroupBinding,
    gke: googleLoadBalancer,
    generic: ingress === 'gateway-api' ? gatewayApi : ingressNginx,
  };
  return newChart(
    'ingress',
    manifests[kind](input).map((manifest) => ({ manifest })),
  );
}

const metadataOf = ({ platform }: ChartInput) => ({
  name: kubernetes.gateway,
  namespace: kubernetes.namespace,
  labels: labels(platform, 'gateway'),
});

const hostnames = ({ platform, region }: ChartInput): string[] => [
  platform.domain,
  regionalDomain(platform, region.region),
];

/**
 * Puts the pods into the target group that the ingress stack made. The load balancer belongs to the stack, so that DNS and
 * its health checks do not depend on Kubernetes; the name is fixed, so that this file needs nothing that AWS invents.
 */
function targetGroupBinding(input: ChartInput): ApiObjectProps[] {
  const { platform, region } = input;
  const autoMode = platform.cluster.loadBalancerController === 'auto-mode';
  return [
    {
      apiVersion: autoMode ? 'eks.amazonaws.com/v1' : 'elbv2.k8s.aws/v1beta1',
      kind: 'TargetGroupBinding',
      metadata: metadataOf(input),
      spec: {
        serviceRef: { name: kubernetes.gateway, port: 80 },
        targetGroupName: targetGroupName(platform, region.region),
        targetType: 'ip',
      },
    },
  ];
}

/** The generic way. No listener on port 80: a redirect would come after the key was sent in the clear. */
function gatewayApi(input: ChartInput): ApiObjectProps[] {
  const metadata = metadataOf(input);
  const hosts = hostnames(input);
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata,
      spec: {
        gatewayClassName: input.platform.cluster.ingressClass,
        listeners: hosts.map((hostname, index) => ({
          name: index === 0 ? 'platform' : 'region',
          protocol: 'HTTPS',
          port: 443,
          hostname,
          tls: { mode: 'Terminate', certificateRefs: [{ name: kubernetes.tlsSecret }] },
          allowedRoutes: { namespaces: { from: 'Same' } },
        })),
      },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata,
      spec: {
        parentRefs: [{ name: kubernetes.gateway }],
        hostnames: hosts,
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            timeouts: { request: `${timeoutSeconds}s`, backendRequest: `${timeoutSeconds}s` },
            backendRefs: [{ name: kubernetes.gateway, port: 80 }],
          },
        ],
      },
    },
  ];
}

/** Kept for those who have it: the project has retired ingress-nginx, so choose the Gateway API for anything new. */
function ingressNginx(input: ChartInput): ApiObjectProps[] {
  const nginx = (name: string): string => `nginx.ingress.kubernetes.io/${name}`;
  return [
    k8s.KubeIngress.manifest({
      metadata: {
        ...metadataOf(input),
        annotations: {
          [nginx('ssl-redirect')]: 'true',
          // Where both are given nginx hashes and never weighs: the second is for whoever removes the first.
          [nginx('upstream-hash-by')]: '$binary_remote_addr',
          [nginx('load-balance')]: 'ewma',
          // nginx' defaults cut a stream after 60 seconds of silence, collect it before passing it on, and refuse images.
          [nginx('proxy-read-timeout')]: String(timeoutSeconds),
          [nginx('proxy-send-timeout')]: String(timeoutSeconds),
          [nginx('proxy-buffering')]: 'off',
          [nginx('proxy-request-buffering')]: 'off',
          [nginx('proxy-body-size')]: '0',
          // A gateway that dies before its first byte: without `non_idempotent` no POST would get another one.
          [nginx('proxy-next-upstream')]: 'error non_idempotent',
          [nginx('proxy-next-upstream-tries')]: '2',
        },
      },
      spec: { ingressClassName: input.platform.cluster.ingressClass, ...rules(input) },
    }),
  ];
}

const rules = (input: ChartInput): k8s.IngressSpec => ({
  tls: [{ hosts: hostnames(input), secretName: kubernetes.tlsSecret }],
  rules: hostnames(input).map((host) => ({
    host,
    http: {
      paths: [
        { path: '/', pathType: 'Prefix', backend: { service: { name: kubernetes.gateway, port: { number: 80 } } } },
      ],
    },
  })),
});

/** Google's global load balancer; with several regions one for all clusters (Multi Cluster Ingress, in the config cluster). */
function googleLoadBalancer(input: ChartInput): ApiObjectProps[] {
  const { platform } = input;
  const metadata = metadataOf(input);
  const entry = { ...metadata, annotations: googleAnnotations };
  const port = { name: httpPort, protocol: 'TCP', port: 80, targetPort: httpPort };
  return [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ManagedCertificate',
      metadata,
      spec: { domains: hostnames(input) },
    },
    {
      apiVersion: 'cloud.google.com/v1',
      kind: 'BackendConfig',
      metadata,
      spec: {
        timeoutSec: timeoutSeconds,
        connectionDraining: { drainingTimeoutSec: lastStreamSeconds },
        healthCheck: {
          type: 'HTTP',
          port: gatewayPort,
          // Readiness and not liveness: a draining gateway is alive and must get nothing new.
          requestPath: healthPaths.readiness,
          checkIntervalSec: platform.tier.loadBalancer.healthCheckIntervalSeconds,
          timeoutSec: platform.tier.loadBalancer.healthCheckTimeoutSeconds,
          healthyThreshold: platform.tier.loadBalancer.healthyThreshold,
          unhealthyThreshold: platform.tier.loadBalancer.unhealthyThreshold,
        },
      },
    },
    ...(platform.regions.length === 1
      ? [
          k8s.KubeIngress.manifest({
            metadata: entry,
            spec: { defaultBackend: { service: { name: kubernetes.gateway, port: { number: 80 } } } },
          }),
        ]
      : [
          {
            apiVersion: 'networking.gke.io/v1',
            kind: 'MultiClusterService',
            metadata: {
              ...metadata,
              annotations: { 'cloud.google.com/backend-config': `{"default": "${kubernetes.gateway}"}` },
            },
            spec: { template: { spec: { selector: selector(platform, 'gateway'), ports: [port] } } },
          },
          {
            apiVersion: 'networking.gke.io/v1',
            kind: 'MultiClusterIngress',
            metadata: entry,
            spec: { template: { spec: { backend: { serviceName: kubernetes.gateway, servicePort: 80 } } } },
          },
        ]),
  ];
}

const googleAnnotations = {
  'kubernetes.io/ingress.class': 'gce',
  'kubernetes.io/ingress.allow-http': 'false',
  'networking.gke.io/managed-certificates': kubernetes.gateway,
} as const;
