/** This process among the regions, as its settings describe them. */
import { randomUUIDv7 } from 'node:crypto';
import { LeaderElection } from './cluster/leader.ts';
import { RegionOffice } from './cluster/region-office.ts';
import { ClaimStore } from './region/claim-store.ts';
import { openS3, S3ClaimBucket } from './region/s3-bucket.ts';
import type { ClaimSettings } from './settings/region.ts';
import type { Settings } from './settings.ts';
import { LeaderLease } from './stores/leader-lease.ts';
import type { Stores } from './stores/stores.ts';
import type { Logger } from './telemetry/log.ts';

export interface OpenedRegion {
  readonly office: RegionOffice;
  /** A first look that takes longer is finished in the background: requests are served without it. */
  start(withinMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** One process renews the claim; when it is gone, another takes over before the claim's lease of 15 s is over. */
const keeper = { name: 'region-keeper', leaseSeconds: 6, renewSeconds: 2 } as const;

/** @returns undefined where there is one region, or no database. */
export function openRegion(
  settings: Settings,
  stores: Stores,
  logger: Logger,
  tellSiblings: (id: string, text: string) => void,
  strictBudgets: () => boolean,
): OpenedRegion | undefined {
  const { region } = settings;
  const { pool, keys, ledger, budgets, management } = stores;
  if (region === undefined || pool === undefined || keys === undefined) return undefined;
  if (ledger === undefined || budgets === undefined || management === undefined) return undefined;
  const election = new LeaderElection({
    lease: new LeaderLease(pool, keeper.name, keeper.leaseSeconds),
    holder: randomUUIDv7(),
    ...keeper,
    now: () => performance.now(),
    onChange: () => undefined,
    // In a standby region the database is a replica, and nobody keeps anything there.
    onError: (error) => logger.debug({ err: error }, 'the lease of the region keeper could not be taken'),
  });
  const claims = region.claim === undefined ? undefined : openClaims(region.claim);
  const office = new RegionOffice({
    region: region.name,
    addresses: region.addresses,
    secret: region.secret,
    claims: claims?.store,
    pool,
    keys,
    local: ledger,
    localBudgets: budgets,
    strictBudgets,
    refuseBeyondRpoSeconds: region.refuseBeyondRpoSeconds,
    dataDirectory: settings.dataDirectory,
    isLeader: () => election.leadership.is === 'leader',
    onNewEpoch: () => pool.dropConnections(),
    tellSiblings,
    logger,
  });
  management.right = office.right;
  if (stores.cluster !== undefined) stores.cluster.versions.right = office.right;
  return {
    office,
    start: async (withinMs) => {
      election.start();
      await office.start(withinMs);
    },
    stop: async () => {
      await Promise.all([office.stop(), election.stop()]);
      claims?.close();
    },
  };
}

function openClaims({ buckets, key, endpoints }: ClaimSettings): { store: ClaimStore; close(): void } {
  const clients = buckets.map(({ region }, index) => {
    const endpoint = endpoints[index] ?? endpoints[0];
    return openS3({ region, ...(endpoint === undefined ? {} : { endpoint }) });
  });
  const store = new ClaimStore(
    buckets.flatMap(({ name }, index) => {
      const client = clients[index];
      return client === undefined ? [] : [new S3ClaimBucket(client, name, key)];
    }),
  );
  return {
    store,
    close: () => {
      for (const client of clients) client.destroy();
    },
  };
}
