/**
 * Every identifier that one part creates and another looks up. Pure functions and constants only, so that a region can
 * be deployed, promoted and torn down while every other region is gone: nothing is exported or imported between stacks.
 */
import type { DatabaseRef, Platform, Region } from './platform.ts';

/** The stacks of one region, in the order in which they are deployed. */
export const regionalStackKinds = [
  'storage',
  'network',
  'data',
  'cache',
  'cluster',
  'ingress',
  'monitoring',
  'backup',
  'resilience',
] as const;

export type RegionalStackKind = (typeof regionalStackKinds)[number];

/** CloudFormation parameters that operators and runbooks set. */
export const parameters = {
  /** `primary` or `standby`; in the data stack alone. Setting it to `primary` promotes the replica. */
  regionRole: 'RegionRole',
  /** `stack` lets the stack update promote; `external` when the RDS API already did (exactly one of the two). */
  dbPromotion: 'DbPromotion',
  /** Percent of the traffic that the primary gets back while another region takes over; in the dns stack. */
  failbackPercent: 'FailbackPercent',
  /** Id of the public hosted zone; in the ingress stack, only while `holdfast.config.ts` does not know it yet. */
  hostedZoneId: 'HostedZoneId',
  /** `on` or `off`: whether copies go to other regions, whose storage stacks must stand then. */
  crossRegionCopies: 'CrossRegionCopies',
  /** Id of the Global Datastore, of which AWS invents the first part; in a standby's cache stack, with `globalCache`. */
  globalCacheId: 'GlobalCacheId',
  /** Nodes that AWS keeps for a region in each zone; in its cluster stack. Paid for, used or not. */
  desiredCapacity: 'DesiredCapacity',
  /** ARN of the key that unseals Vault in the primary region; in a standby's storage stack. */
  vaultKeyArn: 'VaultKeyArn',
} as const;

/** As a part of a parameter's name, which has letters and digits alone. */
const capitalized = (region: string): string =>
  region
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');

/** Parameter of an ingress stack: endpoint service of another region, `EndpointServiceUsEast1`. */
export const endpointServiceParameter = (region: string): string => `EndpointService${capitalized(region)}`;

/** Parameter of the dns stack: load balancer of a region in another account, `LoadBalancerUsEast1`. */
export const loadBalancerParameter = (region: string): string => `LoadBalancer${capitalized(region)}`;

/** CloudFormation outputs that other parts read. */
export const outputs = {
  databaseEndpoint: 'DatabaseEndpoint',
  databaseIdentifier: 'DatabaseIdentifier',
  databaseSecretArn: 'DatabaseSecretArn',
  cacheEndpoint: 'CacheEndpoint',
  cacheReaderEndpoint: 'CacheReaderEndpoint',
  /** For the standbys' parameter of the same name. */
  globalCacheId: 'GlobalCacheId',
  clusterName: 'ClusterName',
  loadBalancerDnsName: 'LoadBalancerDnsName',
  /** `ZONE,NAME`: for the dns stack's parameter `LoadBalancer...`, where names are in another account. */
  loadBalancerAlias: 'LoadBalancerAlias',
  targetGroupArn: 'TargetGroupArn',
  /** For the other regions' `EndpointService...` parameters. */
  endpointServiceName: 'EndpointServiceName',
  deliveryRoleArn: 'DeliveryRoleArn',
  hostedZoneId: 'HostedZoneId',
  nameServers: 'NameServers',
} as const;

/** Name prefix of a platform in one environment, for example `holdfast-production`. */
export const prefix = (platform: Platform): string => `${platform.name}-${platform.environment}`;

/** Stack name: `holdfast-production-us-east-1-data`. */
export const stackName = (platform: Platform, region: string, kind: RegionalStackKind): string =>
  `${prefix(platform)}-${region}-${kind}`;

