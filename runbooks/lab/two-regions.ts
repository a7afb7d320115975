/**
 * Two regions on one machine: a PostgreSQL primary and its streaming standby, an object store with conditional writes,
 * gateways on both sides, and a proxy on every link between them. Everything is real but the distance.
 *
 *     const lab = await startTwoRegions({ directory });
 *     await lab.partition();          // the regions do not hear each other any more
 *     lab.region('a').database.kill('SIGKILL');
 *     await lab.heal();
 *     await lab.stop();
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Claim, claimSchema } from '../../gateway/region/claim.ts';
import { ClaimStore } from '../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../gateway/region/s3-bucket.ts';
import type { RegionDatabase } from '../books/region-world.ts';
import { type FaultProxy, type Faults, startFaultProxy } from './fault-proxy.ts';
import { freePort } from './free-port.ts';
import { type LabGateway, migrateLab, startLabGateway } from './gateway-process.ts';
import { madeIn, noteWritesSql } from './noted-writes.ts';
import { type ObjectStore, startObjectStore } from './object-store.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { copyCluster, startStandby } from './postgres-standby.ts';
import { signalTree } from './process-tree.ts';
import { ask, labDatabase } from './region-database.ts';
import { runCommand } from './run-command.ts';

export type RegionName = 'a' | 'b';
export const regionNames = ['a', 'b'] as const;
const other = (name: RegionName): RegionName => (name === 'a' ? 'b' : 'a');

export interface TwoRegionsOptions {
  /** For everything that is written; made when absent. The caller removes it. */
  readonly directory: string;
  /** Processes in each region. */
  readonly gateways?: number;
  /** The caller brings its own, at the ports that were meant for them. */
  readonly ownGateways?: true;
  /** Text of their config.yaml. */
  readonly config?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Of the claim's lease. */
  readonly ttlSeconds?: number;
  /** One claim bucket (in b), or three of which the third lies in neither region. */
  readonly buckets?: 1 | 3;
  /** Each new key is noted in its database: by whom, in which epoch, under which row; see `writesIn`. */
  readonly notesWrites?: true;
  /** A stopped cluster with the schema in it, to copy instead of making one; see `makeTemplate`. */
  readonly template?: string;
}

/** A way through the network; each has its own faults. */
export type Link =
  | `${RegionName}.gateways>${RegionName}.database`
  | `${RegionName}.gateways>${RegionName}.gateways`
  | `${RegionName}.database>${RegionName}.database`
  | `${RegionName}.gateways>bucket-${0 | 1 | 2}`;

export interface LabRegion {
  readonly name: RegionName;
  /** For the gateways of the region. */
  readonly databaseUrl: string;
  /** The operator's own way to it. */
  readonly operator: RegionDatabase;
  readonly operatorUrl: string;
  readonly database: PostgresServer;
  readonly gateways: LabGateway[];
  readonly gatewayPorts: readonly number[];
  /** What a gateway of the region has to be told; `index` counts the processes of the region. */
  environment(index: number): Promise<Record<string, string>>;
  startGateway(index: number): Promise<LabGateway>;
  /** SIGSTOP or SIGCONT for the database with all its processes. */
  freezeDatabase(): Promise<void>;
  thawDatabase(): Promise<void>;
  /** Starts the database again on its folder, after a kill. */
  restartDatabase(): Promise<void>;
  /** Throws the database away and makes a replica of the other region's. */
  rebuildDatabase(): Promise<void>;
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
  /** Every epoch that the claim has named, oldest first. */
  readonly epochs: readonly EpochSeen[];
  region(name: RegionName): LabRegion;
  link(name: Link): FaultProxy;
  /** Nothing passes between the regions; the third bucket is reached by both. */
  partition(faults?: Partial<Faults>): Promise<void>;
  /** Every link is sound again. */
  heal(): Promise<void>;
  /** What a person would look at first. */
  status(): Promise<Readonly<Record<string, unknown>>>;
  stop(): Promise<void>;
}

export const labSecret = 'a-secret-of-the-two-region-lab';
export const labMasterKey = 'sk-master-key-of-the-lab';
const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '80',
  shared_buffers: '16MB',
  wal_keep_size: '256MB',
  hot_standby_feedback: 'on',
} as const;
const cut: Partial<Faults> = { freeze: 'both', accept: 'silent' };

