/** A drill of a platform in AWS: what speaks against it, faults by AWS FIS, and clients of its own, except in production. */
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  DrillConditions,
  DrillControls,
  Drilling,
  DrillMeasurements,
  DrillPlan,
  FaultState,
} from '../books/drill.ts';
import { LedgerClients } from '../load/ledger-clients.ts';
import { type Ledger, LedgerFile } from '../load/ledger-file.ts';
import { unbooked } from '../load/ledger-measurements.ts';
import type { AwsClients } from './clients.ts';
import type { CountedDrill } from './counted-drill.ts';
import {
  experimentsOf,
  type FaultTemplates,
  faultState,
  startExperiments,
  stopExperiments,
  templatesOf,
} from './experiments.ts';
import { measured } from './measured-drill.ts';
import type { SurvivingRows } from './surviving-rows.ts';

export interface AwsDrillOptions {
  readonly platform: string;
  readonly environment: string;
  readonly conditions: (drilling: Drilling, signal: AbortSignal) => Promise<DrillConditions>;
  /** Where clients come in: the name that they all use, and that of each region. */
  readonly url: string;
  readonly regionalUrls: Readonly<Record<string, string>>;
  readonly key: string;
  readonly model: string;
  /** Where ledgers are kept on this machine. */
  readonly ledgerFolder: string;
  /** Region whose database counts afterwards. */
  readonly writer: (signal: AbortSignal) => Promise<string>;
  /** What a region's database has of the ledger. */
  readonly rows: (region: string, ledger: Ledger, signal: AbortSignal) => Promise<SurvivingRows>;
  /** Who wrote from when on, as far as the claim says. */
  readonly epochs: (signal: AbortSignal) => Promise<string>;
  /** What the gateways have counted since a moment. */
  readonly counted: CountedDrill;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
  readonly pauses?: DrillPauses;
}

/** Seconds. */
export interface DrillPauses {
  /** Of requests before anything is broken. */
  readonly warmUp: number;
  /** Until what was sent is no longer on its way. */
  readonly settle: number;
  /** Of requests after everything was mended. */
  readonly after: number;
  /** From then on an outbox that has not shipped counts as a loss. */
  readonly drain: number;
}

const usualPauses: DrillPauses = { warmUp: 30, settle: 15, after: 30, drain: 150 };
const betweenLooksSeconds = 5;
/** An administrator a second: keys are rows, and each stays for two hours. */
const betweenWritesMs = 1_000;
const keyDuration = '2h';
/** With three tries, less than the patience of the step that stops them. */
const timeoutMs = 15_000;
/** Answers are paid for; nobody reads them. */
const maxTokens = 16;

interface Running {
  readonly runId: string;
  readonly clients: LedgerClients;
}

export class AwsDrill implements DrillControls {
  readonly #clients: AwsClients;
  readonly #options: AwsDrillOptions;
  readonly #pauses: DrillPauses;
  #running: Running | undefined;
  #measuredSinceMs: number | undefined;

  constructor(clients: AwsClients, options: AwsDrillOptions) {
    this.#clients = clients;
    this.#options = options;
    this.#pauses = options.pauses ?? usualPauses;
  }

  conditions(drilling: Drilling, signal: AbortSignal): Promise<DrillConditions> {
    return this.#options.conditions(drilling, signal);
  }

  async load({ runId }: Drilling): Promise<'absent' | 'running'> {
    return this.#running?.runId === runId ? 'running' : 'absent';
  }