/** What applies a region's manifests, where the configuration asks for it: `holdfast-production-us-east-1-manifests`. */
export const manifestsStackName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}-manifests`;

/** The one global stack: `holdfast-production-dns`. */
export const dnsStackName = (platform: Platform): string => `${prefix(platform)}-dns`;

/** What stands in a region that serves nobody: a witness of the claim, a place for backups. */
export const satelliteStackName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}-satellite`;

/** AWS's own recovery plan, where the configuration asks for it: `holdfast-production-region-switch`. */
export const regionSwitchStackName = (platform: Platform): string => `${prefix(platform)}-region-switch`;

/** Role of that plan; every region's cluster lets it in by this name. */
export const regionSwitchRoleName = (platform: Platform): string => `${prefix(platform)}-region-switch`;

/** Role beside the names by which that plan looks at records, where the names are in another account. */
export const recordsReaderName = (platform: Platform): string => `${prefix(platform)}-records-reader`;
export const recordsReaderArn = (platform: Platform): string =>
  `arn:aws:iam::${platform.account}:role/${recordsReaderName(platform)}`;

/** The role that CI deploys with: `holdfast-production-delivery`. */
export const deliveryStackName = (platform: Platform): string => `${prefix(platform)}-delivery`;

/** Database instance identifier; a failback makes a new generation, never reuses an old one. */
export const databaseIdentifier = (platform: Platform, { region, databaseGeneration, brought }: DatabaseRef): string =>
  brought?.databaseGeneration === databaseGeneration
    ? brought.identifier
    : `${prefix(platform)}-${region}-db-${databaseGeneration}`;

/** ARN of a region's database instance, computed so that a replica needs nothing from the source's stack. */
export const databaseArn = (platform: Platform, region: DatabaseRef): string =>
  `arn:aws:rds:${region.region}:${region.account}:db:${databaseIdentifier(platform, region)}`;

/** Read replica number `index` (from 1) beside the database that takes writes. */
export const readReplicaIdentifier = (platform: Platform, region: Region, index: number): string =>
  `${databaseIdentifier(platform, region)}-read-${index}`;

/** Secret with the database credentials; it is replicated into each standby region under the same name. */
export const databaseSecretName = (platform: Platform): string => `${prefix(platform)}/database`;

/** Secret with the cache's password. Each region has its own: caches share nothing across regions. */
export const cacheSecretName = (platform: Platform): string => `${prefix(platform)}/cache`;

/** Secret with what the gateway's pods read as variables; the External Secrets operator copies it into the cluster. */
export const gatewaySecretName = (platform: Platform): string => `${prefix(platform)}/gateway`;

/** Secret outside of the cluster that fills one of the same name inside: `holdfast-production/vllm-secrets`. */
export const secretNameOf = (platform: Platform, name: string): string => `${prefix(platform)}/${name}`;

/** ElastiCache replication group id; AWS allows 40 characters. */
export const cacheName = (platform: Platform): string => `${prefix(platform)}-cache`;

/** Name that clients of one region use directly, and that health checks look at: `us-east-1.gateway.example.com`. */
export const regionalDomain = (platform: Platform, region: string): string => `${region}.${platform.domain}`;

/** Zone that gateways see inside their network alone: the private ways between regions. */
export const internalZone = (platform: Platform): string => `internal.${platform.domain}`;

/** Private name of a region, for other regions' gateways: `us-east-1.internal.gateway.example.com`. */
export const internalDomain = (platform: Platform, region: string): string => `${region}.${internalZone(platform)}`;

/** Name of the set of standbys that failover records point at when there are several: `standby.gateway.example.com`. */
export const standbyDomain = (platform: Platform): string => `standby.${platform.domain}`;

/**
 * Name that answers while the primary does not: the standbys, and during a failback a growing part of the primary again.
 * `failback.gateway.example.com`
 */
export const failbackDomain = (platform: Platform): string => `failback.${platform.domain}`;

