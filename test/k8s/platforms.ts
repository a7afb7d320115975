import production from '../../holdfast.config.ts';
import { definePlatform, type Platform } from '../../lib/platform/platform.ts';
import type { AddonName, ClusterSpec, PlatformSpec, TierName } from '../../lib/platform/spec.ts';
import { type Manifest, objectsOf } from './manifests.ts';

/** A platform of each tier, beside the one that users edit. */
export const ofTier = (tier: TierName, cluster: ClusterSpec = {}, changes: Partial<PlatformSpec> = {}): Platform =>
  definePlatform({
    name: 'holdfast',
    environment: 'production',
    account: '111111111111',
    domain: 'gateway.example.com',
    hostedZone: { name: 'example.com' },
    tier,
    topology: tier === 'standard' ? 'single-region' : 'active-active',
    regions: [
      { region: 'us-east-1', role: 'primary' as const, zones: ['a', 'b', 'c'], cidr: '10.0.0.0/16' },
      { region: 'us-west-2', role: 'standby' as const, zones: ['a', 'b', 'c'], cidr: '10.1.0.0/16' },
    ].slice(0, tier === 'standard' ? 1 : 2),
    ...(tier === 'critical' && { witnessRegion: 'us-east-2' }),
    cluster,
    image: `ghcr.io/holdfast/gateway@sha256:${'ab'.repeat(32)}`,
    ...changes,
  });

/** Every region of every platform that the invariants are checked on. */
export const everyRegion = [production, ofTier('standard'), ofTier('high'), ofTier('critical')].flatMap((platform) =>
  platform.regions.map((region) => ({ name: `${platform.tier.name}, ${region.region}`, platform, region })),
);

const besideAws: readonly AddonName[] = [
  'pgbouncer',
  'vault',
  'vllm',
  'agentgateway',
  'exporters',
  'telemetry',
  'monitoring',
  'backup',
  'drills',
];

/** Every kind of cluster, way in, autoscaler and addon at least once. */
export const variants: readonly { readonly name: string; readonly platform: Platform }[] = [
  { name: 'EKS with everything', platform: ofTier('high', { addons: besideAws }) },
  { name: 'EKS, critical, KEDA', platform: ofTier('critical', { addons: besideAws, autoscaler: 'keda' }) },
  {
    name: 'EKS with a controller of its own and External Secrets',
    platform: ofTier('standard', { loadBalancerController: 'self-managed', secretStore: 'aws', addons: ['exporters'] }),
  },
  {
    name: 'any cluster, Gateway API, own databases',
    platform: ofTier('high', {
      kind: 'generic',
      addons: [...besideAws, 'postgres', 'redis'],
      mcpServers: { search: 'https://mcp.example.com/mcp' },
      objectStoreUrl: 'https://minio.storage:9000',
      secretStore: 'vault',
      leaderLease: 'kubernetes',
    }),
  },
  {
    name: 'any cluster, ingress-nginx, own databases',
    platform: ofTier('standard', { kind: 'generic', ingress: 'ingress-nginx', addons: ['postgres', 'redis'] }),
  },
  {
    name: 'GKE in one region',
    platform: ofTier('standard', { kind: 'gke', secretStore: 'google', addons: ['monitoring', 'backup'] }),
  },
  { name: 'GKE in two regions', platform: ofTier('critical', { kind: 'gke', addons: ['monitoring'] }) },
];

/** Each object once, however many platforms have it. */
export function distinctObjects(): Manifest[] {
  const all = variants.flatMap(({ platform }) => objectsOf(platform, platform.primary.region));
  return [...new Map(all.map((object) => [JSON.stringify(object), object])).values()];
}
