/** A gateway's half of the region protocol, in the test's own process: every real part of it, and no model. */
import { randomUUIDv7 } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { linkPath } from '../../../gateway/cluster/peer-link.ts';
import { RegionOffice } from '../../../gateway/cluster/region-office.ts';
import type { SpendLedger } from '../../../gateway/domain/spend.ts';
import { Outbox } from '../../../gateway/outbox/outbox.ts';
import { ClaimStore } from '../../../gateway/region/claim-store.ts';
import type { RegionRules } from '../../../gateway/region/rules.ts';
import { openS3, S3ClaimBucket } from '../../../gateway/region/s3-bucket.ts';
import { ControlPlane } from '../../../gateway/stores/control-plane.ts';
import { IdentityStore } from '../../../gateway/stores/identity.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { PostgresBudgetSlices } from '../../../gateway/stores/slices.ts';
import { PostgresSpendLedger } from '../../../gateway/stores/spend.ts';
import type { HistoryEvent } from '../../../runbooks/lab/region-history.ts';
import { type Link, labSecret, type RegionName, type TwoRegions } from '../../../runbooks/lab/two-regions.ts';
import { spendEvent } from '../../gateway/examples.ts';
import { testActor } from '../../support/identity.ts';

/** All that a gateway is told about the world; as text it can be handed to a process of its own. */
export interface GatewayPlace {
  readonly name: RegionName;
  readonly index: number;
  /** Of the run; each gateway has its own folder in it. */
  readonly directory: string;
  readonly databaseUrl: string;
  /** Of the other region's gateways. */
  readonly peerUrl: string;
  readonly bucketUrls: readonly string[];
  /** Counts the processes of one gateway, so that no change is named twice. */
  readonly life: number;
}

export function placeOf(lab: TwoRegions, name: RegionName, index: number, directory: string): GatewayPlace {
  const peer: RegionName = name === 'a' ? 'b' : 'a';
  const at = (link: Link): string => `http://127.0.0.1:${lab.link(link).port}`;
  return {
    name,
    index,
    directory,
    databaseUrl: lab.region(name).databaseUrl,
    peerUrl: at(`${name}.gateways>${peer}.gateways`),
    bucketUrls: lab.stores.map((_, number) => at(`${name}.gateways>bucket-${number === 0 ? 0 : number === 1 ? 1 : 2}`)),
    life: 1,
  };
}

export interface RegionGatewayOptions {
  readonly place: GatewayPlace;
  readonly rules: RegionRules;
  readonly record: (event: HistoryEvent) => void;
  /** The gateway that answers for its region does so at this port. */
  readonly onListening: (port: number) => void;
  /** Instead of what the product asks before it forgets an event. */
  readonly mayForget?: MayForget;
}

export interface MayForget {
  mayForget(logId: string, seq: number, isArchived: boolean): boolean;
  /** Told what the writer's ledger has taken. */
  shipped?(logId: string, throughSeq: number): Promise<void>;
}

export const spendAccount = 'a:key:of-the-run';
const logger = pino({ level: process.env['HOLDFAST_REGION_LOG'] ?? 'silent' });

export class RegionGateway {
  readonly name: RegionName;
  readonly office: RegionOffice;
  readonly outbox: Outbox;
  /** Awaited around the COMMIT of a change: a network that takes its time. */
  beforeCommit: () => Promise<void> = async () => undefined;
  afterCommit: () => Promise<void> = async () => undefined;
  readonly #options: RegionGatewayOptions;
  readonly #pool: Pool;
  readonly #plane: ControlPlane;
  readonly #clients: ReturnType<typeof openS3>[] = [];
  #server: Server | undefined;
  #writes = 0;