/** With active-active: what clients near the primary get, the primary or what takes its place. */
export const homeDomain = (platform: Platform): string => `home.${platform.domain}`;

/** Record set identifiers of the dns stack. */
export const recordSetId = (platform: Platform, region: string): string => `${prefix(platform)}-${region}`;

/** A region of the platform, where AWS wants one name: network, firewall, dashboard, and the cluster that we make. */
export const clusterName = (platform: Platform, region: string): string => `${prefix(platform)}-${region}`;

/** EKS cluster of a region: the one that was brought along, or ours. */
export const eksClusterName = (platform: Platform, region: string): string =>
  platform.regions.find((candidate) => candidate.region === region)?.cluster?.name ?? clusterName(platform, region);

/** ARN of a region's cluster. */
export const clusterArn = (platform: Platform, { region, account }: BucketPlace): string =>
  `arn:aws:eks:${region}:${account}:cluster/${eksClusterName(platform, region)}`;

/** ARNs of who is let into a region's cluster. */
export const accessEntriesArn = (platform: Platform, { region, account }: BucketPlace): string =>
  `arn:aws:eks:${region}:${account}:access-entry/${eksClusterName(platform, region)}/*`;

/** Application load balancer name. AWS allows 32 characters; a longer one loses its end, it is unique in its region anyway. */
export const loadBalancerName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}`.slice(0, 32).replace(/-+$/, '');

/** Network load balancer with the fixed addresses; AWS allows 32 characters. */
export const entranceName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}`.slice(0, 28).replace(/-+$/, '').concat('-nlb');

