/**
 * The platform model: the one description that stacks, manifests, runbooks, alerts and the checklist are made from.
 * A user writes it in `holdfast.config.ts`; everything else reads it through this folder.
 */
import { claimRegionsOf } from './claims.ts';
import { tagKeys } from './names.ts';
import { partnerRegions } from './partner-regions.ts';
import type {
  ClusterSpec,
  DeliverySpec,
  EnvironmentName,
  OperationsSpec,
  OwnCluster,
  OwnDatabase,
  OwnNetwork,
  PlatformSpec,
  RegionRole,
  RegionSpec,
  TopologyName,
} from './spec.ts';
import { type Tier, tiers } from './tiers.ts';
import { findFaults } from './validate.ts';
import { canWatch } from './watch.ts';

/** One database instance: the region it stands in and its generation there. */
export interface DatabaseRef {
  readonly region: string;
  readonly account: string;
  readonly databaseGeneration: number;
  /** Of a database that was brought along, and which generation that is; every other one has a computed name. */
  readonly brought?: { readonly identifier: string; readonly databaseGeneration: number };
}

/** One region with everything resolved; it stands for its present database, too. */
export interface Region extends DatabaseRef {
  readonly role: RegionRole;
  /** Full zone names, for example `us-east-1a`. */
  readonly availabilityZones: readonly string[];
  readonly cidr: string;
  readonly gatewayReplicas: number;
  readonly reservedNodesPerZone: number;
  readonly databaseInstanceClass: string;
  readonly cacheNodeType: string;
  /** A network that was brought along. */
  readonly network?: OwnNetwork;
  /** A cluster that was brought along. */
  readonly cluster?: OwnCluster;
  /** A database that was brought along. */
  readonly database?: OwnDatabase;
  /** A certificate that was brought along. */
  readonly certificateArn?: string;
  /** What this region's database is a replica of; undefined for the platform's first database, which was created empty. */
  readonly databaseSource: DatabaseRef | undefined;
}

/** A region that serves nobody. */
export interface Satellite {
  readonly region: string;
  readonly account: string;
  /** It holds a third of the claim. */
  readonly witness: boolean;
  /** It holds the copies of a single region's backups. */
  readonly copies: boolean;
}

