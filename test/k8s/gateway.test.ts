import { describe, expect, it } from 'vitest';
import { drain, gatewayPort, healthPaths } from '../../gateway/contract.ts';
import { readSettings } from '../../gateway/settings.ts';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import { at, find, listAt, migrationOf, numberAt, objectsOf } from './manifests.ts';
import { everyRegion, ofTier } from './platforms.ts';

describe.each(everyRegion)('the gateway of $name', ({ platform, region }) => {
  const objects = objectsOf(platform, region.region);
  const persistent = platform.tier.gateway.persistentOutbox;
  const deployment = find(objects, persistent ? 'StatefulSet' : 'Deployment', kubernetes.gateway);
  const pod = at(deployment, 'spec.template.spec');
  const container = at(pod, 'containers.0');
  const podLabels = at(deployment, 'spec.template.metadata.labels');
  const selector = at(deployment, 'spec.selector.matchLabels');

  it('is probed at the paths of the contract, on the port that it listens on', () => {
    const probe = (name: string): unknown[] => [
      at(container, `${name}.httpGet.path`),
      at(container, `${name}.httpGet.port`),
    ];
    expect(probe('startupProbe')).toEqual([healthPaths.health, 'http']);
    expect(probe('livenessProbe')).toEqual([healthPaths.liveliness, 'http']);
    expect(probe('readinessProbe')).toEqual([healthPaths.readiness, 'http']);
    expect(at(container, 'ports')).toEqual([{ name: 'http', containerPort: gatewayPort, protocol: 'TCP' }]);
  });

  it('is killed only after the pause, the notice, the drain and the flush are over', () => {
    const pause = numberAt(container, 'lifecycle.preStop.sleep.seconds');
    expect(pause).toBeGreaterThan(0);
    expect(numberAt(pod, 'terminationGracePeriodSeconds')).toBeGreaterThan(
      pause + drain.noticeSeconds + drain.deadlineSeconds + drain.flushSeconds,
    );
  });

  it('leaves the number of pods to one autoscaler, between the region’s replicas and the tier’s most', () => {
    expect(at(deployment, 'spec')).not.toHaveProperty('replicas');
    const autoscaler = find(objects, 'HorizontalPodAutoscaler');
    expect(at(autoscaler, 'spec.scaleTargetRef')).toMatchObject({
      kind: deployment.kind,
      name: at(deployment, 'metadata.name'),
    });
    // A StatefulSet ends a pod before it starts the next; the one more is what an update may cost.
    expect(at(autoscaler, 'spec.minReplicas')).toBe(region.gatewayReplicas + (persistent ? 1 : 0));
    expect(at(autoscaler, 'spec.maxReplicas')).toBe(platform.tier.gateway.maxReplicas);
  });

  it('may have more pods than zones and hosts: nothing required forbids a second pod', () => {
    expect(at(pod, 'affinity.podAntiAffinity')).not.toHaveProperty('requiredDuringSchedulingIgnoredDuringExecution');
    expect(at(pod, 'topologySpreadConstraints')).toEqual([
      expect.objectContaining({
        maxSkew: 1,
        topologyKey: 'topology.kubernetes.io/zone',
        whenUnsatisfiable: 'DoNotSchedule',
      }),
    ]);
    expect(at(pod, 'topologySpreadConstraints.0.labelSelector.matchLabels')).toEqual(selector);
  });

  it('may gather in the zones that are left when one is lost', () => {
    expect(at(pod, 'topologySpreadConstraints.0.nodeTaintsPolicy')).toBe('Honor');
    expect(at(pod, 'topologySpreadConstraints.0')).not.toHaveProperty('minDomains');
  });

  it('lets a drain move at least one pod, and keeps at least one', () => {
    const budget = find(objects, 'PodDisruptionBudget', kubernetes.gateway);
    const minAvailable = numberAt(budget, 'spec.minAvailable');
    expect(minAvailable).toBeLessThan(region.gatewayReplicas);
    expect(minAvailable).toBeGreaterThanOrEqual(1);
    expect(minAvailable).toBeLessThanOrEqual(platform.tier.gateway.minAvailable);
    expect(at(budget, 'spec.unhealthyPodEvictionPolicy')).toBe('AlwaysAllow');
  });

  if (persistent) {
    it('keeps the outbox on a volume that outlives pod, node and scaling', () => {
      expect(at(deployment, 'spec.volumeClaimTemplates.0.metadata.name')).toBe('data');
      expect(at(deployment, 'spec.persistentVolumeClaimRetentionPolicy')).toEqual({
        whenDeleted: 'Retain',
        whenScaled: 'Retain',
      });
      const storage = find(objects, 'StorageClass');
      expect(at(deployment, 'spec.volumeClaimTemplates.0.spec.storageClassName')).toBe(at(storage, 'metadata.name'));
      expect(at(storage, 'volumeBindingMode')).toBe('WaitForFirstConsumer');
      expect(at(pod, 'volumes.2')).toBeUndefined();
      // The new release, counted alone, could be refused the zone of its volume.
      expect(at(pod, 'topologySpreadConstraints.0')).not.toHaveProperty('matchLabelKeys');
    });
  } else {
    it('loses no capacity in an update', () => {
      expect(at(deployment, 'spec.strategy.rollingUpdate')).toEqual({ maxSurge: 1, maxUnavailable: 0 });
    });
  }

  it('keeps clients of the cluster in their zone, in a word that Kubernetes 1.33 knows, too', () => {
    expect(at(find(objects, 'Service', kubernetes.gateway), 'spec.trafficDistribution')).toBe('PreferClose');
  });

  it('is found by every selector that means it, and by no version', () => {
    expect(podLabels).toMatchObject(Object(selector));
    expect(selector).not.toHaveProperty(['app.kubernetes.io/version']);
    expect(at(find(objects, 'Service', kubernetes.gateway), 'spec.selector')).toEqual(selector);
    expect(at(find(objects, 'PodDisruptionBudget', kubernetes.gateway), 'spec.selector.matchLabels')).toEqual(selector);
    expect(at(find(objects, 'NetworkPolicy', 'gateway'), 'spec.podSelector.matchLabels')).toEqual(selector);
    expect(at(migrationOf(objects), 'spec.template.metadata.labels')).not.toMatchObject(Object(selector));
  });

  it('runs with no rights, on a file system that it cannot write to', () => {
    for (const spec of [pod, at(migrationOf(objects), 'spec.template.spec')]) {
      expect(at(spec, 'securityContext')).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(at(spec, 'containers.0.securityContext')).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(at(spec, 'automountServiceAccountToken')).toBe(false);
      expect(at(spec, 'enableServiceLinks')).toBe(false);
    }
    expect(at(find(objects, 'Namespace'), 'metadata.labels')).toMatchObject({
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
  });

  it('has a place for each folder that it writes to, and each place is bounded', () => {
    const environment = new Map(
      [0, 1, 2, 3, 4].map((index) => [at(container, `env.${index}.name`), at(container, `env.${index}.value`)]),
    );
    const mounted = [0, 1, 2].map((index) => at(container, `volumeMounts.${index}.mountPath`));
    expect(mounted).toContain(environment.get('HOLDFAST_DATA_DIRECTORY'));
    expect(mounted).toContain(environment.get('CONFIG_FILE_PATH'));
    expect(mounted).toContain('/tmp');
    const size = persistent
      ? at(deployment, 'spec.volumeClaimTemplates.0.spec.resources.requests.storage')
      : at(pod, 'volumes.2.emptyDir.sizeLimit');
    const bytes = Number(environment.get('HOLDFAST_OUTBOX_MAX_BYTES'));
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(Number.parseInt(String(size), 10) * 1024 ** 3);
    for (const index of persistent ? [1] : [1, 2]) {
      expect(at(pod, `volumes.${index}.emptyDir.sizeLimit`)).toMatch(/^\d+[MG]i$/);
    }
  });

  it('is guaranteed a core and its memory, and is never halted by a limit on CPU', () => {
    expect(at(container, 'resources.requests.cpu')).toBe('1');
    expect(at(container, 'resources.limits')).not.toHaveProperty('cpu');
    expect(at(container, 'resources.limits.memory')).toBe(at(container, 'resources.requests.memory'));
  });

  it('talks to nobody but its stores, names, providers and the identity agent, and is called only on its port', () => {
    expect(at(find(objects, 'NetworkPolicy', 'deny-all'), 'spec')).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    });
    const policy = find(objects, 'NetworkPolicy', 'gateway');
    expect(at(policy, 'spec.egress.1')).toEqual({
      to: [{ ipBlock: { cidr: region.cidr } }],
      ports: [ports.postgres, ports.valkey].map((port) => ({ port, protocol: 'TCP' })),
    });
    expect(at(policy, 'spec.ingress.0.ports')).toEqual([{ port: gatewayPort, protocol: 'TCP' }]);
    expect(at(policy, 'spec.ingress.1')).toBeUndefined();
    const further = listAt(policy, 'spec.egress').slice(4);
    for (const rule of further) expect(at(rule, 'to.0'), 'only pods of this namespace').toHaveProperty('podSelector');
    expect(further.length).toBeLessThanOrEqual(platform.cluster.addons.length);
  });

  it('knows its region, the private names of the others and the buckets of the claim, as the gateway reads them', () => {
    const variables = new Map(
      listAt(container, 'env').map((variable) => [String(at(variable, 'name')), String(at(variable, 'value'))]),
    );
    const settings = readSettings({ ...Object.fromEntries(variables), LITELLM_SALT_KEY: 'salt-of-twenty-characters' });
    expect(variables.get('AWS_REGION')).toBe(region.region);
    // The other region's bucket: the archive must not be lost together with the disks.
    expect(settings.outboxArchive?.region).not.toBe(region.region);
    if (platform.regions.length > 1) expect(settings.outboxArchive?.bucket).toContain('-outbox-');
    if (platform.regions.length === 1) {
      expect(settings.region).toBeUndefined();
      return;
    }
    expect(settings.region?.name).toBe(region.region);
    expect([...(settings.region?.addresses ?? [])]).toEqual(
      platform.regions
        .filter((other) => other !== region)
        .map((other) => [other.region, `https://${other.region}.internal.${platform.domain}`]),
    );
    expect(settings.region?.claim?.buckets.map((bucket) => bucket.region)).toEqual(platform.claimRegions);
  });

  it('stands in the namespace and under the names that AWS was told', () => {
    for (const object of objects) {
      const clusterWide = [
        'Namespace',
        'PriorityClass',
        'StorageClass',
        'NodePool',
        'ClusterRole',
        'ClusterRoleBinding',
      ].includes(String(object.kind));
      expect(at(object, 'metadata.namespace')).toBe(clusterWide ? undefined : kubernetes.namespace);
    }
    expect(at(pod, 'serviceAccountName')).toBe(kubernetes.gatewayServiceAccount);
    expect(at(find(objects, 'ServiceAccount', kubernetes.gatewayServiceAccount), 'metadata.name')).toBe(
      kubernetes.gatewayServiceAccount,
    );
    expect(at(pod, 'priorityClassName')).toBe(at(find(objects, 'PriorityClass'), 'metadata.name'));
    expect(at(container, 'envFrom')).toEqual([{ secretRef: { name: kubernetes.secret } }]);
    expect(objects.map((object) => object.kind)).not.toContain('Secret');
  });
});

