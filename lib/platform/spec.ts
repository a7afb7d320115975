/** What a user writes in `holdfast.config.ts`; every field is explained where it is declared. */

import type { DrillHours } from './drill-hours.ts';

export type TierName = 'standard' | 'high' | 'critical';
export type TopologyName = 'single-region' | 'active-passive' | 'active-active';
/** What the stacks of a region build. It says nothing about health and a gateway never consults it. */
export type RegionRole = 'primary' | 'standby';
export type EnvironmentName = 'dev' | 'staging' | 'production';
/** Where the manifests run: EKS as our stacks build it, Google's GKE, or any cluster. */
export type ClusterKind = 'eks' | 'gke' | 'generic';
/** What may run beside the gateway; each is one file of manifests, in `k8s/charts/`. */
export const addonNames = [
  'postgres',
  'redis',
  'vault',
  'pgbouncer',
  'vllm',
  'agentgateway',
  'exporters',
  'telemetry',
  'monitoring',
  'backup',
  'drills',
] as const;
export type AddonName = (typeof addonNames)[number];

/** What runs in images of others; one addon may need several. */
export type ImageName =
  | 'pgbouncer'
  | 'vllm'
  | 'agentgateway'
  | 'vault'
  | 'awsCli'
  | 'postgres'
  | 'cloudNativePg'
  | 'kubeStateMetrics'
  | 'postgresExporter'
  | 'redisExporter'
  | 'otelCollector'
  | 'redis'
  | 'k6'
  | 'cloudSqlProxy';

/** Who may administer Kubernetes, what kind of cluster it is, and what runs beside the gateway. */
export interface ClusterSpec {
  /** IAM roles that get cluster administration. Without one nobody can apply the manifests. */
  readonly adminRoleArns?: readonly string[];
  /** Ranges that reach the Kubernetes API from outside. Without one it answers inside the VPC only. */
  readonly publicApiCidrs?: readonly string[];
  /** `eks` if not given. It decides how clients get in and where volumes come from. */
  readonly kind?: ClusterKind;
  /** On a `generic` cluster: `gateway-api` if not given. ingress-nginx is no longer maintained; use it only if you must. */
  readonly ingress?: 'gateway-api' | 'ingress-nginx';
  /** Name of the GatewayClass or IngressClass on a `generic` cluster; `envoy` or `nginx` if not given. */
  readonly ingressClass?: string;
  /** Who binds pods to load balancers on `eks`: Auto Mode, if not given, or a controller of your own. */
  readonly loadBalancerController?: 'auto-mode' | 'self-managed';
  /** Who decides which gateway leads in configurations: `postgres` if not given, or a Lease of Kubernetes. */
  readonly leaderLease?: 'postgres' | 'kubernetes';
  /** `hpa` (CPU, memory) if not given; `keda` scales on request rate and running requests too, and must be installed. */
  readonly autoscaler?: 'hpa' | 'keda';
  /** Where KEDA asks for metrics; `http://prometheus-operated.monitoring:9090` if not given. */
  readonly prometheusUrl?: string;
  /** Name of a ClusterSecretStore: the External Secrets operator fills the gateway's Secret from it. */
  readonly secretStore?: string;
  /** Where traces go (OTLP over HTTP); `http://tempo.monitoring:4318` if not given. */
  readonly otlpEndpoint?: string;
  /** Model that vLLM serves, by its name at Hugging Face. */
  readonly vllmModel?: string;
  /** MCP servers that agents reach through agentgateway, by name. */
  readonly mcpServers?: Readonly<Record<string, string>>;
  /**
   * What gateways call besides HTTPS on port 443, the stores of their region and the addresses in config.yaml: `HOST:PORT`.
   * HOST is a name in the cluster (`llm.models`), one outside, an IPv4 address, or a range such as `10.20.0.0/16`.
   */
  readonly outbound?: readonly string[];
  /** Images from a registry of your own, by digest or by a tag that is never given twice; those of the release if not given. */
  readonly images?: Readonly<Partial<Record<ImageName, string>>>;
  /** Where backups go on a cluster without S3 of AWS: the address of a store that speaks its language. */
  readonly objectStoreUrl?: string;
  /**
   * Lets a stack of each region apply the manifests, instead of you or GitOps. It runs kubectl in a Lambda function inside
   * the network, from a layer of yours (such as the package `@aws-cdk/lambda-layer-kubectl-v36`), by region.
   */
  readonly applyByStack?: { readonly kubectlLayerArns: Readonly<Record<string, string>> };
  /**
   * Whether each region asks again and again if it could take over (`holdfast region ready --watch`), for alerts and alarms. On
   * where a platform of several regions runs on `eks`; elsewhere there is nothing to ask.
   */
  readonly regionWatch?: boolean;
  /** What runs beside the gateway; nothing if not given. */
  readonly addons?: readonly AddonName[];
}

