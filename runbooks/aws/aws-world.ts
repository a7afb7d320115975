/** The regions of a platform in AWS, as the books that move the writer see them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasNamesElsewhere } from '../../lib/platform/accounts.ts';
import {
  bootstrapBucketName,
  bucketName,
  cacheName,
  cacheSecretName,
  clusterArn,
  database,
  databaseIdentifier,
  databaseSecretName,
  deploymentRoleArn,
  dnsStackName,
  eksClusterName,
  entranceName,
  gatewaySecretName,
  loadBalancerName,
  regionalDomain,
  stackName,
} from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { SpendPlaces } from '../books/archived-spend.ts';
import type { RegionCapacity, RegionDatabase } from '../books/region-world.ts';
import type { World } from '../books/world.ts';
import type { RunbookId } from '../catalog.ts';
import type { RegionReadiness } from '../region/ready.ts';
import { verify } from '../verify/verify.ts';
import { AwsDrill } from './aws-drill.ts';
import { awsBackups } from './backups.ts';
import { type BucketIn, openClaims } from './claims.ts';
import { type AwsAccess, AwsClients } from './clients.ts';
import { capacityOf, clusterCapacity, type Needs } from './cluster-capacity.ts';
import { countedDrill } from './counted-drill.ts';
import { awsCredentials } from './credentials.ts';
import { awsDatabaseInUse } from './database-in-use.ts';
import { type DrillHost, drillConditions } from './drill-conditions.ts';
import { failbackShares } from './failback-shares.ts';
import { awsFoundation } from './foundation.ts';
import { loginInCluster, loginInSecretsManager } from './gateway-login.ts';
import { gatewayRestart } from './gateway-restart.ts';
import { awsGlobalCache } from './global-cache.ts';
import { kubectlProgram } from './kubectl.ts';
import { lostWritesLists } from './lost-writes.ts';
import type { PgRestoreProgram } from './pg-restore.ts';
import { oldestUnshippedSeconds, prometheusVitals } from './prometheus-vitals.ts';
import { putReadiness } from './ready-metrics.ts';
import { awsRegionDatabase } from './region-database.ts';
import { type AskReadiness, awsReadiness, neededPods, readinessOf } from './region-readiness.ts';
import { regionRows } from './region-rows.ts';
import { awsRegionTraffic } from './region-traffic.ts';
import { awsReleases } from './releases.ts';
import { awsReplicas } from './replicas.ts';
import { survivingRows } from './surviving-rows.ts';
import { awsUpgrades } from './upgrades.ts';
import { readWorkloads } from './workloads.ts';
import { awsZones } from './zones.ts';

export interface AwsWorldOptions {
  readonly platform: Platform;
  readonly access?: AwsAccess;
  /** One or three, in different regions. */
  readonly claims: readonly BucketIn[];
  /** One in each region that may take over. */
  readonly takeovers: readonly BucketIn[];
  /** How a region's database is reached from here; the runbook writes its row. */
  readonly databaseUrl: (region: string) => string;
  /** The same for the database that a region had before a failback; undefined = not told. */
  readonly oldDatabaseUrl?: (region: string) => string | undefined;
  /** Prometheus that scrapes a region's gateways. @throws when none is known. */
  readonly prometheusUrl?: (region: string) => string;
  /** What CDK made of `platform`: the template of a stack. */
  readonly templateOf?: (stack: string) => Promise<string>;
  /** What was made of `platform` for Kubernetes: text of a region's file of manifests. */
  readonly manifestOf?: (region: string, file: string) => Promise<string>;
  /** All of a region's files of manifests, in the order in which they are applied. */
  readonly manifestsOf?: (region: string) => Promise<readonly Manifest[]>;
  /** Books the archived spend of all regions into a region's database. */
  readonly reingest?: SpendPlaces['reingest'];
  /** AWS profile of the account with the names, where the regions have another one. @throws when none is known. */
  readonly namesProfile?: () => string;
  /** `kubectl`, if not given. */
  readonly kubectl?: string;
  /** With what dumps are restored; absent = they are not. */
  readonly pgRestore?: PgRestoreProgram;
  /** How a region's cache is reached from here, redis:// or rediss://. @throws when it is not known. */
  readonly cacheUrl?: (region: string) => string;
  /** An administrator's key, for the verification and for a drill's clients. */
  readonly key: string;
  /** What this machine knows that AWS does not, for drills; absent = they are refused. */
  readonly drills?: DrillHost;
}

export interface Manifest {
  readonly file: string;
  readonly text: string;
}

/** Books whose every verb this world has. */
export const awsBooks: readonly RunbookId[] = [
  'region-failover',
  'region-switchover',
  'region-failback',
  'zone-evacuation',
  'database-restore',
  'disaster-restore',
  'backup-verify',
  'credential-rotation',
  'release',
  'upgrade',
  'drill',
];

