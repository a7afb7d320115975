/**
 * Every identifier that one part creates and another looks up. Pure functions and constants only, so that a region can
 * be deployed, promoted and torn down while every other region is gone: nothing is exported or imported between stacks.
 */
import type { Platform, Region } from './platform.ts';

export type RegionalStackKind = 'network' | 'data' | 'cache' | 'cluster' | 'ingress';

/** CloudFormation parameters that operators and runbooks set. */
export const parameters = {
  /** `primary` or `standby`; in the data stack alone. Setting it to `primary` promotes the replica. */
  regionRole: 'RegionRole',
  /** `stack` lets the stack update promote; `external` when the RDS API already did (exactly one of the two). */
  dbPromotion: 'DbPromotion',
} as const;

/** CloudFormation outputs that other parts read. */
export const outputs = {
  databaseEndpoint: 'DatabaseEndpoint',
  databaseIdentifier: 'DatabaseIdentifier',
  cacheEndpoint: 'CacheEndpoint',
  clusterName: 'ClusterName',
  loadBalancerDnsName: 'LoadBalancerDnsName',
  targetGroupArn: 'TargetGroupArn',
} as const;

/** Name prefix of a platform in one environment, for example `holdfast-production`. */
export const prefix = (platform: Platform): string => `${platform.name}-${platform.environment}`;

/** Stack name: `holdfast-production-us-east-1-data`. */
export const stackName = (platform: Platform, region: string, kind: RegionalStackKind): string =>
  `${prefix(platform)}-${region}-${kind}`;

/** The one global stack: `holdfast-production-dns`. */
export const dnsStackName = (platform: Platform): string => `${prefix(platform)}-dns`;

/** Database instance identifier; a failback makes a new generation, never reuses an old one. */
export const databaseIdentifier = (platform: Platform, region: Region): string =>
  `${prefix(platform)}-${region.region}-db-${region.databaseGeneration}`;

/** ARN of a region's database instance, computed so that a replica needs nothing from the source's stack. */
export const databaseArn = (platform: Platform, region: Region): string =>
  `arn:aws:rds:${region.region}:${region.account}:db:${databaseIdentifier(platform, region)}`;

/** Secret with the database credentials; it is replicated into each standby region under the same name. */
export const databaseSecretName = (platform: Platform): string => `${prefix(platform)}/database`;

/** Name that clients of one region use directly, and that health checks look at: `us-east-1.gateway.example.com`. */
export const regionalDomain = (platform: Platform, region: string): string => `${region}.${platform.domain}`;

/** Record set identifiers of the dns stack. */
export const recordSetId = (platform: Platform, region: string): string => `${prefix(platform)}-${region}`;

/** EKS cluster name. */
export const clusterName = (platform: Platform, region: string): string => `${prefix(platform)}-${region}`;

/** Application load balancer name; AWS allows 32 characters, hence no environment suffix is ever appended to it. */
export const loadBalancerName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}`.slice(0, 32).replace(/-+$/, '');

/** Kubernetes names of the gateway. */
export const kubernetes = {
  namespace: 'holdfast',
  gateway: 'gateway',
  gatewayServiceAccount: 'gateway',
  configMap: 'gateway-config',
  secret: 'gateway-secrets',
} as const;
