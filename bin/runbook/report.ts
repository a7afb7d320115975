/** `runbook report`: what a run's journal says, as a page. Drills are judged and compared. */
import {
  type DrillResult,
  drillBlocks,
  drillFaults,
  drillResult,
  objectivesOf,
} from '../../runbooks/books/drill-history.ts';
import type { World } from '../../runbooks/books/world.ts';
import { type Document, toHtml, toMarkdown } from '../../runbooks/engine/document.ts';
import type { Journal } from '../../runbooks/engine/journal.ts';
import { reportDocument } from '../../runbooks/engine/print.ts';
import { type RunReport, reportOf } from '../../runbooks/engine/report.ts';
import type { Runbook } from '../../runbooks/engine/step.ts';
import { allRuns } from './all-runs.ts';
import { explained } from './command-line.ts';
import { findRun } from './find-run.ts';
import type { Host } from './host.ts';

export type ReportFormat = 'md' | 'html' | 'json';

export interface ReportOptions {
  readonly journal?: string;
  readonly format: ReportFormat;
}

interface RunToReport {
  readonly runId: string;
  readonly journal: Journal;
  readonly book: Runbook<World>;
}

interface Judged {
  readonly report: RunReport;
  readonly document: Document;
  /** Undefined when the run is no drill. */
  readonly drill: { readonly result: DrillResult; readonly faults: readonly string[] } | undefined;
}

export async function reportRun(host: Host, runId: string, { journal, format }: ReportOptions): Promise<number> {
  return explained(host, async () => {
    const found = await findRun(host, runId, journal);
    const { report, document, drill } = await judged(host, found, journal);
    if (format === 'json') host.terminal.write(`${JSON.stringify({ ...report, ...(drill && { drill }) })}\n`);
    else host.terminal.write(format === 'md' ? toMarkdown(document) : toHtml(document, report.title));
    return 0;
  });
}

/** @returns 0 when the drill passed, 1 when it did not. */
export async function drillVerdict(host: Host, run: RunToReport, asJson: boolean): Promise<number> {
  const { drill } = await judged(host, run, undefined);
  const faults = drill?.faults ?? [];
  if (asJson) host.terminal.write(`${JSON.stringify({ is: 'drill', passed: faults.length === 0, faults })}\n`);
  else if (faults.length === 0) host.terminal.write('The drill passed.\n');
  else host.terminal.writeError(`The drill did not pass:\n${faults.map((fault) => `  - ${fault}`).join('\n')}\n`);
  return faults.length === 0 ? 0 : 1;
}

async function judged(host: Host, run: RunToReport, place: string | undefined): Promise<Judged> {
  const events = await run.journal.read();
  const platform = await host.platform();
  const report = reportOf(run.book, events, platform && objectivesOf(platform.tier.name));
  const document = reportDocument(report);
  const result = drillResult(run.runId, events);
  if (result === undefined || platform === undefined) return { report, document, drill: undefined };
  const faults = drillFaults(result, report, platform.tier.name);
  const last = (await drillsBefore(host, result, place)).at(-1);
  const [title, ...rest] = document;
  const blocks = drillBlocks(result, last, faults);
  return { report, document: title === undefined ? blocks : [title, ...blocks, ...rest], drill: { result, faults } };
}

/** Of the same book, oldest first. A place that cannot be read has no say: the comparison is a help, not a gate. */
export async function drillsBefore(host: Host, result: DrillResult, place: string | undefined): Promise<DrillResult[]> {
  return (await allRuns(host, place))
    .flatMap(({ run, events }) => drillResult(run, events) ?? [])
    .filter(({ book, at }) => book === result.book && at < result.at)
    .toSorted((one, other) => one.at.localeCompare(other.at));
}
