/** `runbook run`, `resume` and `undo`: opens what is needed, runs the engine, says what came of it. */
import { evidenceOf } from '../../runbooks/books/evidence.ts';
import type { Parameters } from '../../runbooks/books/registry.ts';
import type { World } from '../../runbooks/books/world.ts';
import { type Journal, JournalAway } from '../../runbooks/engine/journal.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import { exitCodes, type Outcome, run } from '../../runbooks/engine/run.ts';
import { atWork } from '../../runbooks/engine/standing.ts';
import type { Runbook, Step } from '../../runbooks/engine/step.ts';
import { undo } from '../../runbooks/engine/undo.ts';
import { bookOf, explained, idOf, openedFor } from './command-line.ts';
import { type FoundRun, findRun } from './find-run.ts';
import type { Host, WorldName } from './host.ts';
import { progressFor } from './progress.ts';
import { drillVerdict } from './report.ts';

export interface PerformOptions {
  readonly world: WorldName;
  /** A folder, or `s3://bucket/prefix?region=...`. */
  readonly journal?: string;
  readonly json?: true;
  /** Names typed beforehand, for runs that nobody watches. */
  readonly confirm?: readonly string[];
  /** Between two looks. */
  readonly poll: number;
}

interface Started {
  readonly runId: string;
  readonly journal: Journal;
  readonly place: string;
  readonly book: Runbook<World>;
  readonly parameters: Parameters;
  readonly worldName: WorldName;
}

export async function runBook(
  host: Host,
  name: string,
  words: readonly string[],
  options: PerformOptions,
): Promise<number> {
  return explained(host, async () => {
    const { book, parameters } = await bookOf(host, name, words, options.world);
    const survivor = parameters['target'] ?? parameters['region'] ?? parameters['standbys']?.split(',')[0];
    const { journals, name: place } = await host.places.forNewRun(options.journal, options.world, survivor);
    const runId = host.newRunId();
    return perform(
      host,
      { runId, journal: journals.of(runId), place, book, parameters, worldName: options.world },
      options,
    );
  });
}

export async function resumeRun(host: Host, runId: string, options: Omit<PerformOptions, 'world'>): Promise<number> {
  return explained(host, async () => {
    const found = await findRun(host, runId, options.journal);
    sayAtWork(host, found);
    return perform(host, { ...found, worldName: found.world }, options);
  });
}

async function perform(host: Host, started: Started, options: Omit<PerformOptions, 'world'>): Promise<number> {
  const { book, runId, journal, place, parameters, worldName } = started;
  const asJson = options.json === true;
  const opened = await openedFor(host, worldName, book.id);
  const progress = progressFor(host.terminal, book, asJson);
  try {
    if (!asJson) host.terminal.write(`Run ${runId}, journal in ${place}\n`);
    const outcome = await run<World>({
      ...common(host, book, options),
      world: opened.world,
      worldName,
      journal,
      runId,
      parameters,
      onEvent: (event) => progress.onEvent(event),
      onWaiting: (step, note, remaining) => progress.onWaiting(step, note, remaining),
    });
    progress.end();
    sayOutcome(host, started, outcome, asJson);
    const isJudged = outcome.is === 'completed' && book.id === 'drill';
    const code = isJudged ? await drillVerdict(host, started, asJson) : exitCodes[outcome.is];
    await keepEvidence(host, started, outcome, isJudged ? code === 0 : undefined, asJson);
    return code;
  } catch (error) {
    progress.end();
    return journalAway(host, error, started);
  } finally {
    progress.end();
    await opened.close();
  }
}

/** The checklist is a help: a disk that is full must not turn a move that went well into one that failed. */
async function keepEvidence(
  host: Host,
  { book, runId, place, parameters, worldName }: Started,
  outcome: Outcome,
  drillPassed: boolean | undefined,
  asJson: boolean,
): Promise<void> {
  const { book: drilled } = parameters;
  const reports = evidenceOf({
    book: idOf(book.id),
    ...(book.id === 'drill' && drilled !== undefined ? { drilled } : {}),
    world: worldName,
    outcome: outcome.is,
    ...(drillPassed === undefined ? {} : { drillPassed }),
    at: host.clock.date().toISOString(),
    source: `run ${runId} in ${place}`,
  });
  for (const report of reports) {
    try {
      const path = await host.keepEvidence(report);
      if (!asJson) host.terminal.write(`For the checklist of npm run synth: ${path}\n`);
    } catch (error) {
      host.terminal.writeError(`What the run has shown was not kept for the checklist: ${messageOf(error)}\n`);
    }
  }
}

