/** The two regions of this machine as the books see them: the same verbs as AWS, over real processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimStore } from '../../gateway/region/claim-store.ts';
import type { Vitals } from '../books/canary-world.ts';
import type { DrillConditions, DrillMeasurements, DrillWorld } from '../books/drill.ts';
import type { Finding } from '../books/finding.ts';
import type { FailbackWorld, LostWrites } from '../books/region-failback.ts';
import type { RegionDatabase } from '../books/region-world.ts';
import { verify } from '../verify/verify.ts';
import { type DrillRecords, drillMeasurements, unbooked } from './drill-measurements.ts';
import { LabEdge } from './edge.ts';
import { LabLoad, type LoadEntry } from './load.ts';
import { writesIn } from './noted-writes.ts';
import { storeObject } from './object-store.ts';
import { ask } from './region-database.ts';
import type { WriteRow } from './region-history.ts';
import { labMasterKey, type RegionName, regionNames, type TwoRegions } from './two-regions.ts';
import { LabVitals } from './vitals.ts';

export interface LabWorldOptions {
  readonly lab: TwoRegions;
  /** Gateways in each region. */
  readonly gateways: number;
  /** Model group of the lab's config. */
  readonly model: string;
  readonly requestsPerSecond: number;
  /** Epochs that the drilled book begins by a planned move. */
  readonly plannedEpochs?: readonly number[];
}

const healthIntervalMs = 1_000;
const failureThreshold = 2;
const takeoverName = (region: string): string => `takeover-${region}/takeover.json`;

export class LabWorld implements FailbackWorld, DrillWorld {
  readonly edge: LabEdge;
  readonly #options: LabWorldOptions;
  readonly #broken = new Map<RegionName, 'kill' | 'partition'>();
  /** Of every database there ever was, by name. */
  readonly #everywhere = new Map<string, WriteRow>();
  readonly #vitals: LabVitals;
  readonly #lostWrites = new Map<RegionName, LostWrites>();
  /** Percent, while a is taken over. */
  #shareOfA = 0;
  #load: LabLoad | undefined;
  #brokenAtMs: number | undefined;
  #mendedAtMs: number | undefined;
  #comparedUntilMs = 0;

  constructor(options: LabWorldOptions) {
    this.#options = options;
    const regionOf = (name: RegionName) => ({
      name,
      addresses: options.lab.region(name).gatewayPorts.map((port) => `http://127.0.0.1:${port}`),
    });
    this.edge = new LabEdge({
      primary: regionOf('a'),
      standby: regionOf('b'),
      intervalMs: healthIntervalMs,
      failureThreshold,
      isTakenOver: (region) => this.#objects.has(takeoverName(region)),
      primaryShare: () => this.#shareOfA,
    });
    this.#vitals = new LabVitals(new Map(regionNames.map((name) => [name, this.#addresses(name)])));
  }

  get claims(): ClaimStore {
    return this.#options.lab.claims;
  }

  database(region: string): RegionDatabase {
    return this.#region(region).operator;
  }

