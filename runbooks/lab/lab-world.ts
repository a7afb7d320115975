/** The two regions of this machine as the books see them: the same verbs as AWS, over real processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimStore } from '../../gateway/region/claim-store.ts';
import type { DrillConditions, DrillMeasurements, DrillWorld } from '../books/drill.ts';
import type { Finding } from '../books/finding.ts';
import type { RegionDatabase, RegionWorld } from '../books/region-world.ts';
import { verify } from '../verify/verify.ts';
import { LabEdge } from './edge.ts';
import { LabLoad, latencyMs, servingGapSeconds, writeGapSeconds } from './load.ts';
import { storeObject } from './object-store.ts';
import { ask } from './region-database.ts';
import { labMasterKey, type RegionName, regionNames, type TwoRegions } from './two-regions.ts';

export interface LabWorldOptions {
  readonly lab: TwoRegions;
  /** Gateways in each region. */
  readonly gateways: number;
  /** Model group of the lab's config. */
  readonly model: string;
  readonly requestsPerSecond: number;
}

const healthIntervalMs = 1_000;
const failureThreshold = 2;
const takeoverName = (region: string): string => `takeover-${region}/takeover.json`;

export class LabWorld implements RegionWorld, DrillWorld {
  readonly edge: LabEdge;
  readonly #options: LabWorldOptions;
  readonly #broken = new Map<RegionName, 'kill' | 'partition'>();
  #load: LabLoad | undefined;
  #brokenAtMs: number | undefined;
  #mendedAtMs: number | undefined;

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
    });
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
        key: labMasterKey,
        model,
        requestsPerSecond,
        streaming: 0.3,
        dnsTtlMs: 1_000,
        timeoutMs: 4_000,
      });
      // Something to compare with.
      await sleep(warmUpMs);
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
    // What was sent only just now may still be on its way.
    const settled = load.entries.filter(({ atMs, tookMs }) => atMs + tookMs < nowMs - settleMs);
    const booked = await countsByCall(url);
    const answered = settled.filter(({ isAnswered }) => isAnswered);
    const missing = answered.filter(({ callId }) => !booked.has(callId));
    const mendedAtMs = this.#mendedAtMs ?? nowMs;
    if (missing.length > 0 && nowMs - mendedAtMs < drainPatienceMs) return undefined;
    const aliases = new Set((await ask(url, 'SELECT key_alias FROM api_key')).map((row) => row['key_alias']));
    const lostWrites = load.writes.filter(({ alias, isAcknowledged }) => isAcknowledged && !aliases.has(alias));
    const brokenAtMs = this.#brokenAtMs ?? nowMs;
    const before = settled.filter(({ atMs, tookMs }) => atMs + tookMs < brokenAtMs);
    const after = settled.filter(({ atMs }) => atMs > mendedAtMs);
    const newestLostMs = Math.min(brokenAtMs, ...lostWrites.map(({ atMs }) => atMs));
    const writeGap = writeGapSeconds(load.writes);
    const round = (value: number): number => Math.round(value * 100) / 100;
    return {
      requests: settled.length,
      errorPercent: round((100 * (settled.length - answered.length)) / Math.max(1, settled.length)),
      retriedPercent: round((100 * settled.filter(({ tries }) => tries > 1).length) / Math.max(1, settled.length)),
      addedLatencyMs: round(after.length === 0 ? 0 : Math.max(0, latencyMs(after) - latencyMs(before))),
      servingGapSeconds: round(servingGapSeconds(settled)),
      writeGapSeconds: writeGap === undefined ? null : round(writeGap),
      // From the oldest acknowledged write that is missing until the break.
      dataLossSeconds: round((brokenAtMs - newestLostMs) / 1000),
      lostWrites: lostWrites.length,
      lostWritesList: lostWrites
        .slice(0, 20)
        .map(({ alias }) => alias)
        .join(' '),
      spendEventsLost: missing.length,
      spendEventsDoubled: [...booked.values()].filter((count) => count > 1).length,
    };
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

const warmUpMs = 3_000;
const settleMs = 5_000;
const drainPatienceMs = 60_000;

/** Rows of requests that ended, by the id that their client gave them. */
async function countsByCall(url: string): Promise<ReadonlyMap<string, number>> {
  const rows = await ask(
    url,
    `SELECT call_id, count(*) FILTER (WHERE ending = 'finished')::int AS n FROM spend_entry
      WHERE call_id LIKE 'drill-%' GROUP BY call_id`,
  );
  return new Map(rows.map((row) => [String(row['call_id']), Number(row['n'])]));
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
