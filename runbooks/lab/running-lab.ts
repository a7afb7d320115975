/** The lab that people keep running: two regions with everything they have, clients, and what the books ask of it. */
import { join } from 'node:path';
import { healthPaths, metricNames } from '../../gateway/contract.ts';
import type { BookedSpend } from '../books/archived-spend.ts';
import { LedgerClients } from '../load/ledger-clients.ts';
import { endAll } from './end-all.ts';
import type { LabArchive } from './lab-archives.ts';
import { LabBackups } from './lab-backups.ts';
import type { ControlledLab } from './lab-control.ts';
import { labFoundation } from './lab-foundation.ts';
import type { LabParts } from './lab-parts.ts';
import { labReleases } from './lab-releases.ts';
import { LabSecretStore } from './lab-secrets.ts';
import type { LabServices } from './lab-verbs.ts';
import { LabWorld } from './lab-world.ts';
import { labZones } from './lab-zones.ts';
import { isReady } from './ready-gateways.ts';
import { type RegionName, regionNames } from './region-name.ts';
import { type LabNetworks, loopbackNetworks } from './region-network.ts';
import { labMasterKey, startTwoRegions, type TwoRegions } from './two-regions.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export interface RunningLabOptions {
  readonly directory: string;
  /** In each region. */
  readonly gateways: number;
  /** Of its clients; 0 = none. */
  readonly requestsPerSecond: number;
  readonly ttlSeconds: number;
  readonly parts: LabParts;
  /** A stopped cluster with the schema in it, to copy instead of making one. */
  readonly template?: string;
  /** Loopback for both if not given. */
  readonly networks?: LabNetworks;
  /** Books archived spend in the database of the region that writes. May be repeated. */
  readonly bookArchives: (
    archives: readonly LabArchive[],
    region: RegionName,
    databaseUrl: string,
    signal: AbortSignal,
  ) => Promise<BookedSpend>;
}

export interface RunningLab extends ControlledLab {
  stop(): Promise<void>;
}

const model = 'chat';
const config = `
model_list:
  - model_name: ${model}
    litellm_params: {model: openai/m, api_base: os.environ/LAB_UPSTREAM, api_key: os.environ/LAB_PROVIDER_KEY, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}`;
/** One administrator, who makes a key now and then: enough to see whether changes are taken. */
const betweenWritesMs = 2_000;
/** Soon the archive alone has what was shipped, as after a night in production. */
const outboxRetainSeconds = 5;
const keptEntries = 5_000;
const recentMs = 10_000;

