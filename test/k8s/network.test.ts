import { describe, expect, it } from 'vitest';
import { gatewayPort } from '../../gateway/contract.ts';
import { reachAddress, urlsIn } from '../../k8s/blocks/traffic.ts';
import { ports } from '../../lib/platform/names.ts';
import { PlatformError } from '../../lib/platform/platform.ts';
import type { ClusterSpec, TierName } from '../../lib/platform/spec.ts';
import { at, type Manifest, objectsOf, podTemplate } from './manifests.ts';
import { mayEnter, mayLeave, type Peer } from './network.ts';
import { ofTier } from './platforms.ts';

const region = 'us-east-1';
const config = `model_list:
  - model_name: own
    litellm_params: { model: openai/llama, api_base: 'http://llm.models:8080/v1' }
  - model_name: own
    litellm_params: { model: openai/llama, api_base: 'http://172.20.3.4:8000/v1' }
  - model_name: own
    litellm_params: { model: openai/llama, api_base: 'http://gpu.example.com:9000/v1' }
  - model_name: other
    litellm_params: { model: openai/other, api_base: os.environ/OTHER_API_BASE }
`;
const objectsWith = (cluster: ClusterSpec, tier: TierName = 'standard'): Manifest[] =>
  objectsOf(ofTier(tier, cluster), region, config);

/** Labels of a component's pods. */
function podsOf(objects: readonly Manifest[], component: string): unknown {
  const found = objects
    .map((object) => at(podTemplate(object), 'metadata.labels') ?? at(object, 'spec.inheritedMetadata.labels'))
    .find((labels) => Object(labels)['app.kubernetes.io/component'] === component);
  if (found === undefined) throw new Error(`no pods of ${component}`);
  return found;
}

const somePod = (namespace: string): Peer => ({ namespace, labels: { app: 'any' } });
const address = (of: string): Peer => ({ address: of });

describe.each([
  ['eks', '10.0.9.9'],
  ['gke', '10.77.0.3'],
  ['generic', '10.0.9.9'],
] as const)('the gateway on %s', (kind, store) => {
  const objects = objectsWith({ kind, outbound: ['10.30.0.0/16:8000', 'other.models:8001'] });
  const labels = podsOf(objects, 'gateway');
  const may = (peer: Peer, port: number, protocol?: 'UDP'): boolean =>
    mayLeave(objects, { labels, peer, port, ...(protocol === undefined ? {} : { protocol }) });

  it('reaches what it needs', () => {
    for (const port of [ports.postgres, ports.valkey]) expect(may(address(store), port), String(port)).toBe(true);
    expect(may(address('203.0.113.9'), 443), 'a provider, AWS, another region').toBe(true);
    expect(may(address('10.0.4.4'), 443), 'an interface endpoint of AWS in the VPC').toBe(true);
    expect(may(address('10.1.0.7'), 443), 'another region over a private path').toBe(true);
    expect(may(address('2001:db8::9'), 443)).toBe(true);
    expect(may(address('169.254.20.10'), 53, 'UDP'), 'names').toBe(true);
    expect(may(somePod('kube-system'), 53), 'long answers about names').toBe(true);
  });

  it('reaches the models that somebody hosts, on the ports that the config and the platform name', () => {
    expect(may(somePod('models'), 9999), 'whatever port the Service in the config maps to').toBe(true);
    expect(may(address('172.20.3.4'), 8000)).toBe(true);
    expect(may(address('198.51.100.1'), 9000)).toBe(true);
    expect(may(address('10.30.4.4'), 8000)).toBe(true);
  });

  it('reaches nothing else', () => {
    expect(may(address('169.254.169.254'), 9000), 'the node').toBe(false);
    expect(may(address('169.254.169.254'), 80), 'the node’s metadata').toBe(kind === 'gke');
    expect(may(address('203.0.113.9'), 80)).toBe(false);
    expect(may(address('203.0.113.9'), ports.postgres)).toBe(false);
    expect(may(somePod('default'), 8080)).toBe(false);
    expect(may(address('172.20.3.5'), 8000)).toBe(false);
  });
});

it('on GKE the load balancer’s front ends enter, and the database’s proxy gets out with its credentials', () => {
  const objects = objectsWith({ kind: 'gke' });
  const gateway = podsOf(objects, 'gateway');
  for (const from of ['130.211.0.9', '35.191.3.3']) {
    expect(mayEnter(objects, { labels: gateway, peer: address(from), port: gatewayPort }), from).toBe(true);
  }
  expect(mayEnter(objects, { labels: gateway, peer: address('203.0.113.9'), port: gatewayPort })).toBe(false);
  for (const labels of [gateway, podsOf(objects, 'migration')]) {
    for (const [to, port] of [
      ['10.77.0.3', 3307],
      ['169.254.169.252', 988],
      ['169.254.169.254', 80],
      ['142.250.1.1', 443],
    ] as const) {
      expect(mayLeave(objects, { labels, peer: address(to), port }), `${to}:${port}`).toBe(true);
    }
  }
});

it('machines of one’s own are reached where Sentinels and poolers listen', () => {
  const objects = objectsWith({ kind: 'generic' });
  for (const port of [ports.sentinel, ports.pgbouncer]) {
    expect(mayLeave(objects, { labels: podsOf(objects, 'gateway'), peer: address('10.0.9.9'), port })).toBe(true);
  }
});

