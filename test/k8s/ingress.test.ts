import { describe, expect, it } from 'vitest';
import { drain, gatewayPort, healthPaths, longestStreamSeconds } from '../../gateway/contract.ts';
import { targetGroupName } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { ClusterSpec } from '../../lib/platform/spec.ts';
import { at, find, listAt, numberAt, objectsOf } from './manifests.ts';
import { ofTier } from './platforms.ts';

const region = 'us-east-1';
const objectsWith = (cluster: ClusterSpec, tier: 'standard' | 'high' = 'standard') =>
  objectsOf(ofTier(tier, cluster), region);

describe('clients get in', () => {
  it('on EKS by the target group that AWS was told to make, under a name that needs no ARN', () => {
    const binding = find(objectsWith({}), 'TargetGroupBinding');
    expect(binding.apiVersion).toBe('eks.amazonaws.com/v1');
    expect(at(binding, 'spec.targetGroupName')).toBe(targetGroupName(ofTier('standard'), region));
    expect(at(binding, 'spec.serviceRef')).toEqual({ name: 'gateway', port: 80 });
    expect(find(objectsWith({ loadBalancerController: 'self-managed' }), 'TargetGroupBinding').apiVersion).toBe(
      'elbv2.k8s.aws/v1beta1',
    );
  });

  it('on any cluster by the Gateway API, with TLS and no plain port, and with time for the longest stream', () => {
    const objects = objectsWith({ kind: 'generic' });
    const gateway = find(objects, 'Gateway');
    expect(
      listAt(gateway, 'spec.listeners').map((listener) => [at(listener, 'port'), at(listener, 'protocol')]),
    ).toEqual([
      [443, 'HTTPS'],
      [443, 'HTTPS'],
    ]);
    const route = find(objects, 'HTTPRoute');
    expect(at(route, 'spec.hostnames')).toEqual(['gateway.example.com', 'us-east-1.gateway.example.com']);
    expect(Number.parseInt(String(at(route, 'spec.rules.0.timeouts.request')), 10)).toBeGreaterThan(
      longestStreamSeconds,
    );
    expect(objects.map(({ kind }) => kind)).not.toContain('Ingress');
  });

  it('by ingress-nginx with the annotations of the document, and without what would cut a stream', () => {
    const ingress = find(objectsWith({ kind: 'generic', ingress: 'ingress-nginx' }), 'Ingress');
    const annotations = Object(at(ingress, 'metadata.annotations'));
    expect(annotations).toMatchObject({
      'nginx.ingress.kubernetes.io/ssl-redirect': 'true',
      'nginx.ingress.kubernetes.io/upstream-hash-by': '$binary_remote_addr',
      'nginx.ingress.kubernetes.io/load-balance': 'ewma',
      'nginx.ingress.kubernetes.io/proxy-buffering': 'off',
    });
    expect(Number(annotations['nginx.ingress.kubernetes.io/proxy-read-timeout'])).toBeGreaterThan(longestStreamSeconds);
    expect(at(ingress, 'spec.ingressClassName')).toBe('nginx');
  });

  it('on GKE by one load balancer for all regions, over HTTPS only, which asks readiness', () => {
    const several = objectsWith({ kind: 'gke' }, 'high');
    expect(find(several, 'MultiClusterIngress')).toBeDefined();
    expect(several.map(({ kind }) => kind)).not.toContain('Ingress');
    const objects = objectsWith({ kind: 'gke' });
    const health = at(find(objects, 'BackendConfig'), 'spec.healthCheck');
    expect(health).toMatchObject({ requestPath: healthPaths.readiness, port: gatewayPort });
    expect(numberAt(find(objects, 'BackendConfig'), 'spec.timeoutSec')).toBeGreaterThan(longestStreamSeconds);
    // From the decision to end a pod: the pause, the notice, the drain. Sooner, and it would cut streams that are served.
    expect(
      numberAt(find(objects, 'BackendConfig'), 'spec.connectionDraining.drainingTimeoutSec'),
    ).toBeGreaterThanOrEqual(
      numberAt(find(objects, 'Deployment'), 'spec.template.spec.containers.0.lifecycle.preStop.sleep.seconds') +
        drain.noticeSeconds +
        drain.deadlineSeconds,
    );
    const ingress = find(objects, 'Ingress');
    expect(Object(at(ingress, 'metadata.annotations'))).toMatchObject({
      'kubernetes.io/ingress.allow-http': 'false',
      'networking.gke.io/managed-certificates': at(find(objects, 'ManagedCertificate'), 'metadata.name'),
    });
    expect(Object(at(find(objects, 'Service'), 'metadata.annotations'))['cloud.google.com/backend-config']).toContain(
      'gateway',
    );
  });

  it('on GKE finds Cloud SQL through a proxy that starts before the gateway and ends after it', () => {
    const pod = at(find(objectsWith({ kind: 'gke' }), 'Deployment'), 'spec.template.spec');
    expect(at(pod, 'initContainers.0')).toMatchObject({ name: 'cloud-sql-proxy', restartPolicy: 'Always' });
  });

  it('only by a way that the kind of cluster has', () => {
    const spec = {
      name: 'holdfast',
      environment: 'production' as const,
      account: '111111111111',
      domain: 'gateway.example.com',
      hostedZone: { name: 'example.com' },
      tier: 'standard' as const,
      topology: 'single-region' as const,
      regions: [{ region, role: 'primary' as const, zones: ['a', 'b'], cidr: '10.0.0.0/16' }],
      image: 'gateway:1',
    };
    expect(() => definePlatform({ ...spec, cluster: { kind: 'gke', ingress: 'ingress-nginx' } })).toThrow(
      'cluster.ingress: "ingress-nginx" has no effect on "gke"',
    );
  });
});

describe('the autoscaler by KEDA', () => {
  it('asks for rate, running requests and CPU within the same bounds, and stands alone', () => {
    const objects = objectsWith({ autoscaler: 'keda' });
    const scaler = find(objects, 'ScaledObject');
    expect(listAt(scaler, 'spec.triggers').map((trigger) => at(trigger, 'type'))).toEqual([
      'prometheus',
      'prometheus',
      'cpu',
    ]);
    expect(at(scaler, 'spec')).toMatchObject({
      minReplicaCount: 3,
      maxReplicaCount: 10,
      pollingInterval: 15,
      cooldownPeriod: 300,
    });
    expect(objects.map(({ kind }) => kind)).not.toContain('HorizontalPodAutoscaler');
  });
});
