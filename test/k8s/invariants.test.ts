/** What holds for everything that runs, whatever it is: the gateway, its neighbours, jobs and drills. */
import { describe, expect, it } from 'vitest';
import { drain, healthPaths } from '../../gateway/contract.ts';
import { kubernetes } from '../../lib/platform/names.ts';
import { at, listAt, type Manifest, numberAt, objectsOf, podTemplate, selects, selectsPod } from './manifests.ts';
import { everyRegion, variants } from './platforms.ts';

const cases = [
  ...everyRegion.map(({ name, platform, region }) => ({ name, platform, region })),
  ...variants.flatMap(({ name, platform }) =>
    platform.regions.slice(-1).map((region) => ({ name: `${name}, ${region.region}`, platform, region })),
  ),
];

/** One pod is all: a minute without it harms nobody, and a budget would only hold nodes up. */
const alone: readonly string[] = [`Deployment ${kubernetes.regionWatch}`];

/** Secrets that are made outside of the manifests, by whatever reads the secret store. */
const secretsFromOutside: readonly string[] = [
  kubernetes.secret,
  kubernetes.pgbouncerSecret,
  kubernetes.tlsSecret,
  kubernetes.cloudSqlSecret,
  kubernetes.vaultTls,
  kubernetes.vllmSecret,
  kubernetes.agentGatewaySecret,
  kubernetes.exporterSecret,
  kubernetes.redisSecret,
  kubernetes.loadTestSecret,
  kubernetes.vaultSealSecret,
  kubernetes.objectStoreSecret,
];