describe('the right to a Kubernetes Lease', () => {
  const withLease = (leaderLease: 'postgres' | 'kubernetes') => {
    const platform = ofTier('high', { leaderLease });
    const objects = objectsOf(platform, platform.primary.region);
    return { objects, pod: at(find(objects, 'Deployment', kubernetes.gateway), 'spec.template.spec') };
  };

  it('is given where the leader is chosen by one: for that one object, with a token and a way to the API', () => {
    const { objects, pod } = withLease('kubernetes');
    expect(at(pod, 'automountServiceAccountToken')).toBe(true);
    expect(listAt(at(pod, 'containers.0'), 'env')).toContainEqual({
      name: 'LLMROUTER_HA_BACKEND',
      value: 'kubernetes',
    });
    const leases = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
    expect(at(find(objects, 'Role', 'holdfast-gateway-leader'), 'rules')).toEqual([
      { ...leases, verbs: ['create'] },
      { ...leases, verbs: ['get', 'update'], resourceNames: ['holdfast-config-sync'] },
    ]);
    expect(at(find(objects, 'RoleBinding', 'holdfast-gateway-leader'), 'subjects')).toEqual([
      { kind: 'ServiceAccount', name: kubernetes.gatewayServiceAccount, namespace: kubernetes.namespace },
    ]);
    const policy = find(objects, 'NetworkPolicy', 'gateway');
    expect(JSON.stringify(at(policy, 'spec.egress'))).toContain('6443');
  });

  it('is not given anywhere else: the gateway has no token of the cluster', () => {
    const { objects, pod } = withLease('postgres');
    expect(at(pod, 'automountServiceAccountToken')).toBe(false);
    const bound = objects.filter(({ kind }) => kind === 'RoleBinding').flatMap((one) => listAt(one, 'subjects'));
    expect(bound.map((subject) => at(subject, 'name'))).not.toContain(kubernetes.gatewayServiceAccount);
  });
});

it('refuses changes beyond the tier’s RPO only where the platform says so', () => {
  const valueIn = (platform: ReturnType<typeof ofTier>): unknown =>
    listAt(
      find(objectsOf(platform, 'us-east-1'), 'Deployment', kubernetes.gateway),
      'spec.template.spec.containers.0.env',
    )
      .filter((variable) => at(variable, 'name') === 'HOLDFAST_REFUSE_BEYOND_RPO_SECONDS')
      .map((variable) => at(variable, 'value'));
  expect(valueIn(ofTier('high'))).toEqual([]);
  expect(valueIn(ofTier('high', {}, { refuseBeyondRpo: true }))).toEqual(['900']);
});
