/**
 * Two regions on one machine: a PostgreSQL primary and its streaming standby, an object store with conditional writes,
 * on each side gateways, and with them Redis and nginx, and a proxy on every way between and to them. Everything is real
 * but the distance.
 *
 *     const lab = await startTwoRegions({ directory });
 *     await lab.partition();          // the regions do not hear each other any more
 *     await lab.isolate('a');         // nobody outside of a hears it any more
 *     lab.region('a').database.kill('SIGKILL');
 *     await lab.heal();
 *     await lab.stop();
 */
import { mkdir } from 'node:fs/promises';
import { type Claim, claimSchema } from '../../gateway/region/claim.ts';
import { ClaimStore } from '../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../gateway/region/s3-bucket.ts';
import { allEnded, endAll } from './end-all.ts';
import { messageOf } from './error-code.ts';
import type { FaultProxy, Faults } from './fault-proxy.ts';
import { type LabArchive, LabArchives } from './lab-archives.ts';
import { type BucketIndex, crossesBorderOf, cutOff, isBetweenRegions, LabLinks, type Link } from './lab-links.ts';
import type { LabParts } from './lab-parts.ts';
import { LabRegion } from './lab-region.ts';
import { type ObjectStore, startObjectStore } from './object-store.ts';
import { otherRegion, type RegionName, regionNames } from './region-name.ts';
import { type LabNetworks, loopbackNetworks } from './region-network.ts';
import type { LabSecrets } from './region-secrets.ts';

export { makeTemplate } from './database-template.ts';
export type { Link } from './lab-links.ts';
export { type LabRegion, labMasterKey, labSecret } from './lab-region.ts';
export { type RegionName, regionNames } from './region-name.ts';

export interface TwoRegionsOptions {
  /** For everything that is written; made when absent. The caller removes it. */
  readonly directory: string;
  /** Processes in each region. */
  readonly gateways?: number;
  /** The caller brings its own, at the ports that were meant for them. */
  readonly ownGateways?: true;
  /** Text of their config.yaml. One for both: the writer's is replicated. */
  readonly config?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** What differs from region to region. */
  readonly environmentOf?: (region: RegionName) => Readonly<Record<string, string>>;
  /** Of the claim's lease. */
  readonly ttlSeconds?: number;
  /** One claim bucket (in b), or three of which the third lies in neither region. */
  readonly buckets?: 1 | 3;
  /** Each new key is noted in its database: by whom, in which epoch, under which row; see `writesIn`. */
  readonly notesWrites?: true;
  /** The log of changes is kept, for restores to a point in time. */
  readonly archivesLog?: true;
  /** Each region's spend is archived in the other one. */
  readonly archivesSpend?: true;
  /** A stopped cluster with the schema in it, to copy instead of making one; see `makeTemplate`. */
  readonly template?: string;
  /** What each region has besides database and gateways; nothing if not given. */
  readonly parts?: LabParts;
  /** Credentials that can be rotated; the operator's own and none for the cache if not given. */
  readonly secrets?: LabSecrets;
  /** Loopback for both if not given. */
  readonly networks?: LabNetworks;
}

export interface EpochSeen {
  readonly epoch: number;
  readonly writer: string;
  /** ISO 8601. */
  readonly at: string;
}

export interface TwoRegions {
  readonly claims: ClaimStore;
  readonly stores: readonly ObjectStore[];
  /** Of spend, as an operator reaches them; empty unless it is archived. */
  readonly archives: readonly LabArchive[];
  /** Where the operator reaches the stores. */
  readonly storeUrls: readonly string[];
  /** Every epoch that the claim has named, oldest first. */
  readonly epochs: readonly EpochSeen[];
  region(name: RegionName): LabRegion;
  link(name: Link): FaultProxy;
  /** Nothing passes between the regions; the third bucket is reached by both, and clients reach everything. */
  partition(faults?: Partial<Faults>): Promise<void>;
  /** Nothing enters or leaves a region: neither the other region nor clients, health checkers and operators outside. */
  isolate(name: RegionName): Promise<void>;
  /** Every link is sound again. */
  heal(): Promise<void>;
  /** What a person would look at first. */
  status(): Promise<Readonly<Record<string, unknown>>>;
  stop(): Promise<void>;
}

