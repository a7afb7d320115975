/** `holdfast drill`: two regions on this machine, clients, a region that is lost or moved, and the real book; then the report. */
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TierName } from '../lib/platform/spec.ts';
import { defaultGate } from '../runbooks/books/canary-world.ts';
import { drill } from '../runbooks/books/drill.ts';
import {
  type DrillResult,
  drillBlocks,
  drillFaults,
  drillResult,
  objectivesOf,
} from '../runbooks/books/drill-history.ts';
import { evidenceOf } from '../runbooks/books/evidence.ts';
import { canaryShares, regionFailback } from '../runbooks/books/region-failback.ts';
import { regionFailover } from '../runbooks/books/region-failover.ts';
import { regionSwitchover } from '../runbooks/books/region-switchover.ts';
import { type Document, toMarkdown } from '../runbooks/engine/document.ts';
import { FileJournals } from '../runbooks/engine/file-journal.ts';
import type { Journal } from '../runbooks/engine/journal.ts';
import { reportDocument } from '../runbooks/engine/print.ts';
import { reportOf } from '../runbooks/engine/report.ts';
import { exitCodes, type Outcome, run } from '../runbooks/engine/run.ts';
import type { Runbook } from '../runbooks/engine/step.ts';
import type { LabParts } from '../runbooks/lab/lab-parts.ts';
import { LabWorld } from '../runbooks/lab/lab-world.ts';
import { startTwoRegions } from '../runbooks/lab/two-regions.ts';
import { startUpstream } from '../runbooks/lab/upstream.ts';
import { labTtlSeconds, partsOf, takeFolder } from './lab.ts';
import type { Host } from './runbook/host.ts';
import { progressFor } from './runbook/progress.ts';
import { drillsBefore } from './runbook/report.ts';
import { keepEvidenceIn, thisMachine } from './runbook/this-machine.ts';

export interface DrillOptions {
  readonly book: 'region-failover' | 'region-switchover' | 'region-failback';
  /** How a is lost before a failover. */
  readonly fault: 'kill' | 'partition';
  /** Percent of the clients from which on the region that comes back answers with errors: the failback must step back. */
  readonly errorsAt?: number;
  readonly tier: TierName;
  readonly gateways: number;
  /** Requests a second. */
  readonly rate: number;
  readonly data: string;
  readonly json?: true;
}

const maxLagSeconds = 5;
const bakeSeconds = 5;
/** Bakes of seconds have a tail of a few requests, on a machine that runs both regions and the clients besides. */
const gate = { ...defaultGate, maxAddedLatencyMs: 1_000 };
const there = { target: 'b', former: 'a' } as const;
const back = { target: 'a', former: 'b' } as const;

/** @returns 0 when the drill passed, 1 when it did not, else the run's own code. */
export async function drillHere(options: DrillOptions): Promise<number> {
  const host = await thisMachine();
  const parts = await partsOf(host);
  const directory = resolve(options.data, 'drill');
  const folder = await takeFolder(directory);
  if (folder === undefined) {
    host.terminal.writeError(`A drill runs in ${directory} already: name another folder with --data\n`);
    return 3;
  }
  try {
    return await drillIn(directory, host, parts, options);
  } finally {
    folder.release();
  }
}

async function drillIn(directory: string, host: Host, parts: LabParts, options: DrillOptions): Promise<number> {
  const errors = { areOn: (): boolean => false };
  const upstreams = {
    a: await startUpstream({
      name: 'the upstream of a',
      chunkEveryMs: 20,
      intercept: (_, response) => {
        if (!errors.areOn()) return false;
        response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"injected"}}');
        return true;
      },
    }),
    b: await startUpstream({ name: 'the upstream of b', chunkEveryMs: 20 }),
  };
  const config = `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: os.environ/LAB_UPSTREAM, api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}`;
  const lab = await startTwoRegions({
    directory,
    gateways: options.gateways,
    ttlSeconds: labTtlSeconds,
    notesWrites: true,
    parts,
    config,
    environmentOf: (name) => ({ LAB_UPSTREAM: upstreams[name].url }),
  });
  const world = new LabWorld({
    lab,
    gateways: options.gateways,
    model: 'chat',
    requestsPerSecond: options.rate,
    notesWrites: true,
    plannedEpochs: options.book === 'region-failover' ? [] : [2, 3],
  });
  const { errorsAt } = options;
  if (errorsAt !== undefined) errors.areOn = () => world.traffic.shareOf('a') >= errorsAt;
  const drilling = new Drilling(host, world, options);
  try {
    return await drilling.go();
  } finally {
    await world.stop();
    await lab.stop();
    await Promise.all([upstreams.a.close(), upstreams.b.close()]);
  }
}