describe('inside the namespace both sides agree', () => {
  const objects = objectsWith(
    {
      kind: 'generic',
      addons: [
        'pgbouncer',
        'postgres',
        'redis',
        'vllm',
        'agentgateway',
        'exporters',
        'telemetry',
        'vault',
        'backup',
        'drills',
      ],
      mcpServers: { search: 'http://search.tools:8080/mcp' },
    },
    'high',
  );
  const peer = (component: string): Peer => ({ namespace: 'holdfast', labels: podsOf(objects, component) });

  it.each([
    ['gateway', 'pgbouncer', ports.pgbouncer],
    ['gateway', 'postgres', ports.postgres],
    ['gateway', 'redis', ports.valkey],
    ['gateway', 'redis-sentinel', ports.sentinel],
    ['gateway', 'vllm', ports.vllm],
    ['gateway', 'otel-collector', ports.otlp],
    ['agentgateway', 'gateway', gatewayPort],
    ['agentgateway', 'vllm', ports.vllm],
    ['pgbouncer', 'postgres', ports.postgres],
    ['migration', 'postgres', ports.postgres],
    ['database-backup', 'postgres', ports.postgres],
    ['postgres-exporter', 'postgres', ports.postgres],
    ['redis-exporter', 'redis', ports.valkey],
    ['redis', 'redis', ports.valkey],
    ['redis', 'redis-sentinel', ports.sentinel],
    ['redis-sentinel', 'redis', ports.valkey],
    ['redis-sentinel', 'redis-sentinel', ports.sentinel],
    ['vault', 'vault', 8201],
    ['vault-snapshot', 'vault', ports.vault],
    ['load-test', 'gateway', gatewayPort],
  ])('%s calls %s on %i', (caller, called, port) => {
    expect(mayLeave(objects, { labels: podsOf(objects, caller), peer: peer(called), port })).toBe(true);
    expect(mayEnter(objects, { labels: podsOf(objects, called), peer: peer(caller), port })).toBe(true);
  });

  it.each([
    ['vllm', 'postgres', ports.postgres],
    ['agentgateway', 'redis', ports.valkey],
    ['load-test', 'postgres', ports.postgres],
    ['configuration-backup', 'postgres', ports.postgres],
  ])('%s does not call %s', (caller, called, port) => {
    expect(mayLeave(objects, { labels: podsOf(objects, caller), peer: peer(called), port })).toBe(false);
    expect(mayEnter(objects, { labels: podsOf(objects, called), peer: peer(caller), port })).toBe(false);
  });

  it('agents reach their tools and traces their store, on whatever port these listen', () => {
    expect(mayLeave(objects, { labels: podsOf(objects, 'agentgateway'), peer: somePod('tools'), port: 3001 })).toBe(
      true,
    );
    expect(
      mayLeave(objects, { labels: podsOf(objects, 'otel-collector'), peer: somePod('monitoring'), port: 4318 }),
    ).toBe(true);
  });

  it('every pod that has a number for Prometheus lets it in', () => {
    for (const [component, port] of [
      ['gateway', gatewayPort],
      ['kube-state-metrics', 8080],
      ['postgres-exporter', 9187],
      ['redis-exporter', 9121],
      ['vllm', ports.vllm],
    ] as const) {
      const connection = { labels: podsOf(objects, component), peer: somePod('monitoring'), port };
      expect(mayEnter(objects, connection), component).toBe(true);
    }
  });
});

describe('an address of a configuration', () => {
  const opens = (host: string, port: number): unknown[] =>
    reachAddress(host, port).flatMap(({ to = [] }) =>
      to.map(
        (peer) => peer.ipBlock?.cidr ?? peer.namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name'] ?? 'own',
      ),
    );

  it.each([
    ['llm', 8000, ['own']],
    ['llm.models', 8000, ['models', '0.0.0.0/0', '::/0']],
    ['llm.models.svc', 8000, ['models']],
    ['llm.models.svc.cluster.local', 443, ['models']],
    ['gpu.example.com', 8000, ['0.0.0.0/0', '::/0']],
    ['api.example.com', 443, []],
    ['10.1.2.3', 8000, ['10.1.2.3/32']],
    ['10.1.0.0/16', 8000, ['10.1.0.0/16']],
  ])('%s:%i opens %j', (host, port, peers) => {
    expect(opens(host, port)).toEqual(peers);
  });

  it('is found wherever it stands', () => {
    const document = { a: ['http://x:1/', { b: 'rediss://y', c: 'text', d: 'os.environ/HTTP' }], e: null, f: 3 };
    expect(urlsIn(document)).toEqual(['http://x:1/', 'rediss://y']);
  });

  it.each(['llm.models', ':8000', '10.0.0.0/4:80', 'llm:0', 'http://llm:8000', '169.254.169.254:80'])(
    'that is none is refused by name: %s',
    (wrong) => {
      expect(() => ofTier('standard', { outbound: [wrong] })).toThrow(PlatformError);
      expect(() => ofTier('standard', { outbound: [wrong] })).toThrow(`cluster.outbound[0]: "${wrong}"`);
    },
  );
});
