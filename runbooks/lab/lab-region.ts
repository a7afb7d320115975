/** One region of the lab: its database, cache, gateways in two zones, and nginx before them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegionDatabase } from '../books/region-world.ts';
import { hasEnded } from './child-process.ts';
import { DatabaseServer } from './database-server.ts';
import { allEnded, endAll } from './end-all.ts';
import { freePort } from './free-port.ts';
import { type LabGateway, startLabGateway, thisCheckout } from './gateway-process.ts';
import type { LabLinks, Link } from './lab-links.ts';
import type { LabParts } from './lab-parts.ts';
import { type NginxServer, startNginx } from './nginx.ts';
import { madeIn } from './noted-writes.ts';
import type { PostgresServer } from './postgres.ts';
import { signalTree } from './process-tree.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { labDatabase } from './region-database.ts';
import { otherRegion, type RegionName, zonesOf } from './region-name.ts';
import type { RegionNetwork } from './region-network.ts';
import type { LabSecrets } from './region-secrets.ts';

export interface LabRegionOptions {
  readonly directory: string;
  readonly gateways: number;
  readonly config: string;
  readonly parts: LabParts;
  readonly links: LabLinks;
  /** How many buckets the claim has. */
  readonly buckets: readonly (0 | 1 | 2)[];
  /** Asked at each start of a gateway. */
  readonly environment: () => Readonly<Record<string, string>>;
  /** What changes from one start of a gateway to the next: credentials that are rotated. */
  readonly secrets?: LabSecrets;
  readonly notesWrites: boolean;
  readonly archivesLog: boolean;
  readonly template: string | undefined;
  readonly peer: () => LabRegion;
  readonly network: RegionNetwork;
}

interface Place {
  readonly port: number;
  readonly zone: string;
  image: string;
  gateway?: LabGateway;
}

export const labSecret = 'a-secret-of-the-two-region-lab';
export const labMasterKey = 'sk-master-key-of-the-lab';

export class LabRegion {
  readonly name: RegionName;
  /** The operator's own way to the database, from outside. */
  readonly operator: RegionDatabase;
  /** The database with its folder: starts it, copies it, puts another one in its place. */
  readonly store: DatabaseServer;
  readonly #options: LabRegionOptions;
  readonly #places: Place[] = [];
  /** Zones that traffic keeps away from. */
  #shifted: ReadonlySet<string> = new Set();
  /** Gateways that are being replaced. */
  readonly #resting = new Set<number>();
  #redis: RedisServer | undefined;
  #nginx: NginxServer | undefined;
  #nginxPort = 0;

  constructor(name: RegionName, options: LabRegionOptions) {
    this.name = name;
    this.#options = options;
    this.operator = labDatabase(() => this.operatorUrl);
    this.store = new DatabaseServer(name, { ...options, peer: () => options.peer().store });
  }

  get database(): PostgresServer {
    return this.store.server;
  }

  get redis(): RedisServer | undefined {
    return this.#redis;
  }

  /** For operators. */
  get operatorUrl(): string {
    return this.#options.links.has(`outside>${this.name}.database`)
      ? this.#databaseAt(`outside>${this.name}.database`)
      : this.database.url();
  }

  /** For the gateways of the region. */
  get databaseUrl(): string {
    const { notesWrites, secrets } = this.#options;
    const url = new URL(this.#databaseAt(`${this.name}.gateways>${this.name}.database`));
    if (notesWrites) url.searchParams.set('options', madeIn(this.name));
    if (secrets !== undefined) {
      const { user, password } = secrets.database(this.name);
      url.username = user;
      url.password = password;
    }
    return url.href;
  }

  #databaseAt(link: `${'outside' | `${RegionName}.gateways`}>${RegionName}.database`): string {
    const url = new URL(this.database.url());
    const { host, port } = this.#options.links.of(link);
    url.hostname = host;
    url.port = String(port);
    return url.href;
  }

  /** Those that were started, by their index. */
  get gateways(): readonly LabGateway[] {
    return this.#places.flatMap(({ gateway }) => gateway ?? []);
  }

  get gatewayPorts(): readonly number[] {
    return this.#places.map(({ port }) => port);
  }

  get places(): readonly Readonly<Place>[] {
    return this.#places;
  }

  /** What DNS answers with: the ways in from outside. */
  get addresses(): readonly string[] {
    const doors = this.#nginx === undefined && this.#nginxPort === 0 ? this.#inService() : [0];
    const { links } = this.#options;
    // A gateway that is being added has no door yet.
    const open = doors.map((index): Link => `outside>${this.name}.door-${index}`).filter((door) => links.has(door));
    return open.map((door) => `http://${links.of(door).address}`);
  }

