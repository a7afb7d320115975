/** The printed runbook and the printed report: what a person reads without this program, from the same tree. */
import type { Block, Document } from './document.ts';
import { lossWords, type RunReport } from './report.ts';
import type { Runbook, Step, Undo } from './step.ts';

/**
 * What the operator does by hand when nothing else works.
 * @param parameters as they are typed behind the book's name.
 */
export function runbookDocument<World>(book: Runbook<World>, parameters: readonly string[] = []): Document {
  const typed = [book.id, ...parameters].join(' ');
  const steps = book.steps.flatMap((step, index) => stepBlocks(step, index + 1));
  return [
    { is: 'heading', level: 1, text: book.title },
    {
      is: 'list',
      items: [`How long it takes: ${book.takes}`, `Who notices: ${book.harms}`],
    },
    { is: 'heading', level: 2, text: 'When to use it' },
    { is: 'list', items: book.useWhen },
    { is: 'heading', level: 2, text: 'When not to use it' },
    { is: 'list', items: book.doNotUseWhen },
    { is: 'heading', level: 2, text: 'Look first' },
    {
      is: 'table',
      head: ['run', 'go on when'],
      rows: book.lookFirst.map(({ command, expect }) => [`\`${command}\``, expect]),
    },
    { is: 'heading', level: 2, text: 'Run it' },
    {
      is: 'code',
      lines: [
        `npx holdfast runbook rehearse ${typed}   # looks, changes nothing`,
        `npx holdfast runbook run ${typed}`,
        'npx holdfast runbook resume RUN   # after an interruption, by anybody',
        'npx holdfast runbook undo RUN   # newest step first, up to what cannot be taken back',
        'npx holdfast runbook report RUN   # what happened, for the post-mortem',
      ],
    },
    {
      is: 'list',
      items: [
        'A rehearsal ends with "A run would begin now." It names the variables that are missing. In AWS a run also needs your credentials there, and a kubectl context named after each region.',
        'A run prints its own name (RUN) first, then a line for each thing that it does or finds. It asks for a name to be typed where a step says so. Ctrl-C ends it safely.',
        'It ends with 0 when all is done, 2 when what you typed is wrong, 3 when nothing was changed, 4 when it stopped on the way, 5 when the patience of a step was over; with 4 and 5 it prints how to go on.',
        `When this program cannot run, do the steps by hand, in this order: look first, and do nothing that is done already. Names in capitals: \`npx holdfast runbook show ${book.id}\` prints this page with those of your platform; cdk.out/review.md has them, too.`,
      ],
    },
    { is: 'heading', level: 2, text: 'Steps' },
    ...steps,
    ...(book.afterwards.length === 0
      ? []
      : [
          { is: 'heading', level: 2, text: 'Afterwards' } as const,
          { is: 'list', items: book.afterwards, tasks: true } as const,
        ]),
  ];
}

function stepBlocks<World>(step: Step<World>, number: number): Block[] {
  const { words, undo } = step;
  const rows: (readonly [string, string])[] = [
    ['Look', words.check],
    ['Do', words.act],
    ...(words.verify === undefined ? [] : [['Look again', words.verify] as const]),
    ['Wait', `at most ${inWords(step.patienceSeconds)}`],
    ['Take back', takingBack(undo, words.takeBack)],
  ];
  if (step.confirm !== undefined) rows.push(['Confirm', `type "${step.confirm}"`]);
  const goesWrong = words.canGoWrong ?? [];
  return [
    { is: 'heading', level: 3, text: `${number}. ${step.title}` },
    { is: 'table', head: ['', ''], rows },
    ...(words.commands === undefined ? [] : [{ is: 'code', lines: words.commands } as const]),
    ...(goesWrong.length === 0
      ? []
      : [{ is: 'paragraph', text: 'What can go wrong:' } as const, { is: 'list', items: goesWrong } as const]),
  ];
}

/** Pure. In the unit that a person thinks in. */
export function inWords(seconds: number): string {
  const round = (value: number): string => String(Number(value.toFixed(1)));
  if (seconds < 120) return `${round(seconds)} s`;
  return seconds < 7_200 ? `${round(seconds / 60)} min` : `${round(seconds / 3_600)} h`;
}

function takingBack<World>(undo: Undo<World>, words: string | undefined): string {
  if (typeof undo === 'function') return `\`npx holdfast runbook undo RUN\`${words === undefined ? '' : `: ${words}`}`;
  return 'stays' in undo ? `not needed: ${undo.stays}` : `cannot be: ${undo.irreversible}`;
}

export function reportDocument(report: RunReport): Document {
  const { objectives, objectivesMet, losses } = report;
  const verdict = objectivesMet === undefined ? 'not judged' : objectivesMet ? 'met' : 'MISSED';
  return [
    { is: 'heading', level: 1, text: `${report.title}: report` },
    {
      is: 'table',
      head: ['what', 'value'],
      rows: [
        ['began', report.runBegan],
        ['operators', report.operators.join(', ')],
        ['world', report.world],
        ...Object.entries(report.parameters).map(([name, value]) => [name, String(value)]),
        ['outcome', report.outcome],
        ['duration', `${report.durationSeconds.toFixed(1)} s`],
        ...(report.isRecovery
          ? [['recovery time', measured(report.recoverySeconds, objectives?.recoverySeconds, 'not recovered')]]
          : []),
        ...(report.isRecovery || losses.dataLossSeconds !== undefined
          ? [[lossWords.dataLossSeconds, measured(losses.dataLossSeconds, objectives?.dataLossSeconds, 'not known')]]
          : []),
        ...countedLosses.flatMap((name) =>
          losses[name] === undefined ? [] : [[lossWords[name], String(losses[name])]],
        ),
        ...(objectives === undefined ? [] : [['objectives', verdict]]),
      ],
    },
    { is: 'heading', level: 2, text: 'Timeline' },
    {
      is: 'table',
      head: ['time', 'seconds', 'what happened'],
      rows: report.timeline.map(({ at, seconds, text }) => [at, seconds.toFixed(1), text]),
    },
    { is: 'heading', level: 2, text: 'Action items' },
    report.actionItems.length === 0
      ? { is: 'paragraph', text: 'None found in the journal.' }
      : { is: 'list', items: report.actionItems, tasks: true },
    ...(report.afterwards.length === 0
      ? []
      : [
          { is: 'heading', level: 2, text: 'Afterwards' } as const,
          { is: 'list', items: report.afterwards, tasks: true } as const,
        ]),
    { is: 'heading', level: 2, text: 'For the post-mortem' },
    {
      is: 'list',
      tasks: true,
      items: [
        'What did users see, from when to when?',
        'How was it found, and how long after it began?',
        'What went well, what was luck?',
        'Which step was slower or less clear than it should be?',
        'What changes, who does it, until when?',
      ],
    },
  ];
}

const countedLosses = ['lostWrites', 'spendEventsLost', 'spendEventsDoubled', 'spendLogsUnfinished'] as const;

function measured(seconds: unknown, objective: number | undefined, absent: string): string {
  const value = typeof seconds === 'number' ? `${seconds.toFixed(1)} s` : absent;
  return objective === undefined ? value : `${value} (objective: ${objective} s)`;
}
