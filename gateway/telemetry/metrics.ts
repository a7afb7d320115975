/** Prometheus metrics under LiteLLM's names. Labels are bounded: model groups and deployments of the config, never keys. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { metricNames } from '../contract.ts';
import type { ConfigStanding } from '../domain/config-administration.ts';
import type { Deployment } from '../domain/deployment.ts';
import { exceptionClass, type UpstreamError } from '../domain/errors.ts';
import type { RegionState } from '../domain/region.ts';
import type { Pressure, SpendEvent } from '../domain/spend.ts';

const latencyBuckets = [0.005, 0.0125, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180, 240, 300];

/** What gauges read when they are scraped. */
export interface MetricSources {
  readonly inFlight: () => number;
  /** Undefined without a database: then no spend is kept. */
  readonly outbox: () => OutboxState | undefined;
  readonly databaseUp: () => boolean | undefined;
  readonly redisUp: () => boolean | undefined;
  /** Undefined where there is one region only. */
  readonly region?: () => RegionMetrics | undefined;
  /** Undefined before there is one. */
  readonly configuration?: () => ConfigStanding | undefined;
  readonly degraded?: () => readonly { readonly reason: string; readonly sinceMs: number }[];
  /** Of the keys that this process started from while the database was away. */
  readonly snapshotAgeSeconds?: () => number | undefined;
  /** Deployments for whose model nobody states a price. */
  readonly unpricedDeployments: () => number;
  readonly deploymentStates: () => readonly {
    readonly deployment: Deployment;
    readonly state: 'serving' | 'probing' | 'cooling';
  }[];
}

export interface OutboxState {
  readonly queued: number;
  readonly bytes: number;
  readonly oldestUnshippedSeconds: number;
  readonly pressure: Pressure;
  /** Undefined without an archive. */
  readonly unarchived?: { readonly bytes: number; readonly oldestSeconds: number } | undefined;
}

export interface RegionMetrics {
  readonly state: RegionState;
  /** Seconds since each other region's feed of denials was heard; undefined = never. */
  readonly feedSilentSeconds: ReadonlyMap<string, number | undefined>;
  /** Milliseconds; empty outside of the writer region. */
  readonly candidateLagsMs: ReadonlyMap<string, number>;
  readonly isBeyondRpo: boolean;
  readonly grants: { readonly unconfirmedMicros: number };
}

const pressureNumbers = { none: 0, soft: 1, hard: 2 } as const;

/** LiteLLM's numbers: 0 healthy, 1 partial outage, 2 complete outage. */
const stateNumbers = { serving: 0, probing: 1, cooling: 2 } as const;

export class Metrics {
  readonly registry = new Registry();
  readonly #failed: Counter<'requested_model' | 'exception_status'>;
  readonly #seconds: Histogram<'requested_model'>;
  readonly #cooled: Counter<'model_id' | 'litellm_model_name'>;
  readonly #dropped: Counter;
  readonly #refused: Counter<'reason'>;
  readonly #softBudget: Counter;
  readonly #reduced: Counter;
  readonly #interrupted: Counter;
  readonly #recovered: Counter;
  readonly #cache: { readonly hits: Counter; readonly misses: Counter };
  readonly #unpriced: Counter<'requested_model'>;

  /** By model group and status. */
  readonly #settled = new Map<string, Map<number, Settled>>();
  /** By deployment and outcome. */
  readonly #attempted = new Map<string, Map<string, Tally<'model_id' | 'outcome'>>>();

  #knownModels: ReadonlySet<string> = new Set();