/** Target group of a region's gateways: fixed, so that the manifests can name it without its ARN. AWS allows 32 characters. */
export const targetGroupName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}`.slice(0, 32).replace(/-+$/, '');

/** Buckets that every region has, each replicated to the same bucket of every other region. */
export const replicatedBuckets = ['config', 'models', 'backup', 'outbox', 'journal'] as const;

/**
 * `config`: the gateway's configuration. `models`: routing models. `backup`: dumps and snapshots. `outbox`: sealed
 * segments of spend. `journal`: what runs of runbooks did. `claim`: who may write. `takeover`: who takes the traffic over.
 * `logs`: who asked for what. `canary`: what the canary saw.
 */
export type BucketKind = (typeof replicatedBuckets)[number] | 'claim' | 'takeover' | 'logs' | 'canary';

/** A place for buckets: a region and the account that owns them there. */
export type BucketPlace = Pick<Region, 'region' | 'account'>;

/** Bucket of a region: names are world-wide, so the account is part of them. */
export const bucketName = (
  platform: Pick<Platform, 'name' | 'environment'>,
  place: BucketPlace,
  kind: BucketKind,
): string => `${platform.name}-${platform.environment}-${place.region}-${kind}-${place.account}`;

/** Bucket of a region for dumps and snapshots. */
export const backupBucketName = (platform: Platform, region: BucketPlace): string =>
  bucketName(platform, region, 'backup');

/** Keys of the objects that gateways and runbooks agree on. */
export const objectKeys = {
  /** In every claim bucket. */
  claim: 'claim.json',
  /** In the takeover bucket of the region that takes over; health checks read it without credentials. */
  takeover: 'takeover.json',
  /** Folders of the backup bucket, with what writes there. */
  databaseDumps: 'postgresql/',
  vaultSnapshots: 'vault/',
  configurationBackups: 'configuration/',
  redisSnapshots: 'redis/',
} as const;

/** Where health checks find the takeover object of a region. */
export const takeoverHost = (platform: Platform, place: BucketPlace): string =>
  `${bucketName(platform, place, 'takeover')}.s3.${place.region}.amazonaws.com`;

/** Tags by which AWS finds what has no ARN that could be computed, or is found by tags alone. */
export const tagKeys = {
  platform: 'holdfast:platform',
  environment: 'holdfast:environment',
  /** On buckets that are copied to other regions. */
  replicated: 'holdfast:replicated',
  /** On the private way to another region: that region. */
  leadsTo: 'holdfast:leads-to',
} as const;

/** Replication rule of a bucket towards another region; metrics and alarms name it. */
export const replicationRuleId = ({ region }: Pick<BucketPlace, 'region'>): string => `to-${region}`;

/** KMS alias of a region's buckets, and of the copies of another region's backups. */
export const storageKeyAlias = (platform: Platform): string => `${prefix(platform)}/storage`;

/** Container repository of the gateway; each region has its own copy of every image. */
export const repositoryName = (platform: Platform): string => `${prefix(platform)}/gateway`;

/** What the pods of a region run: the image, or its copy in the region's own registry where the digest is given. */
export const gatewayImage = (platform: Platform, { region, account }: BucketPlace): string =>
  platform.imageDigest === undefined
    ? platform.image
    : `${account}.dkr.ecr.${region}.amazonaws.com/${repositoryName(platform)}@${platform.imageDigest}`;

/**
 * An image as a gateway's health page names it: name and digest, or tag. Anybody may read that page, and a registry's name may
 * hold an account.
 */
export const imageLabel = (image: string): string => image.slice(image.lastIndexOf('/') + 1);

/** KMS alias of a region's backup vault. */
export const backupKeyAlias = (platform: Platform): string => `${prefix(platform)}/backups`;

/** AWS Backup vault of a region. */
export const backupVaultName = (platform: Platform): string => `${prefix(platform)}-backups`;

/** ARN of a vault, computed so that a copy needs nothing from the other region's stack. */
export const backupVaultArn = (platform: Platform, { region, account }: BucketPlace): string =>
  `arn:aws:backup:${region}:${account}:backup-vault:${backupVaultName(platform)}`;

/** The canary of a region, which asks for a completion as a client does. */
export const canaryName = (platform: Platform): string => prefix(platform);

/** Secret with the gateway key that the canary uses. */
export const canarySecretName = (platform: Platform): string => `${prefix(platform)}/canary`;

/** Namespace in CloudWatch of the gateways' own metrics. */
export const gatewayMetricNamespace = 'Holdfast';

/** What `holdfast region ready --watch` tells Prometheus of standbys, and CloudWatch in one word. */
export const standbyMetrics = {
  /** By `region` and `check`: 1 when this would not keep it from taking over. */
  ready: 'holdfast_region_ready',
  /** By `region`, also of the one that writes: seconds since 1970. */
  checkedAt: 'holdfast_region_ready_checked_timestamp_seconds',
} as const;
/** Not the gateways' own namespace, which the collectors fill. */
export const readinessMetric = { namespace: 'Holdfast/Regions', name: 'RegionReady' } as const;

/** Log group by which those metrics reach CloudWatch. */
export const metricLogGroup = (platform: Platform, region: string): string =>
  `/holdfast/${prefix(platform)}-${region}/metrics`;

/** Alarm name in AWS: `holdfast-production-us-east-1-GatewayAbsent`. */
export const alarmName = (platform: Platform, region: string, name: string): string =>
  `${prefix(platform)}-${region}-${name}`;

/** ARN of an alarm, for what must stop when it rings. */
export const alarmArn = (platform: Platform, { region, account }: BucketPlace, name: string): string =>
  `arn:aws:cloudwatch:${region}:${account}:alarm:${alarmName(platform, region, name)}`;

/** SNS topic of a region for alarms of a severity. */
export const topicName = (platform: Platform, severity: 'critical' | 'warning'): string =>
  `${prefix(platform)}-${severity}`;

/** EventBridge schedule that calls for the rotation of credentials. */
export const rotationScheduleName = (platform: Platform, region: string): string =>
  `${prefix(platform)}-${region}-rotation`;

/** KMS key of a region that unseals Vault. */
export const vaultKeyAlias = (platform: Platform): string => `alias/${prefix(platform)}-vault`;

/** Name of the database, and of the user that owns it. */
export const database = { name: 'holdfast', user: 'holdfast' } as const;

/** What `cdk bootstrap` has made in a region, for whoever builds stacks without CDK. */
const bootstrapped = (platform: Platform, kind: string, { region, account }: BucketPlace): string =>
  `cdk-${platform.bootstrapQualifier ?? 'hnb659fds'}-${kind}-${account}-${region}`;

/** Bucket for templates that are too large for a call. */
export const bootstrapBucketName = (platform: Platform, place: BucketPlace): string =>
  bootstrapped(platform, 'assets', place);

/** Role that makes what stacks name. */
export const deploymentRoleArn = (platform: Platform, place: BucketPlace): string =>
  `arn:aws:iam::${place.account}:role/${bootstrapped(platform, 'cfn-exec-role', place)}`;

/** Ports of the stores and of what runs beside the gateway, the programs' own defaults. */
export const ports = {
  postgres: 5432,
  valkey: 6379,
  sentinel: 26_379,
  pgbouncer: 6432,
  vault: 8200,
  vllm: 8000,
  agentGateway: 3000,
  otlp: 4318,
  regionWatch: 9300,
} as const;

/** Kubernetes names of the gateway and of what runs beside it. */
export const kubernetes = {
  namespace: 'holdfast',
  gateway: 'gateway',
  gatewayServiceAccount: 'gateway',
  configMap: 'gateway-config',
  secret: 'gateway-secrets',
  /** The StatefulSet's own Service; no client uses it. */
  gatewayPods: 'gateway-pods',
  /** TLS certificate of the platform's domain, where the cluster itself ends TLS. */
  tlsSecret: 'gateway-tls',
  storageClass: 'holdfast',
  pgbouncer: 'pgbouncer',
  /** Its configuration and users, made outside of the manifests. */
  pgbouncerSecret: 'pgbouncer-secrets',
  vllm: 'vllm',
  agentGateway: 'agentgateway',
  otelCollector: 'otel-collector',
  /** Asks again and again whether its region could take over. */
  regionWatch: 'region-watch',
  /** Service without an address of its own, by which the collector finds every gateway. */
  gatewayMetrics: 'gateway-metrics',
  vault: 'vault',
  /** Certificate of Vault's own listener, for `vault` and `*.vault`. */
  vaultTls: 'vault-tls',
  vllmSecret: 'vllm-secrets',
  agentGatewaySecret: 'agentgateway-secrets',
  /** `instance` of Cloud SQL: PROJECT:REGION:INSTANCE. */
  cloudSqlSecret: 'cloud-sql',
  /** `DATA_SOURCE_NAME` of a user with pg_monitor; `REDIS_ADDR` and `REDIS_PASSWORD`. */
  exporterSecret: 'exporter-secrets',
  /** `REDIS_PASSWORD` of a Redis of our own. */
  redisSecret: 'redis-secrets',
  /** `GATEWAY_KEY` of the load test. */
  loadTestSecret: 'load-test-secrets',
  /** `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` for the key that unseals Vault, where no role gives access. */
  vaultSealSecret: 'vault-seal-secrets',
  /** Where no role gives access: `ACCESS_KEY_ID`, `SECRET_ACCESS_KEY`, and `BACKUP_PASSPHRASE` for backups of secrets. */
  objectStoreSecret: 'object-store-secrets',
  postgres: 'postgres',
  redis: 'redis',
  /** CronJobs; alerts watch when they last succeeded. */
  vaultSnapshot: 'vault-snapshot',
  databaseBackup: 'database-backup',
  configurationBackup: 'configuration-backup',
  redisBackup: 'redis-backup',
  /** Service account under which AWS FIS deletes pods in a drill. */
  faultInjection: 'fault-injection',
  /** Whom the cluster takes the role of AWS FIS for. */
  faultInjectionUser: 'fis-experiment',
} as const;