/** Who may deploy from CI, without a key: CI shows a token of its own. */
export interface DeliverySpec {
  /** Subjects that the token may name, for example `repo:acme/gateway:environment:production`. */
  readonly subjects: readonly string[];
  /** Issuer of the tokens; GitHub Actions if not given. */
  readonly issuer?: string;
  /** The account's provider for that issuer, if it has one: AWS allows one. It is made if not given. */
  readonly providerArn?: string;
}

/** Who answers, and where they are told. */
export interface OperationsSpec {
  /** Addresses that get every alarm of both severities, in each region. Each has to confirm once. */
  readonly alertEmails?: readonly string[];
  /** Where the pages of this repository can be read, for example `https://git.example.com/holdfast/blob/main`. */
  readonly runbookUrl?: string;
  /** Model that the canary asks, the cheapest that counts as service; `gpt-4o-mini` if not given. */
  readonly canaryModel?: string;
  /** The on-call rotation: where it is kept, and since when somebody is on it (`2026-11-01`). */
  readonly onCall?: { readonly rotation: string; readonly since: string };
  /** When the next failover drill is held (`2027-01-15`); quarterly is the least. */
  readonly nextDrill?: string;
  /** When a drill in production may begin: people are there to help. Monday to Friday, 09:00 to 16:00 UTC if not given. */
  readonly drillHours?: DrillHours;
}

/** A network that stands already. Subnets are given in the order of the region's zones, one in each. */
export interface OwnNetwork {
  readonly vpcId: string;
  readonly publicSubnetIds: readonly string[];
  /** With a way out, for nodes and pods. */
  readonly privateSubnetIds: readonly string[];
  /** Without one, for the stores. */
  readonly isolatedSubnetIds: readonly string[];
}

/**
 * An EKS cluster that stands already, in the region's network. Its owner keeps its version, nodes, logs, encryption and who
 * administers it; it must take access entries, and outside of Auto Mode it needs the Pod Identity agent, metrics-server and,
 * for tier critical, zonal shift.
 */
export interface OwnCluster {
  readonly name: string;
  /** Group that its nodes and pods are in; the stores and the load balancer are opened to it. */
  readonly securityGroupId: string;
}

/**
 * A PostgreSQL instance of RDS that stands already, in the region's network: the one that takes writes or, in a standby, a
 * replica of it across regions. Its owner keeps its version, class, parameters, backups and their copies; `npm run synth`
 * lists what the tier asks of it. No stack holds it, so no parameter can promote it: the RDS API does.
 */
export interface OwnDatabase {
  /** Of the DB instance. */
  readonly identifier: string;
  /** Group that it is in; it is opened to the cluster's nodes. */
  readonly securityGroupId: string;
  /** Where AWS tries to restore its backups. */
  readonly subnetGroupName: string;
  /** Secret of this region with its user and password, which gateways may read. */
  readonly secretArn: string;
  /** Key of that secret, where it is one of yours and not the one that AWS manages. */
  readonly secretKeyArn?: string;
}

/** One region as the user describes it. */
export interface RegionSpec {
  /** AWS region, for example `us-east-1`. */
  readonly region: string;
  /** Role at the first deployment; afterwards the `RegionRole` stack parameter decides. */
  readonly role: RegionRole;
  /** Zone letters of that account, for example `['a', 'b', 'c']`; as many as the tier asks for. */
  readonly zones: readonly string[];
  /** Private range of the VPC; regions must not overlap, since they talk to each other. */
  readonly cidr: string;
  /** Gateway replicas in peace, if this region differs from the tier's number. */
  readonly gatewayReplicas?: number;
  /**
   * Nodes that AWS keeps for this region in each zone, so that a failover finds them; 0 if not given. They are paid for, used
   * or not. Afterwards the `DesiredCapacity` stack parameter decides.
   */
  readonly reservedNodesPerZone?: number;
  /** Class of the database, if this region differs from the tier's, for example `db.r6g.xlarge`. */
  readonly databaseInstanceClass?: string;
  /** Node type of the cache, if this region differs from the tier's, for example `cache.r7g.xlarge`. */
  readonly cacheNodeType?: string;
  /** A network of yours, with its range in `cidr`; one is made if not given. */
  readonly network?: OwnNetwork;
  /** A cluster of yours, which needs `network`; one is made if not given. */
  readonly cluster?: OwnCluster;
  /** A database of yours, which needs `network`; one is made if not given. */
  readonly database?: OwnDatabase;
  /** ARN of a certificate of yours for `domain` and the region's names; one is made and renewed by AWS if not given. */
  readonly certificateArn?: string;
  /**
   * Account of the regions, where names and CI's role live in another one, that of the platform. Of several regions all have
   * the same: AWS makes no read replica, no copy of a secret and no copy of a key across accounts.
   */
  readonly account?: string;
}