/** @throws LauncherError; nothing is left running. */
export async function startTwoRegions(options: TwoRegionsOptions): Promise<TwoRegions> {
  const lab = new Lab(options);
  try {
    await lab.start();
    return lab;
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

class Lab implements TwoRegions {
  readonly #options: TwoRegionsOptions;
  readonly #links = new LabLinks();
  readonly #regions = new Map<RegionName, LabRegion>();
  readonly stores: ObjectStore[] = [];
  readonly epochs: EpochSeen[] = [];
  readonly #clients: ReturnType<typeof openS3>[] = [];
  readonly #archives: LabArchives | undefined;
  claims = new ClaimStore([]);

  constructor(options: TwoRegionsOptions) {
    this.#options = options;
    if (options.archivesSpend) this.#archives = new LabArchives(this.#links, options.directory);
  }

  async start(): Promise<void> {
    const { directory, ttlSeconds = 15 } = this.#options;
    await mkdir(directory, { recursive: true });
    for (const index of this.#buckets) {
      const store = await startObjectStore({ onPut: (name, body) => this.#notice(name, body) });
      this.stores.push(store);
      await this.#links.open(`outside>bucket-${index}`, { port: store.port });
    }
    this.claims = new ClaimStore(this.storeUrls.map((url, index) => this.#bucket(index, url)));
    const first: Claim = {
      epoch: 1,
      writer: 'a',
      phase: 'held',
      run: null,
      candidates: ['b'],
      sequence: 0,
      ttlSeconds,
    };
    const signal = AbortSignal.timeout(10_000);
    await this.claims.swap(await this.claims.read(signal), first, signal);
    for (const name of regionNames) this.#regions.set(name, this.#makeRegion(name));
    const [a, b] = [this.region('a'), this.region('b')];
    await a.store.startPrimary();
    const { networks = loopbackNetworks } = this.#options;
    await this.#archives?.open(networks);
    const openBetween = (link: Link, from: RegionName, to: RegionName, port: number) =>
      this.#links.open(link, { host: networks[to].inside, port, listenHost: networks[from].outside });
    await openBetween('b.database>a.database', 'b', 'a', a.database.port);
    await b.store.follow();
    await openBetween('a.database>b.database', 'a', 'b', b.database.port);
    for (const name of regionNames) {
      await this.region(name).openDoors();
      for (const [index, store] of this.stores.entries()) {
        const listenHost = networks[name].outside;
        await this.#links.open(`${name}.gateways>bucket-${this.#buckets[index] ?? 0}`, {
          port: store.port,
          listenHost,
        });
      }
    }
    for (const name of regionNames) {
      const [peer] = this.region(otherRegion(name)).insideAddresses;
      const other = otherRegion(name);
      if (peer !== undefined) {
        await openBetween(`${name}.gateways>${other}.gateways`, name, other, Number(new URL(peer).port));
      }
    }
    if (this.#options.ownGateways === true) return;
    const starts = [a, b].flatMap((region) => region.gatewayPorts.map((_, index) => region.startGateway(index)));
    // One that is still being started would not be ended with the others.
    await allEnded(starts);
  }

  get archives(): readonly LabArchive[] {
    return this.#archives?.all ?? [];
  }

  get #buckets(): readonly BucketIndex[] {
    return this.#options.buckets === 3 ? [0, 1, 2] : [0];
  }

  get storeUrls(): readonly string[] {
    return this.#buckets.map((index) => `http://${this.#links.of(`outside>bucket-${index}`).address}`);
  }

  #makeRegion(name: RegionName): LabRegion {
    const { directory, gateways = 1, config = '', environment, environmentOf, parts = {}, secrets } = this.#options;
    return new LabRegion(name, {
      directory,
      gateways,
      config,
      parts,
      links: this.#links,
      buckets: this.#buckets,
      environment: () => ({ ...this.#archives?.environmentOf(name), ...environment, ...environmentOf?.(name) }),
      ...(secrets === undefined ? {} : { secrets }),
      notesWrites: this.#options.notesWrites === true,
      archivesLog: this.#options.archivesLog === true,
      template: this.#options.template,
      peer: () => this.region(otherRegion(name)),
      network: (this.#options.networks ?? loopbackNetworks)[name],
    });
  }

  #notice(name: string, body: Buffer): void {
    if (!name.endsWith('/claim.json')) return;
    const { epoch, writer } = claimSchema.parse(JSON.parse(body.toString()));
    if (this.epochs.some((seen) => seen.epoch === epoch && seen.writer === writer)) return;
    this.epochs.push({ epoch, writer, at: new Date().toISOString() });
  }

  #bucket(index: number, url: string): S3ClaimBucket {
    const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
    const client = openS3({ region: 'lab', endpoint: url, credentials });
    this.#clients.push(client);
    return new S3ClaimBucket(client, `claims-${index}`, 'claim.json');
  }

  region(name: RegionName): LabRegion {
    const region = this.#regions.get(name);
    if (region === undefined) throw new Error(`there is no region ${name}`);
    return region;
  }

  link(name: Link): FaultProxy {
    return this.#links.of(name);
  }

  partition(faults: Partial<Faults> = cutOff): Promise<void> {
    return this.#links.set(isBetweenRegions, faults);
  }

  async isolate(name: RegionName): Promise<void> {
    await this.#options.networks?.[name].pullCable();
    await this.#links.set((link) => crossesBorderOf(name, link), cutOff);
  }

  async heal(): Promise<void> {
    for (const name of regionNames) await this.#options.networks?.[name].plugCable();
    await this.#links.heal();
  }

  async status(): Promise<Readonly<Record<string, unknown>>> {
    const { newest } = await this.claims.read(AbortSignal.timeout(5_000));
    const regions = await Promise.all(
      regionNames.map(async (name) => {
        const region = this.region(name);
        const database = await region.operator.view(AbortSignal.timeout(5_000)).catch(messageOf);
        const gateways = await Promise.all(
          region.gateways.map(async ({ url }) =>
            fetch(`${url}/health/region`, { signal: AbortSignal.timeout(2_000) })
              .then((answer) => answer.json())
              .catch(messageOf),
          ),
        );
        return [name, { database, gateways }] as const;
      }),
    );
    return { claim: newest, ...Object.fromEntries(regions) };
  }

  async stop(): Promise<void> {
    await endAll([
      async () => this.#clients.forEach((client) => client.destroy()),
      () => allEnded(this.stores.map((store) => store.close())),
      async () => this.#archives?.close(),
      () => this.#links.close(),
      () => allEnded([...this.#regions.values()].map((region) => region.stop())),
    ]);
  }
}