/** A cluster with the schema, stopped: copying it takes a fraction of the time that making one takes. */
export async function makeTemplate(directory: string, migrate?: (url: string) => Promise<void>): Promise<string> {
  const dataDirectory = join(directory, 'template');
  await mkdir(directory, { recursive: true });
  const server = await startPostgres({ dataDirectory, port: await freePort(), settings });
  await (migrate?.(server.url()) ?? migrateLab(server.url(), join(directory, 'migrate.log')));
  await server.stop();
  return dataDirectory;
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
  readonly #links = new Map<Link, FaultProxy>();
  readonly #regions = new Map<RegionName, Region>();
  readonly stores: ObjectStore[] = [];
  readonly epochs: EpochSeen[] = [];
  readonly #clients: ReturnType<typeof openS3>[] = [];
  claims = new ClaimStore([]);

  constructor(options: TwoRegionsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { directory, gateways = 1, buckets = 1, ttlSeconds = 15 } = this.#options;
    await mkdir(directory, { recursive: true });
    for (let index = 0; index < buckets; index++)
      this.stores.push(await startObjectStore({ onPut: (name, body) => this.#notice(name, body) }));
    this.claims = new ClaimStore(this.stores.map(({ url }, index) => this.#bucket(index, url)));
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
    for (const name of regionNames) {
      this.#regions.set(name, new Region(name, this, { ...this.#options, gatewayPorts: await freePorts(gateways) }));
    }
    const [a, b] = [this.#of('a'), this.#of('b')];
    await a.startPrimary();
    await this.#open('b.database>a.database', a.database.port);
    await b.follow(a);
    await this.#open('a.database>b.database', b.database.port);
    for (const name of regionNames) {
      await this.#open(`${name}.gateways>${name}.database`, this.#of(name).database.port);
      for (const [index, store] of this.stores.entries()) {
        await this.#open(`${name}.gateways>bucket-${toIndex(index)}`, store.port);
      }
      const [peer] = this.#of(other(name)).gatewayPorts;
      if (peer !== undefined) await this.#open(`${name}.gateways>${other(name)}.gateways`, peer);
    }
    if (this.#options.ownGateways === true) return;
    const starts = [a, b].flatMap((region) => region.gatewayPorts.map((_, index) => region.startGateway(index)));
    await Promise.all(starts);
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

  async #open(name: Link, port: number): Promise<void> {
    this.#links.set(name, await startFaultProxy({ port }));
  }

  #of(name: RegionName): Region {
    const region = this.#regions.get(name);
    if (region === undefined) throw new Error(`there is no region ${name}`);
    return region;
  }

  region(name: RegionName): Region {
    return this.#of(name);
  }

  link(name: Link): FaultProxy {
    const link = this.#links.get(name);
    if (link === undefined) throw new Error(`there is no link ${name}`);
    return link;
  }

  /** Bucket 0 lies in b and bucket 1 in a. */
  async partition(faults: Partial<Faults> = cut): Promise<void> {
    const between: Link[] = [
      'a.database>b.database',
      'b.database>a.database',
      'a.gateways>b.gateways',
      'b.gateways>a.gateways',
      'a.gateways>bucket-0',
      'b.gateways>bucket-1',
    ];
    await Promise.all(between.map(async (name) => this.#links.get(name)?.set(faults)));
  }

  async heal(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.heal()));
  }

  async status(): Promise<Readonly<Record<string, unknown>>> {
    const { newest } = await this.claims.read(AbortSignal.timeout(5_000));
    const regions = await Promise.all(
      regionNames.map(async (name) => {
        const region = this.#of(name);
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
    await Promise.all([...this.#regions.values()].map((region) => region.stop()));
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    await Promise.all(this.stores.map((store) => store.close()));
    for (const client of this.#clients) client.destroy();
  }
}

class Region implements LabRegion {
  readonly name: RegionName;
  readonly gateways: LabGateway[] = [];
  readonly gatewayPorts: readonly number[];
  readonly operator: RegionDatabase;
  readonly #lab: Lab;
  readonly #options: TwoRegionsOptions;
  #server: PostgresServer | undefined;

  constructor(name: RegionName, lab: Lab, options: TwoRegionsOptions & { readonly gatewayPorts: readonly number[] }) {
    this.name = name;
    this.#lab = lab;
    this.#options = options;
    this.gatewayPorts = options.gatewayPorts;
    this.operator = labDatabase(() => this.operatorUrl);
  }

  get database(): PostgresServer {
    if (this.#server === undefined) throw new Error(`the database of ${this.name} was never started`);
    return this.#server;
  }

  get operatorUrl(): string {
    return this.database.url();
  }

  get databaseUrl(): string {
    const url = new URL(this.database.url());
    url.port = String(this.#lab.link(`${this.name}.gateways>${this.name}.database`).port);
    if (this.#options.notesWrites === true) url.searchParams.set('options', madeIn(this.name));
    return url.href;
  }

  get #directory(): string {
    return join(this.#options.directory, `${this.name}-database`);
  }

  async startPrimary(): Promise<void> {
    const { template, directory } = this.#options;
    const from = template ?? (await makeTemplate(directory));
    await copyCluster(from, this.#directory);
    await keepLog(from, this.#directory);
    await this.#start(await freePort());
    await ask(this.operatorUrl, 'SELECT name_first_region($1)', [this.name]);
    if (this.#options.notesWrites === true) await ask(this.operatorUrl, noteWritesSql);
  }

  async follow(primary: Region): Promise<void> {
    const { port } = this.#lab.link(`${this.name}.database>${primary.name}.database`);
    this.#server = await startStandby({
      primary: primary.database,
      primaryDirectory: primary.#directory,
      dataDirectory: this.#directory,
      port: this.#server?.port ?? (await freePort()),
      follow: { host: '127.0.0.1', port },
      settings,
    });
  }

  freezeDatabase(): Promise<void> {
    return signalTree(this.database.pid, 'SIGSTOP');
  }

  thawDatabase(): Promise<void> {
    return signalTree(this.database.pid, 'SIGCONT');
  }

  async restartDatabase(): Promise<void> {
    await this.#start(this.database.port);
  }

  async rebuildDatabase(): Promise<void> {
    await this.database.stop('immediate');
    await this.follow(this.#lab.region(other(this.name)));
  }

  async #start(port: number): Promise<void> {
    this.#server = await startPostgres({ dataDirectory: this.#directory, port, settings });
  }

  async environment(index: number): Promise<Record<string, string>> {
    const { buckets = 1, environment } = this.#options;
    const peer = other(this.name);
    const names = Array.from({ length: buckets }, (_, bucket) => toIndex(bucket));
    return {
      DATABASE_URL: this.databaseUrl,
      LITELLM_MASTER_KEY: labMasterKey,
      HOLDFAST_DATA_DIRECTORY: join(this.#options.directory, `${this.name}-gateway-${index}`),
      HOLDFAST_REGION: this.name,
      HOLDFAST_REGION_SECRET: labSecret,
      HOLDFAST_REGION_ADDRESSES: `${peer}=http://127.0.0.1:${this.#lab.link(`${this.name}.gateways>${peer}.gateways`).port}`,
      HOLDFAST_CLAIM_BUCKETS: names.map((bucket) => `claims-${bucket}@lab`).join(','),
      HOLDFAST_CLAIM_ENDPOINT: names
        .map((bucket) => `http://127.0.0.1:${this.#lab.link(`${this.name}.gateways>bucket-${bucket}`).port}`)
        .join(','),
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'not-a-secret',
      ...environment,
    };
  }

  async startGateway(index: number): Promise<LabGateway> {
    const { directory, config = '' } = this.#options;
    const port = this.gatewayPorts[index];
    if (port === undefined) throw new Error(`region ${this.name} has no gateway ${index}`);
    const configPath = join(directory, `${this.name}-config.yaml`);
    await writeFile(configPath, config);
    const gateway = await startLabGateway({
      port,
      configPath,
      environment: await this.environment(index),
      logFile: join(directory, `${this.name}-gateway-${index}.log`),
    });
    this.gateways[index] = gateway;
    return gateway;
  }

  async stop(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    if (this.#server === undefined) return;
    await this.thawDatabase();
    await this.#server.stop('immediate');
  }
}

/** A cluster that was stopped needs the end of its log to start. */
async function keepLog(from: string, to: string): Promise<void> {
  await runCommand({ command: 'cp', args: ['-a', `${from}/pg_wal/.`, `${to}/pg_wal/`] }, { timeoutSeconds: 30 });
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

const toIndex = (index: number): 0 | 1 | 2 => (index === 0 ? 0 : index === 1 ? 1 : 2);
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