/** @throws LauncherError; nothing is left running. */
export async function startRunningLab(options: RunningLabOptions): Promise<RunningLab> {
  const ends: (() => Promise<void>)[] = [];
  const stop = (): Promise<void> => endAll(ends.splice(0));
  try {
    return await start(options, ends, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: RunningLabOptions,
  ends: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<RunningLab> {
  const { directory, gateways, requestsPerSecond } = options;
  const secrets = new LabSecretStore();
  const { ttlSeconds, parts, template, networks = loopbackNetworks } = options;
  const upstreams = {
    a: await startLabUpstream(secrets, networks.a.outside),
    b: await startLabUpstream(secrets, networks.b.outside),
  };
  ends.push(() => upstreams.a.close());
  ends.push(() => upstreams.b.close());
  const lab = await startTwoRegions({
    directory,
    gateways,
    ttlSeconds,
    parts,
    config,
    secrets,
    archivesLog: true,
    archivesSpend: true,
    environment: { HOLDFAST_OUTBOX_RETAIN_SECONDS: String(outboxRetainSeconds) },
    environmentOf: (name) => ({ LAB_UPSTREAM: upstreams[name].url }),
    networks,
    ...(template === undefined ? {} : { template }),
  });
  ends.push(() => lab.stop());
  secrets.attach(lab);
  const world = new LabWorld({ lab, gateways, model, requestsPerSecond, notesWrites: false });
  ends.push(() => world.stop());
  const backups = new LabBackups({
    lab,
    directory,
    config,
    secrets,
    template: template ?? join(directory, 'template'),
    oldestUnshippedSeconds: (region, signal) => oldestUnshippedSeconds(lab, region, signal),
    bookArchivedSpend: (region, signal) =>
      options.bookArchives(lab.archives, region, lab.region(region).operatorUrl, signal),
  });
  ends.push(() => backups.stop());
  const clients = requestsPerSecond > 0 ? startClients(world, requestsPerSecond) : undefined;
  ends.push(async () => clients?.stop());
  const { capacity, shares, replicas } = world;
  const services: LabServices = {
    capacity,
    shares,
    replicas,
    vitals: (region, windowSeconds) => world.vitals(region, windowSeconds),
    zones: labZones(lab, gateways, isReady),
    newestBackup: (kind, region) => backups.newestBackup(kind, region),
    restores: backups.restores,
    inUse: backups.inUse,
    credentials: secrets,
    releases: labReleases(lab, directory),
    foundation: labFoundation(lab),
  };
  return {
    lab,
    services,
    takeBackups: (signal) => backups.takeBackups(signal),
    clients: () => ({ dnsLeadsTo: world.traffic.edge.active, ...(clients && recentOf(clients)) }),
    map: {
      stores: [...lab.storeUrls],
      regions: Object.fromEntries(
        regionNames.map((name) => {
          const { operatorUrl, addresses } = lab.region(name);
          return [name, { operatorUrl, address: addresses[0] ?? '' }];
        }),
      ),
      key: labMasterKey,
      model,
    },
    stop,
  };
}

/** It takes the keys that are accepted now, and no other. */
const startLabUpstream = (secrets: LabSecretStore, host: string): Promise<Upstream> =>
  startUpstream({
    host,
    name: 'the upstream of the lab',
    chunkEveryMs: 20,
    keepsRequests: false,
    intercept: ({ headers }, response) => {
      if (secrets.isProviderKey((headers.authorization ?? '').replace(/^Bearer /, ''))) return false;
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}');
      return true;
    },
  });

const startClients = (world: LabWorld, requestsPerSecond: number): LedgerClients =>
  new LedgerClients({
    resolve: () => world.traffic.edge.resolve(),
    key: labMasterKey,
    model,
    requestsPerSecond,
    streaming: 0.3,
    dnsTtlMs: 1_000,
    timeoutMs: 4_000,
    betweenWritesMs,
    mostEntries: keptEntries,
  });

/** How the clients fared in the last ten seconds. */
function recentOf({ entries, writes }: LedgerClients): object {
  const sinceMs = performance.now() - recentMs;
  const requests = entries.filter(({ atMs }) => atMs > sinceMs);
  const changes = writes.filter(({ atMs }) => atMs > sinceMs);
  return {
    seconds: recentMs / 1000,
    requests: requests.length,
    answered: requests.filter(({ isAnswered }) => isAnswered).length,
    atTheFirstTry: requests.filter(({ isAnswered, tries }) => isAnswered && tries === 1).length,
    changes: changes.length,
    acknowledged: changes.filter(({ isAcknowledged }) => isAcknowledged).length,
  };
}

async function oldestUnshippedSeconds(lab: TwoRegions, region: RegionName, signal: AbortSignal): Promise<number> {
  const ages = await Promise.all(
    lab.region(region).gateways.map(async ({ url }) => {
      const answer = await fetch(new URL(healthPaths.metrics, url), {
        signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]),
      });
      const lines = (await answer.text())
        .split('\n')
        .filter((line) => line.startsWith(metricNames.outboxOldestSeconds));
      return Math.max(0, ...lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1))));
    }),
  );
  return Math.max(0, ...ages);
}

/** Where other commands look for the lab of this folder. */
export const labPlaceFile = (data: string): string => join(data, 'lab.json');
