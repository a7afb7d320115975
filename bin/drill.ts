/** `holdfast drill`: two regions on this machine, clients, a region that is lost, and the real book; then the report. */
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { TierName } from '../lib/platform/platform.ts';
import { drill } from '../runbooks/books/drill.ts';
import { drillBlocks, drillFaults, drillResult, objectivesOf } from '../runbooks/books/drill-history.ts';
import { regionFailover } from '../runbooks/books/region-failover.ts';
import { regionSwitchover } from '../runbooks/books/region-switchover.ts';
import type { RegionWorld } from '../runbooks/books/region-world.ts';
import { toMarkdown } from '../runbooks/engine/document.ts';
import { FileJournals } from '../runbooks/engine/file-journal.ts';
import { reportDocument } from '../runbooks/engine/print.ts';
import { reportOf } from '../runbooks/engine/report.ts';
import { exitCodes, run } from '../runbooks/engine/run.ts';
import type { Runbook } from '../runbooks/engine/step.ts';
import { LabWorld } from '../runbooks/lab/lab-world.ts';
import { startTwoRegions } from '../runbooks/lab/two-regions.ts';
import { startUpstream } from '../runbooks/lab/upstream.ts';
import { progressFor } from './runbook/progress.ts';
import { thisMachine } from './runbook/this-machine.ts';

export interface DrillOptions {
  readonly book: 'region-failover' | 'region-switchover';
  /** How a is lost before a failover. */
  readonly fault: 'kill' | 'partition';
  readonly tier: TierName;
  readonly gateways: number;
  /** Requests a second. */
  readonly rate: number;
  readonly data: string;
  readonly json?: true;
}

/** The lab's lease: with the 15 s of production nothing could be seen within seconds. */
const labTtlSeconds = 4;
const maxLagSeconds = 5;

const plan = { target: 'b', former: 'a' } as const;

const drilled = ({ book }: DrillOptions): Runbook<RegionWorld> =>
  book === 'region-failover' ? regionFailover(plan) : regionSwitchover({ ...plan, maxLagSeconds });

/** @returns 0 when the drill passed, 1 when it did not, else the run's own code. */
export async function drillHere(options: DrillOptions): Promise<number> {
  const isPlanned = options.book !== 'region-failover';
  const fault = isPlanned ? 'none' : options.fault;
  const host = await thisMachine();
  const directory = resolve(options.data, 'drill');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const upstream = await startUpstream({ name: 'the upstream of the drill', chunkEveryMs: 20 });
  const lab = await startTwoRegions({
    directory,
    gateways: options.gateways,
    ttlSeconds: labTtlSeconds,
    notesWrites: true,
    config: `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}`,
  });
  const world = new LabWorld({
    lab,
    gateways: options.gateways,
    model: 'chat',
    requestsPerSecond: options.rate,
    ...(isPlanned ? { plannedEpochs: [2] } : {}),
  });
  try {
    const book = drill(drilled(options), {
      environment: 'lab',
      fault,
      victim: 'a',
      survivor: 'b',
    });
    const runId = host.newRunId();
    const journal = new FileJournals(join(options.data, 'runs')).of(runId);
    const progress = progressFor(host.terminal, book, options.json === true);
    const outcome = await run<LabWorld>({
      book,
      world,
      worldName: 'lab',
      journal,
      runId,
      parameters: { book: options.book, environment: 'lab', fault, ...plan },
      operator: host.operator,
      session: host.newSession(),
      clock: host.clock,
      pollSeconds: 0.25,
      signal: host.signal,
      // The lab is there to be broken: nobody is asked.
      confirm: async (_, expected) => expected,
      onEvent: (event) => progress.onEvent(event),
      onWaiting: (step, note, remaining) => progress.onWaiting(step, note, remaining),
    });
    progress.end();
    const events = await journal.read();
    const report = reportOf(book, events, objectivesOf(options.tier));
    const result = drillResult(runId, events);
    if (outcome.is !== 'completed' || result === undefined) {
      host.terminal.writeError(`${JSON.stringify(outcome)}\n`);
      return exitCodes[outcome.is];
    }
    const faults = drillFaults(result, report, options.tier);
    const [title, ...rest] = reportDocument(report);
    const blocks = drillBlocks(result, undefined, faults);
    if (options.json === true) host.terminal.write(`${JSON.stringify({ is: 'drill', result, faults })}\n`);
    else host.terminal.write(toMarkdown(title === undefined ? blocks : [title, ...blocks, ...rest]));
    return faults.length === 0 ? 0 : 1;
  } finally {
    await world.stop();
    await lab.stop();
    await upstream.close();
  }
}