  constructor(sources: MetricSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const settled = this.#settled;
    const requests = new Counter({
      name: metricNames.requests,
      help: 'Requests that were let through, by model group and status.',
      labelNames: ['requested_model', 'status_code'] as const,
      registers: [],
      collect() {
        for (const ofModel of settled.values()) for (const one of ofModel.values()) hand(one.requests, this);
      },
    });
    this.registry.registerMetric(requests);
    this.#failed = new Counter({
      name: metricNames.failedRequests,
      help: 'Requests that ended without an answer after every permitted attempt.',
      labelNames: ['requested_model', 'exception_status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: metricNames.requestSeconds,
      help: 'Time from the request to the last byte of its answer, seconds.',
      labelNames: ['requested_model'],
      buckets: latencyBuckets,
      registers,
    });
    const attempted = this.#attempted;
    const attempts = new Counter({
      name: metricNames.upstreamAttempts,
      help: 'Attempts at a deployment, by outcome.',
      labelNames: ['model_id', 'outcome'] as const,
      registers: [],
      collect() {
        for (const ofDeployment of attempted.values()) for (const tally of ofDeployment.values()) hand(tally, this);
      },
    });
    this.registry.registerMetric(attempts);
    this.#cooled = new Counter({
      name: metricNames.deploymentCooledDown,
      help: 'Times a deployment was taken out of rotation.',
      labelNames: ['model_id', 'litellm_model_name'],
      registers,
    });
    this.#dropped = new Counter({
      name: metricNames.spendDropped,
      help: 'Spend events that were given up.',
      registers,
    });
    this.#refused = new Counter({
      name: metricNames.admissionRefused,
      help: 'Requests that were refused: their budget or limit is used up, or cannot be checked.',
      labelNames: ['reason'],
      registers,
    });
    this.#softBudget = new Counter({
      name: metricNames.softBudget,
      help: 'Soft budgets that were exceeded, once for each process and window.',
      registers,
    });
    this.#unpriced = new Counter({
      name: metricNames.unpricedRequests,
      help: 'Requests whose cost nobody knows: their rows have no cost, and wait to be priced.',
      labelNames: ['requested_model'],
      registers,
    });
    this.#reduced = new Counter({
      name: metricNames.spendReduced,
      help: 'Spend events that the database took only with less in them; their money is booked.',
      registers,
    });
    this.#interrupted = new Counter({
      name: metricNames.spendInterrupted,
      help: 'Requests that were cut off by the end of their process; booked at what was set aside for them.',
      registers,
    });
    this.#recovered = new Counter({
      name: metricNames.spendRecovered,
      help: 'Spend events of dead processes that were brought to the database.',
      registers,
    });
    this.#cache = {
      hits: new Counter({
        name: metricNames.cacheHits,
        help: 'Requests that were answered without a call of their own.',
        registers,
      }),
      misses: new Counter({
        name: metricNames.cacheMisses,
        help: 'Requests that the response cache had no answer for.',
        registers,
      }),
    };
    const gauge = (
      name: string,
      help: string,
      read: () => number | undefined,
      aggregator: 'sum' | 'min' | 'max' = 'sum',
    ): void => {
      const metric = new Gauge({
        name,
        help,
        registers: [],
        aggregator,
        collect() {
          const value = read();
          if (value === undefined) this.reset();
          else this.set(value);
        },
      });
      this.registry.registerMetric(metric);
    };
    gauge(metricNames.inFlight, 'Requests that are running.', sources.inFlight);
    const { outbox, databaseUp, redisUp } = sources;
    gauge(metricNames.spendQueue, 'Spend events that the database does not have yet.', () => outbox()?.queued);
    gauge(metricNames.outboxBytes, 'Bytes of spend on disk, shipped or not.', () => outbox()?.bytes);
    const oldest = 'Age of the oldest spend event that the database does not have, seconds.';
    gauge(metricNames.outboxOldestSeconds, oldest, () => outbox()?.oldestUnshippedSeconds, 'max');
    const lacked = 'Bytes of complete segments of spend that the archive lacks; absent without an archive.';
    gauge(metricNames.outboxUnarchivedBytes, lacked, () => outbox()?.unarchived?.bytes);
    const late =
      'Age of the oldest complete segment of spend that the archive lacks, seconds; absent without an archive.';
    gauge(metricNames.outboxUnarchivedSeconds, late, () => outbox()?.unarchived?.oldestSeconds, 'max');
    const pressure = '1: no room for requests with a budget; 2: for none that costs money.';
    gauge(metricNames.outboxPressure, pressure, () => numberOf(outbox()?.pressure), 'max');
    const up = '1 while PostgreSQL answers; absent without a database.';
    gauge(metricNames.databaseUp, up, () => asNumber(databaseUp()), 'min');
    gauge(metricNames.redisUp, '1 while Redis answers; absent without Redis.', () => asNumber(redisUp()), 'min');
    const config = (): ConfigStanding | undefined => sources.configuration?.();
    const leads = '1 in the process that watches the source of the configuration, 0 in all others.';
    gauge(metricNames.leader, leads, () => asNumber(config()?.role === 'leader'), 'sum');
    gauge(metricNames.leaderEpoch, 'Rises with each change of the leader.', () => numberOrNone(config()?.epoch), 'max');
    const left = 'What is left of the lease in the process that holds it, seconds.';
    gauge(metricNames.leaseRemainingSeconds, left, () => seconds(config()?.leaseRemainingMs), 'max');
    const version = 'The version that is live; processes that differ for long have a fault.';
    gauge(metricNames.configVersion, version, () => numberOrNone(config()?.version), 'min');
    const notTaken = '1 while the newest configuration was not taken.';
    gauge(metricNames.configFault, notTaken, () => asNumber(config() && config()?.fault !== undefined), 'max');
    const age = 'Age of the snapshot that keys come from, seconds; absent once the database was heard.';
    gauge(metricNames.snapshotAgeSeconds, age, () => sources.snapshotAgeSeconds?.(), 'max');
    const degraded = new Gauge({
      name: metricNames.degraded,
      help: 'Seconds for which the gateway has done without something, by what.',
      labelNames: ['reason'] as const,
      registers: [],
      aggregator: 'max',
      collect() {
        this.reset();
        for (const { reason, sinceMs } of sources.degraded?.() ?? [])
          this.set({ reason }, (Date.now() - sinceMs) / 1000);
      },
    });
    this.registry.registerMetric(degraded);
    const region = (): RegionState | undefined => sources.region?.()?.state;
    const writes = '1 where control-plane writes are taken, 0 where they are not; absent with one region only.';
    gauge(metricNames.regionWriter, writes, () => asNumber(isWriter(region())), 'min');
    gauge(metricNames.regionEpoch, 'The newest epoch this process has heard of.', () => region()?.epoch, 'max');
    const lease = 'What was left of the right to write when it was last looked at, seconds; absent when it never ends.';
    gauge(metricNames.regionLeaseSeconds, lease, () => seconds(region()?.leaseRemainingMs), 'max');
    const lag = 'What the replica of this region still has to replay, seconds.';
    gauge(metricNames.regionReplayLagSeconds, lag, () => seconds(region()?.replayLagMs), 'max');
    const behind = 'How far the farthest candidate replica is behind the writer, seconds; absent where there is none.';
    gauge(metricNames.regionCandidateLagSeconds, behind, () => longestLag(sources.region?.()), 'max');
    const refuses =
      '1 while changes and new slices are refused, since every replica is farther behind than may be lost.';
    gauge(metricNames.regionBeyondRpo, refuses, () => asNumber(sources.region?.()?.isBeyondRpo), 'max');
    const unconfirmed =
      'US dollars of budgets that were granted and no replica has shown yet: a failover could grant them again.';
    gauge(metricNames.budgetUnconfirmed, unconfirmed, () => dollars(sources.region?.()?.grants.unconfirmedMicros));
    const faults = 'Parts of the last look at claim and database that failed.';
    gauge(metricNames.regionFaults, faults, () => region()?.faults.length, 'max');
    const silent = "Since the last of the other regions' feeds of shut-out keys was heard, seconds; -1 = never.";
    gauge(metricNames.regionFeedSilentSeconds, silent, () => longestSilence(sources.region?.()), 'max');
    const unpriced = 'Deployments without a known price; what they cost is unknown.';
    gauge(metricNames.unpricedDeployments, unpriced, sources.unpricedDeployments, 'max');
    const states = new Gauge({
      name: metricNames.deploymentState,
      help: '0 healthy, 1 being probed after a cooldown, 2 cooling.',
      labelNames: ['model_id', 'litellm_model_name', 'api_base'] as const,
      registers: [],
      aggregator: 'max',
      collect() {
        this.reset();
        for (const { deployment, state } of sources.deploymentStates()) {
          this.set(
            { model_id: deployment.id, litellm_model_name: deployment.model, api_base: deployment.origin },
            stateNumbers[state],
          );
        }
      },
    });
    this.registry.registerMetric(states);
  }

  /** Names that may become labels; a client can invent others through a wildcard. */
  know(models: ReadonlySet<string>): void {
    this.#knownModels = models;
  }

  settled(event: SpendEvent): void {
    const { status } = event;
    const model = this.#knownModels.has(event.requestedModel) ? event.requestedModel : 'other';
    const { requests, seconds } = this.#settledOf(model, status);
    requests.count++;
    seconds.observe(event.durationMs / 1000);
    if (event.cacheHit !== undefined) this.#cache[event.cacheHit ? 'hits' : 'misses'].inc();
    if (event.costMicros === null) this.#unpriced.inc({ requested_model: model });
    if (event.ending === 'failed') this.#failed.inc({ requested_model: model, exception_status: status });
  }

  attempted(deployment: Deployment, outcome: 'success' | UpstreamError): void {
    const name = outcome === 'success' ? outcome : exceptionClass[outcome.kind];
    let ofDeployment = this.#attempted.get(deployment.id);
    if (ofDeployment === undefined) {
      ofDeployment = new Map();
      this.#attempted.set(deployment.id, ofDeployment);
    }
    let tally = ofDeployment.get(name);
    if (tally === undefined) {
      tally = { labels: { model_id: deployment.id, outcome: name }, count: 0 };
      ofDeployment.set(name, tally);
    }
    tally.count++;
  }

  #settledOf(model: string, status: number): Settled {
    let ofModel = this.#settled.get(model);
    if (ofModel === undefined) {
      ofModel = new Map();
      this.#settled.set(model, ofModel);
    }
    let known = ofModel.get(status);
    if (known === undefined) {
      known = {
        requests: { labels: { requested_model: model, status_code: status }, count: 0 },
        seconds: this.#seconds.labels({ requested_model: model }),
      };
      ofModel.set(status, known);
    }
    return known;
  }

  cooled(deployment: Deployment): void {
    this.#cooled.inc({ model_id: deployment.id, litellm_model_name: deployment.model });
  }

  refused(reason: 'budget' | 'limit' | 'unavailable'): void {
    this.#refused.inc({ reason });
  }

  softBudgetExceeded(): void {
    this.#softBudget.inc();
  }

  spendDropped(count: number): void {
    this.#dropped.inc(count);
  }

  spendReduced(): void {
    this.#reduced.inc();
  }

  spendInterrupted(count: number): void {
    this.#interrupted.inc(count);
  }

  spendRecovered(count: number): void {
    this.#recovered.inc(count);
  }
}

