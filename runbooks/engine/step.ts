/** A runbook is data: steps that look, act, look again and can be taken back. One tree is run, rehearsed and printed. */

/** What a step finds when it looks at the world. Only `ready` leads to an act. */
export type Verdict =
  /** The step's effect stands already, whoever brought it about. */
  | { readonly is: 'done'; readonly note?: string; readonly facts?: Facts }
  /** Somebody's act is on its way; acting again would do it twice. */
  | { readonly is: 'underway'; readonly note: string }
  | { readonly is: 'ready'; readonly note?: string }
  /** It must not be done now. `fix` = what a person can do about it. */
  | { readonly is: 'blocked'; readonly because: string; readonly fix?: string };

/** What a step has seen and later steps or the report need: epochs, positions, counts. Never a secret: it is journaled. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

/** What a step is given besides the world. */
export interface StepContext {
  /** Fires when the operator stops the run or the step's patience is over. Every wait must end with it. */
  readonly signal: AbortSignal;
  readonly runId: string;
  /** The same for every try of this step in this run: for APIs that take an idempotency token. */
  readonly token: string;
  /** What an earlier step of this run found when it was verified. @throws when that step does not stand. */
  readonly facts: (stepId: string) => Facts;
  /** What an act that takes long is at, for the operator who waits for it. */
  readonly progress: (note: string) => void;
}

/** The step in words, for the printed runbook and for the operator who has to do without this program. */
export interface StepWords {
  readonly check: string;
  readonly act: string;
  readonly verify?: string;
  /** What taking it back does, where that is more than the opposite. */
  readonly takeBack?: string;
  /** The same by hand. */
  readonly commands?: readonly string[];
  readonly canGoWrong?: readonly string[];
}

export type Look<World> = (world: World, context: StepContext) => Promise<Verdict>;
export type Act<World> = (world: World, context: StepContext) => Promise<void>;

export interface Step<World> {
  /** Stays the same for ever: journals name it. */
  readonly id: string;
  readonly title: string;
  readonly words: StepWords;
  /** How long the effect may take to show; also bounds the act itself. */
  readonly patienceSeconds: number;
  /** Acting needs the operator to type this name, for example the region's. */
  readonly confirm?: string;
  /** Its effect is time that has passed in this process, so a resumed run does it again. */
  readonly repeatedOnResume?: true;
  /** What must hold before the run begins, whatever the steps before this one will do; `ready` or `done` = it holds. */
  readonly precondition?: Look<World>;
  readonly check: Look<World>;
  /** Must be harmless when its effect is on its way but cannot be seen yet: use the token, or a compare-and-swap. */
  readonly act: Act<World>;
  /** Defaults to `check`; anything but `done` is waited for. */
  readonly verify?: Look<World>;
  /** An act must be harmless when repeated. */
  readonly undo: Undo<World>;
}

export type Undo<World> =
  | Act<World>
  /** Taking the run back ends here, and the steps before this one stand. */
  | { readonly irreversible: string }
  /** There is nothing to take back, or its effect harms nobody: taking the run back passes over it. */
  | { readonly stays: string };

export interface LookFirst {
  readonly command: string;
  readonly expect: string;
}

export interface Runbook<World> {
  readonly id: string;
  readonly title: string;
  readonly useWhen: readonly string[];
  readonly doNotUseWhen: readonly string[];
  /** For somebody who was paged a minute ago: what to look at, and what it shows when this is the right book. */
  readonly lookFirst: readonly LookFirst[];
  /** How long it takes, as a rule. */
  readonly takes: string;
  /** Who notices what while it runs. */
  readonly harms: string;
  /** What is left to do when the run is complete. */
  readonly afterwards: readonly string[];
  readonly steps: readonly Step<World>[];
  /** The recovery time begins when this step stands; absent = with the run. */
  readonly brokenBy?: string;
  /** When this step stands, service is recovered: the recovery time ends there. Absent = the book recovers nothing. */
  readonly recoveredBy?: string;
}

/** Faults of a runbook that no run should find out. */
export function faultsOf<World>(book: Runbook<World>): string[] {
  const faults: string[] = [];
  const ids = book.steps.map(({ id }) => id);
  for (const id of new Set(ids.filter((one, index) => ids.indexOf(one) !== index)))
    faults.push(`two steps are "${id}"`);
  if (book.steps.length === 0) faults.push('it has no steps');
  if (book.useWhen.length === 0) faults.push('it does not say when to use it');
  if (book.doNotUseWhen.length === 0) faults.push('it does not say when not to use it');
  if (book.lookFirst.length === 0) faults.push('it does not say what to look at first');
  for (const name of ['takes', 'harms'] as const) if (book[name] === '') faults.push(`it has no words for ${name}`);
  for (const name of ['brokenBy', 'recoveredBy'] as const) {
    const id = book[name];
    if (id !== undefined && !ids.includes(id)) faults.push(`${name} names "${id}", which is no step`);
  }
  for (const { id, patienceSeconds } of book.steps) {
    if (!/^[a-z][a-z0-9-]*$/.test(id)) faults.push(`the step id "${id}" is not made of a-z, 0-9 and -`);
    if (!(patienceSeconds > 0)) faults.push(`the step "${id}" has no patience`);
  }
  return faults;
}