  constructor(options: RegionGatewayOptions) {
    this.#options = options;
    const { place, rules } = options;
    const { name, index, directory } = place;
    this.name = name;
    this.#pool = openPool({ url: place.databaseUrl, poolSize: 4, onError: () => undefined });
    this.#slowCommits();
    const keys = new IdentityStore(this.#pool);
    const local = new PostgresSpendLedger({ pool: this.#pool, keepRows: true, region: name });
    const peer: RegionName = name === 'a' ? 'b' : 'a';
    this.office = new RegionOffice({
      region: name,
      addresses: new Map([[peer, place.peerUrl]]),
      secret: labSecret,
      claims: this.#claims(),
      pool: this.#pool,
      keys,
      local,
      localBudgets: new PostgresBudgetSlices(this.#pool),
      strictBudgets: () => true,
      refuseBeyondRpoSeconds: undefined,
      dataDirectory: join(directory, `${name}-${index}`),
      isLeader: () => index === 0,
      onNewEpoch: () => undefined,
      logger,
      rules,
    });
    this.#plane = new ControlPlane(this.#pool, keys, this.office.right);
    this.outbox = new Outbox({
      directory: join(directory, `${name}-${index}`, 'outbox'),
      ledger: this.#ledger(options.mayForget),
      maxBytes: 64 * 1024 * 1024,
      retainSeconds: 0,
      mayForget: (logId, seq, isArchived) => (options.mayForget ?? this.office.shown).mayForget(logId, seq, isArchived),
      newId: randomUUIDv7,
      onRecovered: () => undefined,
      onInterrupted: () => undefined,
      onDisk: () => undefined,
      onReduced: () => undefined,
      onLost: () => undefined,
      onFailed: (what, error) => logger.info({ name, what, err: error }),
      // Few events a segment and few in memory: what is forgotten is gone.
      sizes: { segmentBytes: 4_096, reserveBytes: 512, minFreeBytes: 0, mostInMemory: 3 },
    });
  }

  /** The product's, and whoever wants to hear what was shipped. */
  #ledger(listener: MayForget | undefined): SpendLedger {
    const { ledger } = this.office;
    if (listener?.shipped === undefined) return ledger;
    return {
      ship: async (logId, firstSeq, events) => {
        const through = await ledger.ship(logId, firstSeq, events);
        await listener.shipped?.(logId, through);
        return through;
      },
      skip: (logId, toSeq) => ledger.skip(logId, toSeq),
      positions: (logIds) => ledger.positions(logIds),
      close: (logId, lastSeq) => ledger.close(logId, lastSeq),
      touch: (logId) => ledger.touch(logId),
    };
  }

  #claims(): ClaimStore {
    return new ClaimStore(
      this.#options.place.bucketUrls.map((endpoint, index) => {
        const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
        const client = openS3({ region: 'lab', endpoint, credentials });
        this.#clients.push(client);
        return new S3ClaimBucket(client, `claims-${index}`, 'claim.json');
      }),
    );
  }

  async start(): Promise<void> {
    if (this.#options.place.index === 0) await this.#listen();
    await this.office.start(1_000);
    await this.outbox.start();
  }

  async stop(): Promise<void> {
    await this.outbox.close(100);
    await this.office.stop();
    for (const client of this.#clients) client.destroy();
    this.#server?.closeAllConnections();
    this.#server?.close();
    await this.#pool.end();
  }

  /** A change of the control plane, where the route says that it is this region's. @returns whether it was acknowledged. */
  async write(): Promise<boolean> {
    const { record, place } = this.#options;
    const { name, index, life } = place;
    if (this.office.writeRoute(false).is !== 'here') return false;
    const write = `${name}${index}-${life}-${++this.#writes}`;
    try {
      await this.#plane.write(testActor, async (writer) => {
        await writer.insert('budget', { budgetId: write, createdBy: name });
        return {};
      });
      record({ is: 'acknowledged', write, region: name });
      return true;
    } catch (error) {
      // Refused, or of unknown outcome: nobody was told that it stands.
      logger.debug({ name, write, err: error });
      return false;
    }
  }

  /** A request that cost a millionth of a dollar. */
  async spend(): Promise<void> {
    const requestId = randomUUIDv7();
    const event = spendEvent(requestId, { costMicros: 1n, accounts: [spendAccount], startedAtMs: Date.now() });
    // What is interrupted costs what was set aside: as much, so that the sums can be compared.
    await this.outbox.begin({ ...event, reservedMicros: 1 });
    this.outbox.end(event);
    await this.outbox.whenWritten();
    this.#options.record({ is: 'accepted', event: requestId });
  }

  /** At any port: the link of the other region is led to it. */
  async #listen(): Promise<void> {
    const server = createServer((request, response) => {
      void (async () => {
        const pieces: Buffer[] = [];
        for await (const piece of request) pieces.push(Buffer.from(piece));
        const path = request.url ?? '';
        const call = path.slice(linkPath('').length);
        const answer = await this.office.answer(call, path, request.headers, Buffer.concat(pieces));
        response.writeHead(answer?.status ?? 401, answer?.headers).end(answer?.body);
      })().catch(() => response.destroy());
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
    this.#options.onListening(address.port);
  }

  /** Every COMMIT passes by here; the rest of the driver is untouched. */
  #slowCommits(): void {
    const pool = this.#pool;
    const seen = new WeakSet<object>();
    pool.on('connect', (client) => {
      if (seen.has(client)) return;
      seen.add(client);
      const query: unknown = Reflect.get(client, 'query');
      if (typeof query !== 'function') return;
      Reflect.set(client, 'query', (...args: unknown[]): unknown => {
        if (args[0] !== 'COMMIT') return Reflect.apply(query, client, args);
        return (async () => {
          await this.beforeCommit();
          const result: unknown = await Reflect.apply(query, client, args);
          await this.afterCommit();
          return result;
        })();
      });
    });
  }
}

/** Does it again and again until told to stop. Never rejects. */
export function repeat(work: () => unknown, pauseMs: () => number): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await work();
      await sleep(pauseMs());
    }
  })();
  return {
    stop: () => {
      stopping.abort();
      return loop;
    },
  };
}
