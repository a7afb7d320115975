/** A run as the operator sees it: a line that is repainted on a terminal, plain lines elsewhere, or one JSON object a line. */
import { styleText } from 'node:util';
import type { JournalEvent } from '../../runbooks/engine/journal.ts';
import { sentenceOf } from '../../runbooks/engine/report.ts';
import type { Runbook, Step } from '../../runbooks/engine/step.ts';
import type { Terminal } from './host.ts';

export interface Progress {
  onEvent(event: JournalEvent): void;
  onWaiting(step: Pick<Step<never>, 'id' | 'title'>, note: string, remainingSeconds: number): void;
  /** Leaves the cursor on a line of its own. */
  end(): void;
}

type Titled = Pick<Runbook<never>, 'steps'>;

export function progressFor(terminal: Terminal, book: Titled, asJson: boolean): Progress {
  if (asJson) return jsonLines(terminal);
  return terminal.isInteractive ? new LiveProgress(terminal, book) : plainLines(terminal, book);
}

function jsonLines(terminal: Terminal): Progress {
  const line = (value: object): void => terminal.write(`${JSON.stringify(value)}\n`);
  const seen = new Map<string, string>();
  return {
    onEvent: line,
    onWaiting: (step, note, remainingSeconds) => {
      if (seen.get(step.id) === note) return;
      seen.set(step.id, note);
      line({ is: 'waiting', step: step.id, note, remainingSeconds });
    },
    end: () => undefined,
  };
}

/** A wait says what it waits for when that changes: a log of a thousand equal lines hides the one that matters. */
function plainLines(terminal: Terminal, book: Titled): Progress {
  const line = (event: JournalEvent): void => terminal.write(`${event.at} ${describe(book, event)}\n`);
  const seen = new Map<string, string>();
  return {
    onEvent: line,
    onWaiting: (step, note, remainingSeconds) => {
      if (seen.get(step.id) === note) return;
      seen.set(step.id, note);
      terminal.write(`  ${step.title}: waiting, at most ${remainingSeconds} s more (${note})\n`);
    },
    end: () => undefined,
  };
}

function describe({ steps }: Titled, event: JournalEvent): string {
  const titles = new Map(steps.map(({ id, title }) => [id, title]));
  const sentence = sentenceOf(event, (id) => titles.get(id) ?? id);
  if (!('step' in event)) return sentence;
  return `[${steps.findIndex(({ id }) => id === event.step) + 1}/${steps.length}] ${sentence}`;
}

const clearLine = '\r\u001b[2K';

class LiveProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #book: Titled;

  constructor(terminal: Terminal, book: Titled) {
    this.#terminal = terminal;
    this.#book = book;
  }

  onEvent(event: JournalEvent): void {
    const mark = markOf(event);
    const time = event.at.slice(11, 19);
    this.#terminal.write(`${clearLine}${time} ${mark} ${describe(this.#book, event)}\n`);
  }

  onWaiting({ title }: Pick<Step<never>, 'title'>, note: string, remainingSeconds: number): void {
    const line = `         ... ${title}: ${note} (at most ${remainingSeconds} s)`;
    this.#terminal.write(`${clearLine}${line.slice(0, Math.max(20, this.#terminal.columns - 1))}`);
  }

  end(): void {
    this.#terminal.write(clearLine);
  }
}

function markOf({ is }: JournalEvent): string {
  if (is === 'verified' || is === 'found-done' || is === 'undone' || is === 'run-completed') {
    return styleText('green', 'ok  ', { stream: process.stdout });
  }
  if (is === 'acting' || is === 'acted' || is === 'undoing' || is === 'run-started' || is === 'run-resumed') {
    return styleText('cyan', '>>  ', { stream: process.stdout });
  }
  return styleText('red', 'stop', { stream: process.stdout });
}
