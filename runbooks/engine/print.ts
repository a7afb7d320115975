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
  return [
    { is: 'heading', level: 1, text: book.title },
    { is: 'heading', level: 2, text: 'When to use it' },
    { is: 'list', items: book.useWhen },
    { is: 'heading', level: 2, text: 'When not to use it' },
    { is: 'list', items: book.doNotUseWhen },
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
      is: 'paragraph',
      text: 'In AWS it needs your credentials there, a kubectl context named after each region, and some variables: `rehearse` names those that are missing. When this program cannot run, do the steps by hand, in this order: look first, and do nothing that is done already.',
    },
    { is: 'heading', level: 2, text: 'Steps' },
    ...book.steps.flatMap((step, index) => stepBlocks(step, index + 1)),
  ];
}

function stepBlocks<World>(step: Step<World>, number: number): Block[] {
  const { words, undo } = step;
  const rows: (readonly [string, string])[] = [
    ['Look', words.check],
    ['Do', words.act],
    ['Look again', words.verify ?? words.check],
    ['Patience', `${step.patienceSeconds} s`],
    ['Take back', takingBack(undo)],
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

function takingBack<World>(undo: Undo<World>): string {
  if (typeof undo === 'function') return '`npx holdfast runbook undo RUN`';
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

const countedLosses = ['lostWrites', 'spendEventsLost', 'spendEventsDoubled'] as const;

function measured(seconds: unknown, objective: number | undefined, absent: string): string {
  const value = typeof seconds === 'number' ? `${seconds.toFixed(1)} s` : absent;
  return objective === undefined ? value : `${value} (objective: ${objective} s)`;
}