/** A platform as the user describes it. */
export interface PlatformSpec {
  /** Short name, the prefix of everything that is made: lower case letters, digits, single hyphens; at most 20. */
  readonly name: string;
  readonly environment: EnvironmentName;
  /**
   * AWS account: 12 digits. It has the names (hosted zone, health checks), CI's role, and the regions, unless these name one of
   * their own. Each environment's regions have an account that no other environment uses.
   */
  readonly account: string;
  /**
   * Other accounts whose credentials may deploy into this one (`cdk bootstrap --trust`), such as one for CI; those of any
   * other are refused before anything is synthesized.
   */
  readonly deployedFrom?: readonly string[];
  /** Name under which clients reach the gateway, for example `gateway.example.com`. */
  readonly domain: string;
  /** Public hosted zone that holds `domain`. Without an id the dns stack creates the zone. */
  readonly hostedZone: { readonly name: string; readonly id?: string };
  readonly tier: TierName;
  readonly topology: TopologyName;
  readonly regions: readonly RegionSpec[];
  /** Region of the one global stack (dns). It must not be a primary: a stack that dies with its region cannot help. */
  readonly dnsRegion?: string;
  /** A third place for the claim beside two regions: a bucket there, and nothing else. `critical` needs three places. */
  readonly witnessRegion?: string;
  /** Account of that bucket, so that whoever ruins the regions' account does not reach all of the claim; theirs if not given. */
  readonly witnessAccount?: string;
  /**
   * Changes of keys, budgets and configuration, and new slices of budgets, are refused while every replica is farther behind
   * than the tier's RPO: a failover then loses no more of them than the tier allows, at the price that nothing can be changed
   * meanwhile. Requests are served either way. Off if not given.
   */
  readonly refuseBeyondRpo?: boolean;
  /** Where a single region's backups are copied to; a partner region under the same law if not given. */
  readonly backupRegion?: string;
  /**
   * AWS Backup vaults in an account that nobody here can reach, by region: what takes writes in a region is copied to its vault,
   * beside the copy in another region. Vault and regions are in one AWS organization, with cross-account backup on; a vault
   * is in the region of what it gets, because copies of RDS cross a region or an account, not both at once.
   */
  readonly isolatedVaultArns?: Readonly<Record<string, string>>;
  /** Raised at each failback: the new replica in the old home gets a new identifier. */
  readonly databaseGeneration?: Readonly<Record<string, number>>;
  /**
   * Where a region's present database was copied from, by region, when that is not the first primary's first database.
   * Written down once at each failback and kept: AWS refuses to change the source of an existing replica. `identifier` is
   * needed only for a source that was brought along and that `database` no longer names.
   */
  readonly databaseSource?: Readonly<
    Record<string, { readonly region: string; readonly generation: number; readonly identifier?: string }>
  >;
  /** Why the loss of its only region is acceptable for a tier that promises to survive it; printed in every review. */
  readonly regionLoss?: { readonly optOutReason: string };
  /**
   * Adds AWS's own recovery plan (ARC Region switch) beside the runbooks: it scales, promotes and changes records, and
   * knows no claim. Off if not given; it costs a fee for each month that it stands.
   */
  readonly regionSwitchPlan?: boolean;
  /**
   * One cache for all regions (ElastiCache Global Datastore) instead of one in each; with active-passive alone. A standby's
   * part takes no writes until somebody promotes it, and its gateways count for themselves until then. Off if not given: all
   * that the cache holds can be derived again, and caches of their own fail on their own. Decide before the first deployment:
   * a cache that stands cannot join.
   */
  readonly globalCache?: boolean;
  /** Qualifier that the accounts were bootstrapped with (`cdk bootstrap --qualifier`); CDK's own if not given. */
  readonly bootstrapQualifier?: string;
  readonly operations?: OperationsSpec;
  /** A role for CI to deploy with; none if not given. */
  readonly delivery?: DeliverySpec;
  readonly cluster?: ClusterSpec;
  /** Gateway image. Pin by digest for anything that matters. */
  readonly image: string;
  /**
   * Digest of that image in the regions' own registries (ECR), where whoever releases has pushed it to one and AWS copied
   * it to the others: each region then pulls from itself, and `image` only tells its version.
   */
  readonly imageDigest?: string;
  readonly tags?: Readonly<Record<string, string>>;
}
