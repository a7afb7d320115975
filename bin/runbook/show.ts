/** `runbook list`, `show` and `rehearse`: everything that changes nothing. */
import { bucketName } from '../../lib/platform/names.ts';
import { policyOf } from '../../runbooks/aws/policy.ts';
import { drillDue, drillResult } from '../../runbooks/books/drill-history.ts';
import { withNames } from '../../runbooks/books/page-names.ts';
import { buildBook, parameterHelp, printedParameters, typedParameters } from '../../runbooks/books/registry.ts';
import type { World } from '../../runbooks/books/world.ts';
import { type RunbookId, runbookTitles } from '../../runbooks/catalog.ts';
import { toHtml, toMarkdown } from '../../runbooks/engine/document.ts';
import { noteOf } from '../../runbooks/engine/look.ts';
import { runbookDocument } from '../../runbooks/engine/print.ts';
import { type Finding, rehearse } from '../../runbooks/engine/rehearse.ts';
import { exitCodes } from '../../runbooks/engine/run.ts';
import { bucketsOf } from '../region/buckets.ts';
import { allRuns } from './all-runs.ts';
import { bookOf, explained, idOf, openedFor } from './command-line.ts';
import { type Host, UsageError, type WorldName } from './host.ts';

export interface ListOptions {
  readonly runs?: true;
  readonly journal?: string;
  readonly json?: true;
}

const ids = Object.keys(runbookTitles).filter((id): id is RunbookId => id in runbookTitles);

export async function listBooks(host: Host, options: ListOptions): Promise<number> {
  return explained(host, () =>
    options.runs === true ? listRuns(host, options) : Promise.resolve(books(host, options)),
  );
}

function books({ terminal }: Host, { json }: ListOptions): number {
  if (json === true) {
    const all = ids.map((id) => ({ id, title: runbookTitles[id], parameters: parameterHelp(id) }));
    terminal.write(`${JSON.stringify(all)}\n`);
    return 0;
  }
  for (const id of ids) {
    const names = parameterHelp(id).map(({ name, isOptional }) => (isOptional ? `[${name}]` : name));
    terminal.write(`  ${id.padEnd(21)}${runbookTitles[id]}\n${' '.repeat(23)}${names.join(' ')}\n`);
  }
  return 0;
}

async function listRuns(host: Host, { journal, json }: ListOptions): Promise<number> {
  const runs = await allRuns(host, journal);
  const rows = runs.flatMap(({ run, place, events }) => {
    const [first] = events;
    return first?.is === 'run-started'
      ? [{ run, place, book: first.book, began: first.at, last: events.at(-1)?.is ?? '' }]
      : [];
  });
  const drills = runs.flatMap(({ run, events }) => drillResult(run, events) ?? []);
  const platform = await host.platform();
  const due = platform && drillDue(drills, 'region-failover', platform.tier.name, host.clock.date());
  if (json === true) host.terminal.write(`${JSON.stringify({ runs: rows, drillDue: due })}\n`);
  else {
    for (const { run, book, began, last, place } of rows)
      host.terminal.write(`  ${run}  ${book.padEnd(20)} ${began}  ${last.padEnd(14)} ${place}\n`);
    if (due !== undefined) host.terminal.write(`${dueSentence(due)}\n`);
  }
  return 0;
}

function dueSentence({ lastAt, daysLeft }: { lastAt: string | undefined; daysLeft: number }): string {
  if (lastAt === undefined) return 'region-failover was never drilled: a drill is due.';
  if (daysLeft <= 0) return `The last drill of region-failover was on ${lastAt.slice(0, 10)}: the next is due.`;
  return `The next drill of region-failover is due in ${daysLeft} days.`;
}

export interface ShowOptions {
  readonly format: 'md' | 'html';
  /** With names to fill in, as the pages of this repository have them. */
  readonly blank?: true;
  /** The IAM policy of who runs it, instead of the book. */
  readonly policy?: true;
}

export async function showBook(
  host: Host,
  name: string,
  words: readonly string[],
  { format, blank, policy }: ShowOptions,
): Promise<number> {
  return explained(host, async () => {
    const id = idOf(name);
    if (policy === true) return showPolicy(host, id);
    const printed = printedParameters(id);
    const { book, parameters } =
      blank === true ? { book: buildBook(id, printed), parameters: printed } : await bookOf(host, name, words);
    const document = runbookDocument(book, typedParameters(parameters));
    const platform = blank === true ? undefined : await host.platform();
    const page = platform === undefined ? document : withNames(document, platform);
    host.terminal.write(format === 'md' ? toMarkdown(page) : toHtml(page, book.title));
    return 0;
  });
}

async function showPolicy(host: Host, id: RunbookId): Promise<number> {
  const platform = await host.platform();
  const policy =
    platform &&
    policyOf(id, platform, {
      ...bucketsOf(platform),
      journals: platform.regions.map((region) => bucketName(platform, region, 'journal')),
    });
  if (policy === undefined) throw new UsageError(`The AWS world does not run ${id} yet, so there is no policy for it`);
  host.terminal.write(`${JSON.stringify(policy, undefined, 2)}\n`);
  return 0;
}

export interface RehearseOptions {
  readonly world: WorldName;
  readonly json?: true;
}

/** @returns 0 when a run would begin, 3 when it would be refused. */
export async function rehearseBook(
  host: Host,
  name: string,
  words: readonly string[],
  { world: worldName, json }: RehearseOptions,
): Promise<number> {
  return explained(host, async () => {
    const { book } = await bookOf(host, name, words, worldName);
    const opened = await openedFor(host, worldName, book.id);
    try {
      const { steps, wouldBegin } = await rehearse<World>(book, opened.world, host.signal);
      if (json === true) {
        const found = steps.map(({ step, precondition, verdict }) => ({ step: step.id, precondition, verdict }));
        host.terminal.write(`${JSON.stringify({ wouldBegin, steps: found })}\n`);
      } else {
        for (const { step, precondition, verdict } of steps) {
          host.terminal.write(`  ${verdict.is.padEnd(9)}${step.title}: ${said(verdict)}\n`);
          if (precondition !== undefined && !/^(done|ready)$/.test(precondition.is)) {
            host.terminal.write(`${' '.repeat(11)}must hold before the run begins: ${noteOf(precondition)}\n`);
          }
        }
        host.terminal.write(wouldBegin ? 'A run would begin now. Nothing was changed.\n' : 'A run would be refused.\n');
      }
      return wouldBegin ? 0 : exitCodes.refused;
    } finally {
      await opened.close();
    }
  });
}

const said = (finding: Finding): string => (finding.is === 'later' ? finding.because : noteOf(finding));