class Drilling {
  readonly #host: Host;
  readonly #world: LabWorld;
  readonly #options: DrillOptions;

  constructor(host: Host, world: LabWorld, options: DrillOptions) {
    this.#host = host;
    this.#world = world;
    this.#options = options;
  }

  async go(): Promise<number> {
    const { book, fault, errorsAt } = this.#options;
    if (book === 'region-failover') {
      return this.#drill(drill(regionFailover(there), { ...inLab, fault, victim: 'a', survivor: 'b' }), there);
    }
    const switchover = regionSwitchover({ ...there, maxLagSeconds });
    if (book === 'region-switchover') {
      return this.#drill(drill(switchover, { ...inLab, fault: 'none', victim: 'a', survivor: 'b' }), there);
    }
    const { outcome } = await this.#run(switchover, { ...there });
    if (outcome.is !== 'completed') return this.#failed(outcome);
    const failback = drill(regionFailback({ ...back, maxLagSeconds, bakeSeconds, gate }), {
      ...inLab,
      fault: 'none',
      victim: 'b',
      survivor: 'a',
    });
    return errorsAt === undefined ? this.#drill(failback, back) : this.#expectStepBack(failback);
  }

  async #drill(book: Runbook<LabWorld>, plan: typeof there | typeof back): Promise<number> {
    const { tier, json, fault } = this.#options;
    const { outcome, runId, journal } = await this.#run(book, {
      book: this.#options.book,
      environment: 'lab',
      ...(book.brokenBy === undefined ? {} : { fault }),
      ...plan,
    });
    const events = await journal.read();
    const result = drillResult(runId, events);
    if (outcome.is !== 'completed' || result === undefined) return this.#failed(outcome);
    const report = reportOf(book, events, objectivesOf(tier));
    const faults = [...drillFaults(result, report, tier), ...labFaults(result)];
    const [title, ...rest] = reportDocument(report);
    const { data } = this.#options;
    const last = (await drillsBefore(this.#host, result, join(data, 'runs'))).at(-1);
    const blocks = drillBlocks(result, last, faults);
    const shown = evidenceOf({
      book: 'drill',
      drilled: this.#options.book,
      world: 'lab',
      outcome: outcome.is,
      drillPassed: faults.length === 0,
      at: this.#host.clock.date().toISOString(),
      source: `run ${runId} in ${join(data, 'runs')}`,
    });
    for (const evidence of shown) await keepEvidenceIn(join(data, 'evidence'), evidence);
    if (json === true) this.#host.terminal.write(`${JSON.stringify({ is: 'drill', result, faults })}\n`);
    else this.#host.terminal.write(toMarkdown(title === undefined ? blocks : [title, ...blocks, ...rest]));
    return faults.length === 0 ? 0 : 1;
  }

  /** The gates must find the errors by themselves, and give the clients back to the region that works. */
  async #expectStepBack(book: Runbook<LabWorld>): Promise<number> {
    const { journal } = await this.#run(book, { book: this.#options.book, environment: 'lab', ...back });
    const breach = (await journal.read()).find((event) => event.is === 'act-failed');
    const firstWithErrors = canaryShares.find((percent) => percent >= (this.#options.errorsAt ?? 0));
    const expected = `bake-${firstWithErrors ?? 'none'}`;
    // Until clients have asked DNS again.
    await sleep(believedMs);
    const sinceMs = performance.now();
    await sleep(watchedMs);
    const after = this.#world.drill.answers.filter(({ atMs }) => atMs > sinceMs);
    const failed = after.filter(({ isAnswered, tries }) => !isAnswered || tries > 1).length;
    const share = this.#world.traffic.shareOf('a');
    const faults = [
      ...(breach?.is === 'act-failed' && breach.step === expected && breach.because.includes('% errors')
        ? []
        : [`${expected} found no errors`]),
      ...(share === 0 ? [] : [`a has ${share} % of the clients`]),
      ...(after.length === 0 ? ['no request came afterwards'] : []),
      ...(failed === 0 ? [] : [`${failed} of ${after.length} requests failed at first or for good afterwards`]),
    ];
    const because = breach?.is === 'act-failed' ? `${breach.step}: ${breach.because}` : 'nothing';
    const document: Document = [
      { is: 'heading', level: 2, text: faults.length === 0 ? 'It stepped back by itself' : 'It did NOT step back' },
      ...(faults.length === 0 ? [] : [{ is: 'list', items: faults } as const]),
      {
        is: 'table',
        head: ['what', 'seen'],
        rows: [
          ['stepped back because of', because],
          ['share of a afterwards, %', String(share)],
          ['requests afterwards', String(after.length)],
          ['of them failed', String(failed)],
        ],
      },
    ];
    if (this.#options.json === true) {
      this.#host.terminal.write(`${JSON.stringify({ is: 'step-back', because, share, faults })}\n`);
    } else this.#host.terminal.write(toMarkdown(document));
    return faults.length === 0 ? 0 : 1;
  }

  async #run(
    book: Runbook<LabWorld>,
    parameters: Readonly<Record<string, string>>,
  ): Promise<{ readonly outcome: Outcome; readonly runId: string; readonly journal: Journal }> {
    const { terminal, operator, clock, signal } = this.#host;
    const runId = this.#host.newRunId();
    const journal = new FileJournals(join(this.#options.data, 'runs')).of(runId);
    const progress = progressFor(terminal, book, this.#options.json === true);
    const outcome = await run<LabWorld>({
      book,
      world: this.#world,
      worldName: 'lab',
      journal,
      runId,
      parameters,
      operator,
      session: this.#host.newSession(),
      clock,
      pollSeconds: 0.25,
      signal,
      // The lab is there to be broken: nobody is asked.
      confirm: async (_, expected) => expected,
      onEvent: (event) => progress.onEvent(event),
      onWaiting: (step, note, remaining) => progress.onWaiting(step, note, remaining),
    });
    progress.end();
    return { outcome, runId, journal };
  }

  #failed(outcome: Outcome): number {
    this.#host.terminal.writeError(`${JSON.stringify(outcome)}\n`);
    return outcome.is === 'completed' ? 1 : exitCodes[outcome.is];
  }
}

/** With health checks every second and a lease of 4 s. */
const labGoals = { troubleSeconds: 5, writeGapSeconds: 15 } as const;

/** Goals of the lab, which are tighter than any tier's. */
function labFaults({ numbers: { troubleSeconds, writeGapSeconds } }: DrillResult): string[] {
  const isMet = (seconds: number | undefined, most: number): boolean => seconds !== undefined && seconds <= most;
  return [
    ...(isMet(troubleSeconds, labGoals.troubleSeconds)
      ? []
      : [`clients met errors for ${troubleSeconds ?? '?'} s, at most ${labGoals.troubleSeconds} are good in the lab`]),
    ...(isMet(writeGapSeconds, labGoals.writeGapSeconds)
      ? []
      : [
          `writes stood still for ${writeGapSeconds ?? '?'} s, at most ${labGoals.writeGapSeconds} are good in the lab`,
        ]),
  ];
}

/** The lab's clients have the rate of the command line. */
const inLab = { environment: 'lab', requestsPerSecond: 0 } as const;
const believedMs = 2_500;
const watchedMs = 5_000;