/** A checked platform with its tier's numbers filled in. */
export interface Platform {
  readonly name: string;
  readonly environment: EnvironmentName;
  readonly account: string;
  readonly deployedFrom: readonly string[];
  readonly domain: string;
  readonly hostedZone: { readonly name: string; readonly id?: string };
  readonly tier: Tier;
  readonly topology: TopologyName;
  readonly regions: readonly Region[];
  readonly primary: Region;
  readonly standbys: readonly Region[];
  readonly dnsRegion: string;
  readonly cluster: Required<Omit<ClusterSpec, 'secretStore' | 'objectStoreUrl' | 'applyByStack'>> &
    Pick<ClusterSpec, 'secretStore' | 'objectStoreUrl' | 'applyByStack'>;
  /** Regions whose bucket holds the claim; empty where only one region can write. */
  readonly claimRegions: readonly string[];
  /** Regions that serve nobody but hold a claim or copies of backups. */
  readonly satellites: readonly Satellite[];
  /** Vaults in an account of their own, by region. */
  readonly isolatedVaultArns: Readonly<Record<string, string>>;
  readonly regionLoss?: { readonly optOutReason: string };
  readonly bootstrapQualifier?: string;
  readonly regionSwitchPlan: boolean;
  readonly refuseBeyondRpo: boolean;
  readonly globalCache: boolean;
  readonly delivery?: DeliverySpec;
  readonly operations: Omit<OperationsSpec, 'alertEmails' | 'canaryModel'> &
    Required<Pick<OperationsSpec, 'alertEmails' | 'canaryModel'>>;
  readonly image: string;
  readonly imageDigest?: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Every fault of a platform description at once, each naming the field, what is wrong, and the mend. */
export class PlatformError extends Error {
  readonly faults: readonly string[];
  /** What was described, so that more can be said of it. */
  readonly specs: readonly PlatformSpec[];
  constructor(faults: readonly string[], specs: readonly PlatformSpec[] = []) {
    super(`holdfast.config.ts has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'PlatformError';
    this.faults = faults;
    this.specs = specs;
  }
}

/**
 * Checks a platform and fills in what its tier decides.
 * @throws PlatformError with all faults when the description cannot work.
 */
export function definePlatform(spec: PlatformSpec): Platform {
  const faults = findFaults(spec);
  if (faults.length > 0) throw new PlatformError(faults, [spec]);
  const tier = tiers[spec.tier];
  const regions = spec.regions.map((region) => resolveRegion(region, spec, tier));
  const primary = regions.find((region) => region.role === 'primary');
  if (primary === undefined) throw new PlatformError(['regions: no primary']);
  const standbys = regions.filter((region) => region !== primary);
  return {
    name: spec.name,
    environment: spec.environment,
    account: spec.account,
    deployedFrom: spec.deployedFrom ?? [],
    domain: spec.domain,
    hostedZone: spec.hostedZone,
    tier,
    topology: spec.topology,
    regions,
    primary,
    standbys,
    dnsRegion: spec.dnsRegion ?? standbys[0]?.region ?? primary.region,
    claimRegions: claimRegionsOf(spec),
    satellites: resolveSatellites(spec, primary),
    isolatedVaultArns: spec.isolatedVaultArns ?? {},
    ...(spec.delivery !== undefined && { delivery: spec.delivery }),
    ...(spec.regionLoss !== undefined && { regionLoss: spec.regionLoss }),
    ...(spec.bootstrapQualifier !== undefined && { bootstrapQualifier: spec.bootstrapQualifier }),
    regionSwitchPlan: spec.regionSwitchPlan ?? false,
    refuseBeyondRpo: spec.refuseBeyondRpo ?? false,
    globalCache: spec.globalCache ?? false,
    operations: { alertEmails: [], canaryModel: 'gpt-4o-mini', ...spec.operations },
    cluster: resolveCluster(spec),
    image: spec.image,
    ...(spec.imageDigest !== undefined && { imageDigest: spec.imageDigest }),
    tags: { ...spec.tags, [tagKeys.platform]: spec.name, [tagKeys.environment]: spec.environment },
  };
}

function resolveSatellites(spec: PlatformSpec, primary: Region): Satellite[] {
  const { account } = primary;
  const { witnessRegion, witnessAccount } = spec;
  if (spec.topology === 'single-region') {
    // RDS replicates a log of its backups into no other account.
    const region = spec.backupRegion ?? partnerRegions[primary.region];
    return region === undefined ? [] : [{ region, account, witness: false, copies: true }];
  }
  return witnessRegion === undefined
    ? []
    : [{ region: witnessRegion, account: witnessAccount ?? account, witness: true, copies: false }];
}

function resolveCluster({ cluster = {}, topology }: PlatformSpec): Platform['cluster'] {
  const ingress = cluster.ingress ?? 'gateway-api';
  return {
    adminRoleArns: [],
    publicApiCidrs: [],
    kind: 'eks',
    ingressClass: ingress === 'gateway-api' ? 'envoy' : 'nginx',
    loadBalancerController: 'auto-mode',
    leaderLease: 'postgres',
    autoscaler: 'hpa',
    prometheusUrl: 'http://prometheus-operated.monitoring:9090',
    otlpEndpoint: 'http://tempo.monitoring:4318',
    vllmModel: 'Qwen/Qwen3-8B',
    mcpServers: {},
    outbound: [],
    images: {},
    regionWatch: canWatch({ cluster, topology }),
    addons: [],
    ...cluster,
    ingress,
  };
}

function resolveRegion(region: RegionSpec, spec: PlatformSpec, tier: Tier): Region {
  const inPeace = region.role === 'primary' ? tier.gateway.replicas : tier.gateway.standbyReplicas;
  return {
    region: region.region,
    role: region.role,
    account: region.account ?? spec.account,
    availabilityZones: region.zones.map((zone) => `${region.region}${zone}`),
    cidr: region.cidr,
    ...(region.network !== undefined && { network: region.network }),
    ...(region.cluster !== undefined && { cluster: region.cluster }),
    ...(region.database !== undefined && { database: region.database }),
    ...(region.certificateArn !== undefined && { certificateArn: region.certificateArn }),
    gatewayReplicas: region.gatewayReplicas ?? (spec.topology === 'active-active' ? tier.gateway.replicas : inPeace),
    reservedNodesPerZone: region.reservedNodesPerZone ?? 0,
    databaseInstanceClass: region.databaseInstanceClass ?? tier.database.instanceClass,
    cacheNodeType: region.cacheNodeType ?? tier.cache.nodeType,
    ...presentDatabase(region, spec),
    databaseSource: resolveDatabaseSource(region, spec),
  };
}

const presentDatabase = (
  { region, database }: RegionSpec,
  spec: PlatformSpec,
): Pick<DatabaseRef, 'databaseGeneration' | 'brought'> => {
  const databaseGeneration = spec.databaseGeneration?.[region] ?? 1;
  return {
    databaseGeneration,
    ...(database !== undefined && { brought: { identifier: database.identifier, databaseGeneration } }),
  };
};

/** The first primary's first database is the origin; every other one is a replica, by default of that origin. */
function resolveDatabaseSource(region: RegionSpec, spec: PlatformSpec): DatabaseRef | undefined {
  const primary = spec.regions.find((candidate) => candidate.role === 'primary');
  const given = spec.databaseSource?.[region.region];
  const source = given ?? { region: primary?.region, generation: 1 };
  if (source.region === undefined || (given === undefined && region.role === 'primary')) return undefined;
  const home = spec.regions.find((candidate) => candidate.region === source.region);
  const brought =
    given?.identifier === undefined
      ? home && presentDatabase(home, spec).brought
      : { identifier: given.identifier, databaseGeneration: given.generation };
  return {
    region: source.region,
    account: home?.account ?? spec.account,
    databaseGeneration: source.generation,
    ...(brought?.databaseGeneration === source.generation && { brought }),
  };
}