  async startLoad({ runId, plan }: Drilling, signal: AbortSignal): Promise<void> {
    const { url, regionalUrls, key, model } = this.#options;
    const file = this.#file(runId);
    file.begin();
    const clients = new LedgerClients({
      resolve: () => [url],
      pinned: Object.entries(regionalUrls).map(([name, address]) => ({ name, addresses: [address] })),
      key,
      model,
      requestsPerSecond: plan.requestsPerSecond,
      streaming: 0.3,
      dnsTtlMs: 0,
      reconnects: true,
      timeoutMs,
      betweenWritesMs,
      keyDuration,
      maxTokens,
      onEntry: (entry) => file.keep(entry),
    });
    this.#running = { runId, clients };
    // Something to compare with; a later process has it from the first one.
    try {
      await sleep(this.#pauses.warmUp * 1000, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
    file.mark('compared');
  }

  stopLoad(): Promise<void> {
    return this.close();
  }

  /** Ends the clients of this process; their ledger stays. */
  async close(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.clients.stop();
  }

  async fault({ runId, plan }: Drilling, signal: AbortSignal): Promise<FaultState> {
    const [experiments, templates] = await Promise.all([
      experimentsOf(this.#clients, plan.victim, runId, signal),
      templatesOf(this.#clients, this.#templates(plan), signal),
    ]);
    return faultState(
      experiments,
      templates.map(({ name }) => name),
    );
  }

  async break({ runId, plan }: Drilling, signal: AbortSignal): Promise<void> {
    if (plan.environment !== 'production') this.#file(runId).mark('broken');
    await startExperiments(this.#clients, this.#templates(plan), runId, signal);
  }

  /** Returns when AWS says that nothing lasts any more. */
  async mend(drilling: Drilling, signal: AbortSignal): Promise<void> {
    const { runId, plan } = drilling;
    await stopExperiments(this.#clients, plan.victim, runId, signal);
    while (/^(there|partly)$/.test((await this.fault(drilling, signal)).is)) {
      await this.#options.wait(betweenLooksSeconds, signal);
    }
    if (plan.environment !== 'production') this.#file(runId).mark('mended');
  }

  async measure(
    { runId, plan }: Drilling,
    beganAt: string,
    signal: AbortSignal,
  ): Promise<DrillMeasurements | undefined> {
    const { counted, epochs, writer, rows } = this.#options;
    const nowMs = Date.now();
    const sinceMs = (this.#measuredSinceMs ??= nowMs);
    const { settle, after, drain } = this.#pauses;
    if (plan.environment === 'production') {
      // A rate of the time afterwards needs some of it.
      if (nowMs - sinceMs < (settle + after) * 1000) return undefined;
      return { ...(await counted(Date.parse(beganAt), nowMs, signal)), epochHistory: await epochs(signal) };
    }
    const file = this.#file(runId);
    file.assertWritten();
    const ledger = await file.read();
    if (ledger === undefined) {
      throw new Error(`${file.path} is not here: measure on the machine on which the drill was begun`);
    }
    // A planned move breaks nothing: it is over when it is measured.
    const mendedAtMs = ledger.marks.get('mended') ?? sinceMs;
    if (nowMs - Math.max(mendedAtMs, sinceMs) < (settle + after) * 1000) return undefined;
    const ended = endedBefore(ledger, nowMs - settle * 1000);
    const found = await rows(await writer(signal), ended, signal);
    const requests = ended.sessions.flatMap((one) => one.requests);
    if (unbooked({ requests, ...found }).length > 0 && nowMs - mendedAtMs < drain * 1000) return undefined;
    return measured(ended, found, mendedAtMs, await epochs(signal));
  }

  #templates({ victim: region, fault }: DrillPlan): FaultTemplates {
    const { platform, environment } = this.#options;
    const isWanted = (name: string): boolean =>
      fault === 'partition'
        ? name.startsWith('link-cut-')
        : name === 'gateway-pods-deleted' || name === 'database-failover';
    return { region, platform, environment, isWanted };
  }

  #file(runId: string): LedgerFile {
    return new LedgerFile(this.#options.ledgerFolder, runId);
  }
}

/** What was sent only just now may still be on its way. */
const endedBefore = ({ sessions, ...more }: Ledger, untilMs: number): Ledger => ({
  ...more,
  sessions: sessions.map(({ requests, writes }) => ({
    requests: requests.filter(({ atMs, tookMs }) => atMs + tookMs < untilMs),
    writes: writes.filter(({ endMs }) => endMs < untilMs),
  })),
});