describe.each(cases)('everything that runs ($name)', ({ platform, region }) => {
  const objects = objectsOf(platform, region.region);
  const running = objects
    .map((object) => ({ object, name: nameOf(object), template: podTemplate(object) }))
    .filter(({ template }) => template !== undefined);
  const lasting = running.filter(({ object }) => ['Deployment', 'StatefulSet'].includes(String(object.kind)));
  const ofKind = (kind: string): Manifest[] => objects.filter((object) => object.kind === kind);
  const containersOf = (template: unknown): unknown[] => [
    ...listAt(template, 'spec.containers'),
    ...listAt(template, 'spec.initContainers'),
  ];

  it('has a name of its own, in the namespace', () => {
    const names = objects.map((object) => `${String(object.apiVersion)} ${nameOf(object)}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('asks for CPU and memory and is bounded in memory and disk', () => {
    for (const { name, template } of running) {
      for (const container of containersOf(template)) {
        expect(at(container, 'resources.requests'), name).toMatchObject({
          cpu: expect.anything(),
          memory: expect.anything(),
        });
        expect(at(container, 'resources.limits'), name).toMatchObject({ memory: expect.anything() });
      }
    }
  });

  it('has no rights', () => {
    for (const { name, template } of running) {
      expect(at(template, 'spec.securityContext'), name).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(at(template, 'spec.enableServiceLinks'), name).toBe(false);
      for (const container of containersOf(template)) {
        expect(at(container, 'securityContext'), name).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
    }
  });

  it('is spread over the zones, replaced soon, and kept by a budget that lets one pod go', () => {
    for (const { object, name, template } of lasting) {
      const labels = at(template, 'metadata.labels');
      expect(at(template, 'spec.topologySpreadConstraints.0'), name).toMatchObject({
        topologyKey: 'topology.kubernetes.io/zone',
        maxSkew: 1,
      });
      expect(listAt(template, 'spec.tolerations').length, name).toBeGreaterThanOrEqual(2);
      const budgets = ofKind('PodDisruptionBudget').filter((budget) =>
        selects(at(budget, 'spec.selector.matchLabels'), labels),
      );
      if (alone.includes(name)) {
        expect(at(object, 'spec.replicas'), name).toBe(1);
        expect(budgets, name).toEqual([]);
        continue;
      }
      expect(budgets, name).toHaveLength(1);
      const [least] = ofKind('HorizontalPodAutoscaler')
        .concat(ofKind('ScaledObject'))
        .filter((scaler) => at(scaler, 'spec.scaleTargetRef.name') === at(object, 'metadata.name'))
        .map((scaler) => at(scaler, 'spec.minReplicas') ?? at(scaler, 'spec.minReplicaCount'));
      const replicas = Number(least ?? at(object, 'spec.replicas'));
      expect(replicas, name).toBeGreaterThanOrEqual(2);
      expect(numberAt(budgets[0], 'spec.minAvailable'), name).toBeLessThan(replicas);
      expect(numberAt(budgets[0], 'spec.minAvailable'), name).toBeGreaterThanOrEqual(1);
    }
  });

  it('may only talk to whom a rule of its own names, in both directions', () => {
    for (const { name, template } of running) {
      const policies = ofKind('NetworkPolicy').filter(
        (policy) =>
          at(policy, 'metadata.name') !== 'deny-all' &&
          selectsPod(at(policy, 'spec.podSelector'), at(template, 'metadata.labels')),
      );
      expect(policies, name).toHaveLength(1);
    }
    // A rule about pods that nobody makes protects and allows nothing: a typing error.
    for (const policy of ofKind('NetworkPolicy')) {
      for (const side of ['ingress', 'egress']) {
        for (const rule of listAt(policy, `spec.${side}`)) {
          for (const peer of listAt(rule, side === 'ingress' ? 'from' : 'to')) {
            const wanted = at(peer, 'podSelector.matchLabels');
            if (wanted === undefined || at(peer, 'namespaceSelector') !== undefined) continue;
            const made = running.some(({ template }) => selects(wanted, at(template, 'metadata.labels')));
            const byOperator = objects.some((object) =>
              selects(wanted, at(object, 'spec.inheritedMetadata.labels') ?? {}),
            );
            expect(made || byOperator, `${nameOf(policy)}: ${JSON.stringify(wanted)}`).toBe(true);
          }
        }
      }
    }
  });

  it('is never scaled by two', () => {
    const targets = ['HorizontalPodAutoscaler', 'ScaledObject']
      .flatMap(ofKind)
      .map(
        (scaler) =>
          `${String(at(scaler, 'spec.scaleTargetRef.kind'))} ${String(at(scaler, 'spec.scaleTargetRef.name'))}`,
      );
    expect(new Set(targets).size).toBe(targets.length);
    expect(targets.filter((target) => target.endsWith(` ${kubernetes.gateway}`))).toHaveLength(1);
    for (const target of targets) {
      const object = objects.find((candidate) => nameOf(candidate) === target);
      expect(object, target).toBeDefined();
      expect(at(object, 'spec'), target).not.toHaveProperty('replicas');
    }
  });

  it('has time to leave', () => {
    for (const { name, template } of lasting) {
      const pause = numberAt(template, 'spec.containers.0.lifecycle.preStop.sleep.seconds');
      const grace = numberAt(template, 'spec.terminationGracePeriodSeconds');
      expect(grace, name).toBeGreaterThan(pause);
      if (name.endsWith(` ${kubernetes.gateway}`)) {
        expect(grace).toBeGreaterThan(pause + drain.noticeSeconds + drain.deadlineSeconds + drain.flushSeconds);
      }
    }
  });

  it('is given up as a failed release only after its first start may have taken as long as it is allowed', () => {
    for (const { object, name, template } of lasting.filter(({ object: { kind } }) => kind === 'Deployment')) {
      const probe = at(template, 'spec.containers.0.startupProbe');
      const allowed =
        Number(at(probe, 'initialDelaySeconds') ?? 0) +
        Number(at(probe, 'periodSeconds') ?? 10) * Number(at(probe, 'failureThreshold') ?? 0);
      expect(Number(at(object, 'spec.progressDeadlineSeconds') ?? 600), name).toBeGreaterThan(allowed);
    }
  });

  it('finds its ConfigMaps here and its Secrets where it is said that they come from', () => {
    const maps = ofKind('ConfigMap').map((map) => at(map, 'metadata.name'));
    for (const { name, template } of running) {
      for (const volume of listAt(template, 'spec.volumes')) {
        const map = at(volume, 'configMap.name');
        if (map !== undefined) expect(maps, name).toContain(map);
        const secret = at(volume, 'secret.secretName');
        if (secret !== undefined) expect(secretsFromOutside, name).toContain(secret);
      }
      for (const container of containersOf(template)) {
        const refs = [
          ...listAt(container, 'envFrom').map((source) => at(source, 'secretRef.name')),
          ...listAt(container, 'env').map((variable) => at(variable, 'valueFrom.secretKeyRef.name')),
        ];
        for (const secret of refs) if (secret !== undefined) expect(secretsFromOutside, name).toContain(secret);
        const volumes = [...listAt(template, 'spec.volumes'), ...claimsOf(template, objects)].map((volume) =>
          at(volume, 'name'),
        );
        for (const mount of listAt(container, 'volumeMounts')) expect(volumes, name).toContain(at(mount, 'name'));
      }
    }
  });

  if (platform.cluster.secretStore !== undefined) {
    it('gets each of its Secrets but certificates from the store outside, and no other', () => {
      const used = running.flatMap(({ template }) => [
        ...listAt(template, 'spec.volumes').map((volume) => at(volume, 'secret.secretName')),
        ...containersOf(template).flatMap((container) => [
          ...listAt(container, 'envFrom').map((source) => at(source, 'secretRef.name')),
          ...listAt(container, 'env').map((variable) => at(variable, 'valueFrom.secretKeyRef.name')),
        ]),
      ]);
      const certificates: unknown[] = [kubernetes.vaultTls, kubernetes.tlsSecret];
      const wanted = new Set(used.filter((name) => name !== undefined && !certificates.includes(name)));
      const made = ofKind('ExternalSecret').map((secret) => at(secret, 'spec.target.name'));
      expect(new Set(made)).toEqual(wanted);
      for (const secret of ofKind('ExternalSecret')) {
        expect(at(secret, 'spec.dataFrom.0.extract.key')).toMatch(/^holdfast-production\/[a-z-]+$/);
      }
    });
  }

  it('is found by its Services, at ports that exist, and by its ServiceMonitor once', () => {
    for (const service of ofKind('Service')) {
      const template = running.find(({ template: pods }) =>
        selects(at(service, 'spec.selector'), at(pods, 'metadata.labels')),
      )?.template;
      const ports = listAt(template, 'spec.containers.0.ports').flatMap((port) => [
        at(port, 'name'),
        at(port, 'containerPort'),
      ]);
      for (const port of listAt(service, 'spec.ports'))
        expect(ports, nameOf(service)).toContain(at(port, 'targetPort'));
    }
    for (const monitor of ofKind('ServiceMonitor')) {
      const found = ofKind('Service').filter((service) =>
        selects(at(monitor, 'spec.selector.matchLabels'), at(service, 'metadata.labels')),
      );
      expect(found, nameOf(monitor)).toHaveLength(1);
      expect(listAt(found[0], 'spec.ports').map((port) => at(port, 'name'))).toContain(
        at(monitor, 'spec.endpoints.0.port'),
      );
    }
  });

  it('is probed where a gateway is meant only at paths that the gateway has', () => {
    const paths: readonly string[] = Object.values(healthPaths);
    for (const { template } of lasting.filter(({ name }) => name.endsWith(` ${kubernetes.gateway}`))) {
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        expect(paths).toContain(at(template, `spec.containers.0.${probe}.httpGet.path`));
      }
    }
  });
});

const nameOf = (object: Manifest): string => `${String(object.kind)} ${String(at(object, 'metadata.name'))}`;

/** A StatefulSet's claims are volumes of its pods, too. */
const claimsOf = (template: unknown, objects: readonly Manifest[]): unknown[] =>
  objects
    .filter((object) => at(object, 'spec.template') === template || podTemplate(object) === template)
    .flatMap((object) => listAt(object, 'spec.volumeClaimTemplates'))
    .map((claim) => ({ name: at(claim, 'metadata.name') }));