/**
 * What happens with every request is counted here and handed on when somebody looks: prom-client would look its labels up
 * each time, which costs more than counting. There are as many as models, deployments and outcomes.
 */
interface Tally<Label extends string> {
  readonly labels: Readonly<Record<Label, string | number>>;
  /** Since it was handed on. */
  count: number;
}

function hand<Label extends string>(tally: Tally<Label>, counter: Counter<Label>): void {
  if (tally.count > 0) counter.inc(tally.labels, tally.count);
  tally.count = 0;
}

interface Settled {
  readonly requests: Tally<'requested_model' | 'status_code'>;
  readonly seconds: Histogram.Internal<'requested_model'>;
}

const asNumber = (up: boolean | undefined): number | undefined => (up === undefined ? undefined : up ? 1 : 0);
const numberOrNone = (value: bigint | undefined): number | undefined =>
  value === undefined ? undefined : Number(value);
const numberOf = (pressure: Pressure | undefined): number | undefined =>
  pressure === undefined ? undefined : pressureNumbers[pressure];

const isWriter = (state: RegionState | undefined): boolean | undefined => state && state.standing === 'writer';
const seconds = (milliseconds: number | null | undefined): number | undefined =>
  milliseconds === null || milliseconds === undefined ? undefined : milliseconds / 1000;

const dollars = (micros: number | undefined): number | undefined => micros && micros / 1e6;

const longestLag = (region: RegionMetrics | undefined): number | undefined =>
  region === undefined || region.candidateLagsMs.size === 0
    ? undefined
    : Math.max(...region.candidateLagsMs.values()) / 1000;

function longestSilence(region: RegionMetrics | undefined): number | undefined {
  const silences = [...(region?.feedSilentSeconds.values() ?? [])];
  if (silences.length === 0) return undefined;
  return silences.some((one) => one === undefined) ? -1 : Math.max(...silences.map((one) => one ?? 0));
}