  readonly traffic = {
    takeover: async (region: string) => {
      const found = this.#objects.get(takeoverName(region));
      return found === undefined ? undefined : found.body.toString();
    },
    takeOver: async (region: string, runId: string) =>
      void storeObject(this.#objects, takeoverName(region), Buffer.from(runId)),
    giveBack: async (region: string) => void this.#objects.delete(takeoverName(region)),
  };

  readonly shares = {
    read: async (region: string) => this.shareOf(region),
    set: async (region: string, percent: number) => {
      this.#shareOfA = this.#region(region).name === 'a' ? percent : 100 - percent;
    },
  };

  async vitals(region: string, windowSeconds: number): Promise<Vitals> {
    return this.#vitals.read(this.#region(region).name, windowSeconds);
  }

  readonly replicas = {
    view: async (region: string, _source: string, signal: AbortSignal) => {
      const { role } = await this.database(region).view(signal);
      return role === 'replica' ? ('ready' as const) : ('absent' as const);
    },
    create: async (region: string) => {
      const { name } = this.#region(region);
      await this.#keepWrites(name);
      await this.#options.lab.region(name).rebuildDatabase();
    },
    // It is gone with the next one that is built.
    remove: async () => undefined,
    lostWrites: async (region: string) => this.#lostWrites.get(this.#region(region).name),
    listLostWrites: async (region: string, survivor: string) => {
      const { name } = this.#region(region);
      const there = new Set((await writesIn(this.#region(survivor).operatorUrl)).map(({ write }) => write));
      const lost = (await writesIn(this.#region(name).operatorUrl)).filter(({ write }) => !there.has(write));
      this.#lostWrites.set(name, { count: lost.length, report: lost.map(({ write }) => write).join(' ') });
    },
  };

  /** Percent of the clients, while a is taken over. */
  shareOf(region: string): number {
    return this.#region(region).name === 'a' ? this.#shareOfA : 100 - this.#shareOfA;
  }

  /** What the clients were answered so far. */
  get answers(): readonly LoadEntry[] {
    return this.#load?.entries ?? [];
  }

  readonly capacity = {
    read: async (region: string, signal: AbortSignal) => {
      const { gatewayPorts } = this.#region(region);
      const ready = await Promise.all(gatewayPorts.map((port) => isReady(port, signal)));
      return { ready: ready.filter(Boolean).length, needed: this.#options.gateways };
    },
    raise: async (region: string, _to: number, signal: AbortSignal) => {
      const { gatewayPorts, startGateway } = this.#bound(region);
      for (const [index, port] of gatewayPorts.entries()) {
        if (!(await isReady(port, signal))) await startGateway(index);
      }
    },
  };

  async verify(region: string, write: boolean, signal: AbortSignal): Promise<readonly Finding[]> {
    const [port] = this.#region(region).gatewayPorts;
    return verify({
      url: `http://127.0.0.1:${port}`,
      key: labMasterKey,
      model: this.#options.model,
      embeddingModel: this.#options.model,
      write,
      timeoutSeconds: 10,
      spendPatienceSeconds: 10,
      signal,
    });
  }

  async wait(seconds: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(seconds * 1000, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  readonly drill = {
    conditions: async (): Promise<DrillConditions> => ({
      alerts: [],
      unfinishedRuns: [],
      lagSeconds: 0,
      isInWindow: true,
      backupVerifiedDaysAgo: undefined,
    }),
    load: async () => (this.#load === undefined ? ('absent' as const) : ('running' as const)),
    startLoad: async () => {
      const { model, requestsPerSecond } = this.#options;
      this.#load = new LabLoad({
        resolve: () => this.edge.resolve(),
        pinned: regionNames.map((name) => ({ name, addresses: this.#addresses(name) })),
        key: labMasterKey,
        model,
        requestsPerSecond,
        streaming: 0.3,
        dnsTtlMs: 1_000,
        timeoutMs: 4_000,
      });
      // Something to compare with.
      await sleep(warmUpMs);
      this.#comparedUntilMs = performance.now();
    },
    stopLoad: async () => {
      await this.#load?.stop();
      this.#load = undefined;
    },
    isBroken: async (region: string) => this.#broken.has(this.#region(region).name),
    break: async (region: string, fault: 'kill' | 'partition') => {
      const { lab } = this.#options;
      const victim = this.#region(region);
      this.#broken.set(victim.name, fault);
      this.#brokenAtMs = performance.now();
      if (fault === 'partition') return lab.partition();
      for (const gateway of victim.gateways) gateway.kill('SIGKILL');
      victim.database.kill('SIGKILL');
      await Promise.all([...victim.gateways.map(({ exited }) => exited), victim.database.exited]);
    },
    mend: async (region: string) => {
      const { lab } = this.#options;
      const victim = this.#bound(region);
      this.#mendedAtMs ??= performance.now();
      if (this.#broken.get(victim.name) === 'partition') await lab.heal();
      else {
        await victim.restartDatabase();
        for (const index of victim.gatewayPorts.keys()) await victim.startGateway(index);
      }
      this.#broken.delete(victim.name);
    },
    measure: (signal: AbortSignal) => this.#measure(signal),
  };

  async stop(): Promise<void> {
    await this.#load?.stop();
    await this.#vitals.stop();
    await this.edge.stop();
  }

  /** Undefined while a row is missing that may still be on its way out of an outbox. */
  async #measure(signal: AbortSignal): Promise<DrillMeasurements | undefined> {
    const load = this.#load;
    const { claims } = this;
    const writer = (await claims.read(signal)).agreed?.writer;
    if (load === undefined || writer === undefined) return undefined;
    const url = this.#region(writer).operatorUrl;
    const nowMs = performance.now();
    // A planned move breaks nothing: it is over when it is measured.
    const mendedAtMs = (this.#mendedAtMs ??= nowMs);
    // Without requests of the time afterwards nothing could be said about it.
    if (nowMs - mendedAtMs < settleMs + afterMs) return undefined;
    // What was sent only just now may still be on its way.
    const requests = load.entries.filter(({ atMs, tookMs }) => atMs + tookMs < nowMs - settleMs);
    const { booked, ledger } = await ledgerIn(url);
    if (unbooked({ requests, booked }).length > 0 && nowMs - mendedAtMs < drainPatienceMs) return undefined;
    const writes = load.writes.filter(({ endMs }) => endMs < nowMs - settleMs);
    const survivor = await writesIn(url);
    for (const name of regionNames) await this.#keepWrites(name);
    return drillMeasurements({
      requests,
      writes,
      brokenAtMs: this.#brokenAtMs ?? this.#comparedUntilMs,
      mendedAtMs,
      epochs: this.#options.lab.epochs,
      plannedEpochs: new Set(this.#options.plannedEpochs ?? []),
      everywhere: [...this.#everywhere.values()],
      survivor,
      booked,
      ledger,
    });
  }

  /** Before a database is discarded, and at the end. */
  async #keepWrites(name: RegionName): Promise<void> {
    for (const row of await writesIn(this.#region(name).operatorUrl)) this.#everywhere.set(row.write, row);
  }

  #addresses(name: RegionName): readonly string[] {
    return this.#region(name).gatewayPorts.map((port) => `http://127.0.0.1:${port}`);
  }

  get #objects() {
    const [store] = this.#options.lab.stores;
    if (store === undefined) throw new Error('the lab has no object store');
    return store.objects;
  }

  #region(name: string) {
    const found = regionNames.find((one) => one === name);
    if (found === undefined) throw new Error(`the lab has no region ${name}; it has a and b`);
    return this.#options.lab.region(found);
  }

  /** With methods that may be taken off it. */
  #bound(name: string) {
    const region = this.#region(name);
    return {
      name: region.name,
      gatewayPorts: region.gatewayPorts,
      startGateway: (index: number) => region.startGateway(index),
      restartDatabase: () => region.restartDatabase(),
    };
  }
}

const warmUpMs = 5_000;
const settleMs = 5_000;
/** Of requests after everything was mended. */
const afterMs = 6_000;
const drainPatienceMs = 60_000;

/** Rows of requests that ended, by the id that their client gave them; and whether sums and rows agree, at one moment. */
async function ledgerIn(url: string): Promise<Pick<DrillRecords, 'booked' | 'ledger'>> {
  const rows = await ask(
    url,
    `SELECT call_id, count(*) FILTER (WHERE ending = 'finished')::int AS n,
            (SELECT count(*)::int FROM spend_entry) AS rows,
            (SELECT coalesce(sum(requests), 0)::int FROM spend_daily) AS summed
       FROM spend_entry WHERE call_id LIKE 'drill-%' GROUP BY call_id`,
  );
  const booked = new Map(rows.map((row) => [String(row['call_id']), Number(row['n'])]));
  const [first] = rows;
  return { booked, ledger: { rows: Number(first?.['rows'] ?? 0), summed: Number(first?.['summed'] ?? 0) } };
}

async function isReady(port: number, signal: AbortSignal): Promise<boolean> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(1_000)]);
    return (await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: bounded })).ok;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