  /** The ways in for those who are in the region themselves, and go on reaching it when it is cut off. */
  get insideAddresses(): readonly string[] {
    const ports = this.#nginxPort === 0 ? this.gatewayPorts : [this.#nginxPort];
    return ports.map((port) => this.#inside(port));
  }

  #inside(port: number): string {
    return `http://${this.#options.network.inside}:${port}`;
  }

  /** Where a gateway of the region finds the other end of one of its ways out. */
  #out(link: Link): string {
    return this.#options.links.of(link).address;
  }

  /** Cache and nginx, with the ways to everything; the gateways are started one by one. */
  async openDoors(): Promise<void> {
    const { links, parts, gateways } = this.#options;
    while (this.#places.length < gateways) await this.#addPlace(zonesOf(this.name)[this.#places.length % 2] ?? '');
    const { inside: host, outside: listenHost } = this.#options.network;
    const database = { host, port: this.database.port };
    await links.open(`outside>${this.name}.database`, database);
    await links.open(`${this.name}.gateways>${this.name}.database`, { ...database, listenHost });
    if (parts.redis !== undefined) {
      const port = await freePort();
      await this.#startRedis(port);
      await links.open(`${this.name}.gateways>${this.name}.redis`, { host, port, listenHost });
    }
    if (parts.nginx === undefined) {
      for (const [index, port] of this.gatewayPorts.entries()) await this.#openDoor(index, port);
      return;
    }
    this.#nginxPort = await freePort();
    await this.#startNginx();
    await this.#openDoor(0, this.#nginxPort);
  }

  async #openDoor(index: number, port: number): Promise<void> {
    const { links, network } = this.#options;
    await links.open(`outside>${this.name}.door-${index}`, { host: network.inside, port });
  }

  async #addPlace(zone: string): Promise<number> {
    const taken = new Set(this.gatewayPorts);
    let port = await freePort();
    while (taken.has(port)) port = await freePort();
    return this.#places.push({ port, zone, image: thisCheckout }) - 1;
  }

  async #startRedis(port: number): Promise<void> {
    const { parts, directory, secrets, network } = this.#options;
    const { redis } = parts;
    if (redis === undefined) return;
    const password = secrets?.cache(this.name);
    this.#redis = await startRedis({
      port,
      host: network.inside,
      directory: join(directory, `${this.name}-redis`),
      binaries: { command: (program, args) => network.enter(redis.command(program, args)) },
      ...(password === undefined ? {} : { password }),
    });
  }

  async #startNginx(): Promise<void> {
    const { parts, network } = this.#options;
    const { nginx } = parts;
    if (nginx === undefined) return;
    this.#nginx = await startNginx({
      port: this.#nginxPort,
      host: network.inside,
      upstreams: this.#upstreams(),
      command: (args) => network.enter(nginx(args)),
    });
  }

  /** Indexes of the gateways that traffic may reach. */
  #inService(): readonly number[] {
    const all = [...this.#places.keys()];
    const wanted = all.filter(
      (index) => !this.#resting.has(index) && !this.#shifted.has(this.#places[index]?.zone ?? ''),
    );
    return wanted.length > 0 ? wanted : all;
  }

  #upstreams(): readonly string[] {
    return this.#inService().map((index) => `${this.#options.network.inside}:${this.#places[index]?.port}`);
  }

  async #lead(): Promise<void> {
    if (this.#nginx !== undefined) await this.#nginx.reload(this.#upstreams());
  }

  get shiftedZones(): ReadonlySet<string> {
    return this.#shifted;
  }

  /** What nginx does not take stays as it was. */
  async shift(zone: string, to: 'away' | 'back'): Promise<void> {
    const before = this.#shifted;
    this.#shifted = new Set([...before].filter((one) => one !== zone).concat(to === 'away' ? [zone] : []));
    try {
      await this.#lead();
    } catch (error) {
      this.#shifted = before;
      throw error;
    }
  }

  /** One more in this zone, which serves when this returns. */
  async addGateway(zone: string): Promise<void> {
    const index = await this.#addPlace(zone);
    await this.startGateway(index);
    if (this.#nginxPort === 0) await this.#openDoor(index, this.gatewayPorts[index] ?? 0);
    await this.#lead();
  }

  /** What a gateway of the region has to be told; `index` counts the processes of the region. */
  async environment(index: number): Promise<Record<string, string>> {
    const { buckets, environment, directory, secrets, parts } = this.#options;
    const peer = otherRegion(this.name);
    const password = secrets?.cache(this.name);
    const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    return {
      DATABASE_URL: this.databaseUrl,
      LITELLM_MASTER_KEY: labMasterKey,
      HOLDFAST_DATA_DIRECTORY: join(directory, `${this.name}-gateway-${index}`),
      HOLDFAST_REGION: this.name,
      HOLDFAST_REGION_SECRET: labSecret,
      HOLDFAST_REGION_ADDRESSES: `${peer}=http://${this.#out(`${this.name}.gateways>${peer}.gateways`)}`,
      HOLDFAST_CLAIM_BUCKETS: buckets.map((bucket) => `claims-${bucket}@lab`).join(','),
      HOLDFAST_CLAIM_ENDPOINT: buckets
        .map((bucket) => `http://${this.#out(`${this.name}.gateways>bucket-${bucket}`)}`)
        .join(','),
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'not-a-secret',
      ...(parts.redis === undefined
        ? {}
        : { REDIS_URL: `redis://${login}${this.#out(`${this.name}.gateways>${this.name}.redis`)}` }),
      ...secrets?.environment(this.name),
      ...environment(),
    };
  }

  /** @param image folder of a Holdfast to run from now on. */
  async startGateway(index: number, image?: string): Promise<LabGateway> {
    const { directory, config, secrets, network } = this.#options;
    const place = this.#places[index];
    if (place === undefined) throw new Error(`region ${this.name} has no gateway ${index}`);
    if (image !== undefined) place.image = image;
    const configPath = join(directory, `${this.name}-config.yaml`);
    await writeFile(configPath, config);
    secrets?.taken(this.name, index);
    place.gateway = await startLabGateway({
      port: place.port,
      host: network.inside,
      enter: network.enter,
      configPath,
      image: place.image,
      environment: await this.environment(index),
      logFile: join(directory, `${this.name}-gateway-${index}.log`),
    });
    return place.gateway;
  }

  /** With an orderly end and a new start; clients are led to the others meanwhile. */
  async replaceGateway(index: number, image?: string): Promise<void> {
    const before = this.#places[index]?.image;
    this.#resting.add(index);
    try {
      await this.#lead();
      await this.#places[index]?.gateway?.stop();
      await this.startGateway(index, image);
    } catch (error) {
      const place = this.#places[index];
      if (place !== undefined && before !== undefined) place.image = before;
      throw error;
    } finally {
      this.#resting.delete(index);
      await this.#lead();
    }
  }

  freezeDatabase(): Promise<void> {
    return this.store.freeze();
  }

  thawDatabase(): Promise<void> {
    return this.store.thaw();
  }

  restartDatabase(): Promise<void> {
    return this.store.restart();
  }

  rebuildDatabase(): Promise<void> {
    return this.store.rebuild();
  }

  /** As a store with its copy in another zone does: the same data and address, and every connection is lost. */
  async failOverStore(store: 'database' | 'cache'): Promise<void> {
    if (store === 'database') {
      await this.database.stop('immediate');
      await this.store.restart();
      return;
    }
    const port = this.#redis?.port;
    await this.#redis?.stop();
    if (port !== undefined) await this.#startRedis(port);
  }

  /** Every process, with SIGKILL. @param zone only what stands in it: gateways. */
  async kill(zone?: string): Promise<void> {
    const gone: Promise<unknown>[] = [];
    for (const { gateway, zone: where } of this.#places) {
      if (gateway === undefined || (zone !== undefined && where !== zone)) continue;
      gateway.kill('SIGKILL');
      gone.push(gateway.exited);
    }
    if (zone === undefined) {
      this.database.kill('SIGKILL');
      this.#redis?.kill('SIGKILL');
      gone.push(this.database.exited, this.#redis?.exited ?? Promise.resolve());
      if (this.#nginx !== undefined) {
        // Its workers would go on without their master.
        await signalTree(this.#nginx.pid, 'SIGKILL');
        gone.push(this.#nginx.exited);
      }
    }
    await Promise.all(gone);
  }

  /** Starts what has ended, on its own folders and ports. */
  async restart(): Promise<void> {
    if (await hasEnded(this.database)) await this.store.restart();
    await this.restartDoors();
    const ended = await Promise.all(
      this.#places.map(async ({ gateway }) => gateway !== undefined && hasEnded(gateway)),
    );
    await allEnded(ended.map(async (is, index) => (is ? this.startGateway(index) : undefined)));
  }

  async hasDoors(): Promise<boolean> {
    const servers = [this.#redis, this.#nginx].filter((server) => server !== undefined);
    return !(await Promise.all(servers.map(hasEnded))).includes(true);
  }

  /** Cache and nginx, as far as they have ended. */
  async restartDoors(): Promise<void> {
    const redis = this.#redis;
    if (redis !== undefined && (await hasEnded(redis))) await this.#startRedis(redis.port);
    if (this.#nginx !== undefined && (await hasEnded(this.#nginx))) await this.#startNginx();
  }

  async stop(): Promise<void> {
    await endAll([
      () => this.store.stop(),
      async () => this.#redis?.stop(),
      async () => this.#nginx?.stop(),
      () => allEnded(this.gateways.map((gateway) => gateway.stop())),
    ]);
  }
}
