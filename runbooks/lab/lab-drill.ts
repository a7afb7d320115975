/** A drill's clients, what is broken on purpose, and what the ledgers say afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrillConditions, DrillControls, Drilling, DrillMeasurements, FaultState } from '../books/drill.ts';
import { LedgerClients, type LoadEntry } from '../load/ledger-clients.ts';
import { unbooked } from '../load/ledger-measurements.ts';
import { bookedRequests } from './booked-requests.ts';
import { drillMeasurements } from './drill-measurements.ts';
import type { LabTraffic } from './lab-traffic.ts';
import { writesIn } from './noted-writes.ts';
import type { WriteRow } from './region-history.ts';
import { type RegionName, regionNamed, regionNames } from './region-name.ts';
import { labMasterKey, type TwoRegions } from './two-regions.ts';

export interface LabDrillOptions {
  readonly lab: TwoRegions;
  readonly traffic: LabTraffic;
  /** Model group of the lab's config. */
  readonly model: string;
  readonly requestsPerSecond: number;
  /** Epochs that the drilled book begins by a planned move. */
  readonly plannedEpochs: readonly number[];
}

const warmUpMs = 5_000;
const settleMs = 5_000;
/** Of requests after everything was mended. */
const afterMs = 6_000;
const drainPatienceMs = 60_000;

export class LabDrill implements DrillControls {
  readonly #options: LabDrillOptions;
  readonly #broken = new Map<RegionName, 'kill' | 'partition'>();
  /** Of every database there ever was, by name. */
  readonly #everywhere = new Map<string, WriteRow>();
  #load: LedgerClients | undefined;
  #brokenAtMs: number | undefined;
  #mendedAtMs: number | undefined;
  #comparedUntilMs = 0;

  constructor(options: LabDrillOptions) {
    this.#options = options;
  }

  /** What the clients were answered so far. */
  get answers(): readonly LoadEntry[] {
    return this.#load?.entries ?? [];
  }

  async conditions(): Promise<DrillConditions> {
    return { alerts: [], unfinishedRuns: [], lagSeconds: 0, isInWindow: true, backupVerifiedDaysAgo: undefined };
  }

  async load(): Promise<'absent' | 'running'> {
    return this.#load === undefined ? 'absent' : 'running';
  }

  async startLoad(): Promise<void> {
    const { lab, traffic, model, requestsPerSecond } = this.#options;
    this.#load = new LedgerClients({
      resolve: () => traffic.edge.resolve(),
      pinned: regionNames.map((name) => ({ name, addresses: lab.region(name).insideAddresses })),
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
  }

  async stopLoad(): Promise<void> {
    await this.#load?.stop();
    this.#load = undefined;
  }

  async fault({ plan: { victim } }: Drilling): Promise<FaultState> {
    return { is: this.#broken.has(regionNamed(victim)) ? 'there' : 'absent' };
  }

  async break({ plan: { victim, fault } }: Drilling): Promise<void> {
    const { lab } = this.#options;
    const name = regionNamed(victim);
    this.#broken.set(name, fault === 'partition' ? fault : 'kill');
    this.#brokenAtMs = performance.now();
    if (fault === 'partition') await lab.isolate(name);
    else await lab.region(name).kill();
  }

  async mend({ plan: { victim } }: Drilling): Promise<void> {
    const { lab } = this.#options;
    const name = regionNamed(victim);
    if (this.#broken.get(name) === 'partition') await lab.heal();
    else await lab.region(name).restart();
    this.#broken.delete(name);
    this.#mendedAtMs ??= performance.now();
  }

  /** Undefined while a row is missing that may still be on its way out of an outbox. */
  async measure(_: Drilling, __: string, signal: AbortSignal): Promise<DrillMeasurements | undefined> {
    const load = this.#load;
    const { lab, plannedEpochs } = this.#options;
    const writer = (await lab.claims.read(signal)).agreed?.writer;
    if (load === undefined || writer === undefined) return undefined;
    const url = lab.region(regionNamed(writer)).operatorUrl;
    const nowMs = performance.now();
    // A planned move breaks nothing: it is over when it is measured.
    const mendedAtMs = (this.#mendedAtMs ??= nowMs);
    // Without requests of the time afterwards nothing could be said about it.
    if (nowMs - mendedAtMs < settleMs + afterMs) return undefined;
    // What was sent only just now may still be on its way.
    const requests = load.entries.filter(({ atMs, tookMs }) => atMs + tookMs < nowMs - settleMs);
    const { booked, ledger } = await bookedRequests(url);
    if (unbooked({ requests, booked }).length > 0 && nowMs - mendedAtMs < drainPatienceMs) return undefined;
    const writes = load.writes.filter(({ endMs }) => endMs < nowMs - settleMs);
    const survivor = await writesIn(url);
    for (const name of regionNames) await this.keepWrites(name);
    return drillMeasurements({
      requests,
      writes,
      brokenAtMs: this.#brokenAtMs ?? this.#comparedUntilMs,
      mendedAtMs,
      epochs: lab.epochs,
      plannedEpochs: new Set(plannedEpochs),
      everywhere: [...this.#everywhere.values()],
      survivor,
      booked,
      ledger,
    });
  }

  /** Before a database is discarded, and at the end. */
  async keepWrites(name: RegionName): Promise<void> {
    const { lab } = this.#options;
    for (const row of await writesIn(lab.region(name).operatorUrl)) this.#everywhere.set(row.write, row);
  }
}