export async function undoRun(host: Host, runId: string, options: Omit<PerformOptions, 'world'>): Promise<number> {
  return explained(host, async () => {
    const found = await findRun(host, runId, options.journal);
    sayAtWork(host, found);
    const { book, journal, world } = found;
    const asJson = options.json === true;
    const opened = await openedFor(host, world, book.id);
    const progress = progressFor(host.terminal, book, asJson);
    try {
      const outcome = await undo<World>({
        ...common(host, book, options),
        world: opened.world,
        journal,
        runId,
        onEvent: (event) => progress.onEvent(event),
        onWaiting: (step, note, remaining) => progress.onWaiting(step, note, remaining),
      });
      progress.end();
      if (asJson) host.terminal.write(`${JSON.stringify({ is: 'outcome', run: runId, outcome })}\n`);
      else if (outcome.is === 'completed')
        host.terminal.write(`Taken back: ${outcome.undone.join(', ') || 'nothing'}\n`);
      else host.terminal.writeError(`Taking back ended at "${outcome.step}": ${outcome.because}\n`);
      return outcome.is === 'completed' ? 0 : exitCodes.partial;
    } catch (error) {
      progress.end();
      return journalAway(host, error, found);
    } finally {
      progress.end();
      await opened.close();
    }
  });
}

function common(host: Host, book: Runbook<World>, options: Omit<PerformOptions, 'world'>) {
  const { clock, signal, operator } = host;
  const session = host.newSession();
  const confirm = (step: Step<World>, expected: string) => confirmed(host, step, expected, options.confirm ?? []);
  return { book, clock, signal, operator, session, confirm, pollSeconds: options.poll };
}

/** Empty when nobody can be asked and nothing was typed beforehand: the step is then declined. */
async function confirmed(
  { terminal, signal }: Host,
  step: Step<World>,
  expected: string,
  typed: readonly string[],
): Promise<string> {
  if (typed.includes(expected)) return expected;
  if (!terminal.isInteractive) return '';
  terminal.write(`\n${step.title}\n  ${step.words.act}\n`);
  if (typeof step.undo !== 'function' && 'irreversible' in step.undo) {
    terminal.write(`  This cannot be taken back: ${step.undo.irreversible}\n`);
  }
  return (await terminal.ask(`Type ${expected} to do it: `, signal)).trim();
}

function sayOutcome({ terminal }: Host, { runId, place, book }: Started, outcome: Outcome, asJson: boolean): void {
  if (asJson) return terminal.write(`${JSON.stringify({ is: 'outcome', run: runId, outcome })}\n`);
  switch (outcome.is) {
    case 'completed':
      terminal.write(`The run is complete. npx holdfast runbook report ${runId}\n`);
      return terminal.write(book.afterwards.map((item) => `  Afterwards: ${item}\n`).join(''));
    case 'refused':
      terminal.writeError(`Nothing was changed: "${outcome.step}" ${outcome.because}\n`);
      break;
    case 'partial':
      terminal.writeError(`Stopped at "${outcome.step}": ${outcome.because}\n`);
      break;
    case 'timed-out':
      terminal.writeError(`Patience is over at "${outcome.step}": ${outcome.waitedFor}\n`);
      break;
  }
  if ('fix' in outcome && outcome.fix !== undefined) terminal.writeError(`  Mend: ${outcome.fix}\n`);
  for (const { step, because, fix } of ('more' in outcome ? outcome.more : undefined) ?? []) {
    terminal.writeError(`And "${step}": ${because}\n${fix === undefined ? '' : `  Mend: ${fix}\n`}`);
  }
  if (outcome.is !== 'refused') terminal.writeError(waysOn({ runId, place }));
}

const waysOn = ({ runId, place }: Pick<Started, 'runId' | 'place'>): string =>
  `  Go on, from here or from anywhere:  npx holdfast runbook resume ${runId} --journal '${place}'\n` +
  `  Take it back as far as it goes:     npx holdfast runbook undo ${runId} --journal '${place}'\n`;

/** The journal has gone away under a run. @throws every other error. */
function journalAway(
  { terminal }: Host,
  error: unknown,
  { runId, place, book }: Pick<Started, 'runId' | 'place' | 'book'>,
): number {
  if (!(error instanceof JournalAway) || !error.hasBegun) throw error;
  terminal.writeError(
    `${error.message}\nThe run has stopped; whether its newest act was done shows when somebody looks again.\n${waysOn({ runId, place })}` +
      `  If that place does not come back:   npx holdfast runbook run ${book.id} ... --journal ANOTHER-PLACE (what stands is found done)\n`,
  );
  return exitCodes.partial;
}

/** Two people must not believe that they have the same run. */
function sayAtWork({ terminal, clock }: Host, { events, book }: FoundRun): void {
  const busy = atWork(events);
  if (busy === undefined) return;
  const seconds = Math.max(0, Math.round((clock.date().getTime() - Date.parse(busy.at)) / 1000));
  const title = book.steps.find(({ id }) => id === busy.step)?.title;
  terminal.writeError(
    `${busy.operator} was at this run ${seconds} s ago${title === undefined ? '' : ` ("${title}")`} and has not written its end. If that process lives, it stops at its next event: from here on the run is yours.\n`,
  );
}