/** Why a platform in AWS has no part in a book. */
export function awsRefusals({ claimRegions, cluster }: Platform): Readonly<Partial<Record<RunbookId, string>>> {
  const needsClaim = 'a platform of one region has no claim to who writes; name a standby in holdfast.config.ts';
  const moves = ['region-failover', 'region-switchover', 'region-failback', 'database-restore', 'disaster-restore'];
  return {
    ...(claimRegions.length > 0 ? {} : Object.fromEntries(moves.map((book) => [book, needsClaim]))),
    ...(cluster.secretStore === undefined
      ? {
          'credential-rotation': 'nothing carries secrets into the cluster: set cluster.secretStore (External Secrets)',
        }
      : {}),
  };
}

export interface AwsWorld extends World {
  /** What AWS tells of a standby before it is needed. */
  readonly readiness: AskReadiness;
  /** Pods that a region has while another one writes. */
  readonly capacityInPeace: RegionCapacity['read'];
  /** Where the alarms of the stacks look. */
  readonly publishReadiness: (results: readonly RegionReadiness[], signal: AbortSignal) => Promise<void>;
  close(): Promise<void>;
}

export function awsWorld(options: AwsWorldOptions): AwsWorld {
  const { platform, access = {}, claims, takeovers, databaseUrl, key } = options;
  const clients = new AwsClients(access);
  const prometheusUrl = options.prometheusUrl ?? unknown('the Prometheus');
  const claim = openClaims(claims, access);
  const regionOf = (name: string): Region => {
    const found = platform.regions.find(({ region }) => region === name);
    if (found === undefined) throw new Error(`the platform has no region ${name}`);
    return found;
  };
  const kubectl = kubectlProgram({ command: options.kubectl ?? 'kubectl', contextOf: (name) => name });
  const { autoscaler } = platform.cluster;
  // What serves all clients in the primary has to stand elsewhere, too, before clients move there.
  const needed = (): Needs => neededPods(platform, platform.primary);
  const inPeace = (name: string): Needs => neededPods(platform, regionOf(name));
  const wait = async (seconds: number, signal: AbortSignal): Promise<void> => {
    try {
      await sleep(seconds * 1000, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  };
  const writer = async (signal: AbortSignal): Promise<string> =>
    claims.length === 0
      ? platform.primary.region
      : ((await claim.store.read(signal)).agreed?.writer ?? unknown('the writer')(platform.name));
  const releases = awsReleases(clients, {
    platform,
    regionOf,
    kubectl,
    writer,
    manifestOf: options.manifestOf ?? unknown('the manifests'),
    wait,
  });
  let namesClients: AwsClients | undefined;
  const openNames = (): AwsClients => {
    if (!hasNamesElsewhere(platform, platform.primary)) return clients;
    const profile = (options.namesProfile ?? (() => unknown('the AWS profile')(platform.account)))();
    // Without the credentials at hand, which are of the regions’ account.
    namesClients = new AwsClients({ ...(access.endpoint !== undefined && { endpoint: access.endpoint }), profile });
    return namesClients;
  };
  const owner = `${database.user}_owner`;
  const gatewayLogin = (name: string, signal: AbortSignal) =>
    platform.cluster.secretStore === undefined
      ? loginInCluster(kubectl, name, signal)
      : loginInSecretsManager(clients, name, gatewaySecretName(platform), signal);
  const backups = awsBackups(clients, {
    platform,
    regionOf,
    databaseUrl,
    ...(options.pgRestore !== undefined && { dumps: { pgRestore: options.pgRestore, owner, gatewayLogin, wait } }),
  });
  const vitalsPlace = { regions: platform.regions.map(({ region }) => region), urlOf: prometheusUrl };
  const databaseIn = (name: string): RegionDatabase =>
    awsRegionDatabase(clients, {
      region: name,
      identifier: databaseIdentifier(platform, regionOf(name)),
      stack: regionOf(name).database === undefined ? stackName(platform, name, 'data') : undefined,
      rows: regionRows(databaseUrl(name)),
      wait,
    });
  const drill = new AwsDrill(clients, {
    platform: platform.name,
    environment: platform.environment,
    conditions: drillConditions(clients, { platform, host: options.drills, databaseIn }),
    url: `https://${platform.domain}`,
    regionalUrls: Object.fromEntries(
      platform.regions.map(({ region }) => [region, `https://${regionalDomain(platform, region)}`]),
    ),
    key,
    model: platform.operations.canaryModel,
    ledgerFolder: options.drills?.ledgerFolder ?? '.',
    writer,
    rows: (name, ledger, signal) => survivingRows(databaseUrl(name), ledger, signal),
    epochs: async (signal) => {
      const agreed = claims.length === 0 ? undefined : (await claim.store.read(signal)).agreed;
      return agreed === undefined ? '' : `${agreed.epoch} ${agreed.writer}`;
    },
    counted: countedDrill(vitalsPlace),
    wait,
  });
  return {
    ...backups,
    readiness: awsReadiness(clients, {
      ...readinessOf(platform, regionOf),
      newestBackup: (...asked) => backups.newestBackup(...asked),
      imageIn: async (name, signal) => (await releases.view({ region: name }, signal)).image,
    }),
    capacityInPeace: async (name, signal) => capacityOf(await readWorkloads(kubectl, name, signal), inPeace(name)),
    publishReadiness: (results, signal) => putReadiness(clients, results, signal),
    upgrades: awsUpgrades(clients, {
      databaseIn: (name) => databaseIdentifier(platform, regionOf(name)),
      clusterIn: (name) => eksClusterName(platform, name),
      wait,
    }),
    credentials: awsCredentials(clients, {
      kubectl,
      regions: platform.regions.map(({ region }) => region),
      gatewaySecret: gatewaySecretName(platform),
      databaseSecret: databaseSecretName(platform),
      cacheSecret: cacheSecretName(platform),
      cache: cacheName(platform),
      hasPooler: platform.cluster.addons.includes('pgbouncer'),
      roles: {
        owner,
        login: (name, turn) => `${database.user}_${name.replaceAll('-', '_')}_${turn}`,
      },
      writer,
      databaseUrl,
      cacheUrl: options.cacheUrl ?? unknown('the address of the cache'),
      wait,
    }),
    drill,
    inUse: {
      ...awsDatabaseInUse(clients, {
        identifierIn: (name) => databaseIdentifier(platform, regionOf(name)),
        databaseUrl,
        oldestUnshippedSeconds: oldestUnshippedSeconds(prometheusUrl),
        reingest: options.reingest,
        wait,
      }),
      ...gatewayRestart(kubectl),
    },
    shares: failbackShares(openNames, {
      region: platform.dnsRegion,
      stack: dnsStackName(platform),
      primary: platform.primary.region,
      wait,
    }),
    vitals: prometheusVitals(vitalsPlace),
    replicas: awsReplicas(clients, {
      platform,
      regionOf,
      templateOf: options.templateOf ?? unknown('the template'),
      lists: lostWritesLists(clients, {
        bucketOf: (name) => bucketName(platform, regionOf(name), 'journal'),
        oldUrl: options.oldDatabaseUrl ?? (() => undefined),
        survivorUrl: databaseUrl,
        keyOf: (old) => `runs/lost-writes/${databaseIdentifier(platform, old)}.json`,
      }),
      wait,
    }),
    claims: claim.store,
    foundation: awsFoundation(clients, {
      platform,
      kubectl,
      templateOf: options.templateOf ?? unknown('the template'),
      templateBucketIn: (name) => bootstrapBucketName(platform, regionOf(name)),
      deploymentRoleIn: (name) => deploymentRoleArn(platform, regionOf(name)),
      manifestsOf: options.manifestsOf ?? unknown('the manifests'),
      wait,
    }),
    releases,
    ...(platform.globalCache && { globalCache: awsGlobalCache(clients, cacheName(platform)) }),
    database: databaseIn,
    traffic: awsRegionTraffic(clients, (name) => {
      const found = takeovers.find(({ region }) => region === name);
      if (found === undefined) throw new Error(`no takeover bucket is known in ${name}`);
      return found.bucket;
    }),
    capacity: clusterCapacity(kubectl, { autoscaler, needed }),
    zones: awsZones(clients, {
      kubectl,
      autoscaler,
      needed: inPeace,
      zonesIn: (name) => regionOf(name).availabilityZones.length,
      clusterArn: (name) => clusterArn(platform, regionOf(name)),
      loadBalancers: (name) => [loadBalancerName(platform, name), entranceName(platform, name)],
      databaseIn: (name) => databaseIdentifier(platform, regionOf(name)),
      cache: cacheName(platform),
    }),
    verify: (name, write, signal) =>
      verify({
        url: `https://${regionalDomain(platform, name)}`,
        key,
        write,
        timeoutSeconds: 30,
        spendPatienceSeconds: 15,
        signal,
      }),
    wait,
    close: async () => {
      await drill.close();
      clients.destroy();
      namesClients?.destroy();
      claim.destroy();
    },
  };
}

const unknown =
  (what: string) =>
  (of: string): never => {
    throw new Error(`${what} of ${of} is not known here`);
  };
