/** Looks at everything a run would look at, and changes nothing: neither the world nor a journal. */
import { contextOf, look, NotStanding } from './look.ts';
import type { Facts, Runbook, Step, StepContext, Verdict } from './step.ts';

/** `later` = what this step looks at exists only after earlier steps have run. */
export type Finding = Verdict | { readonly is: 'later'; readonly because: string };

export interface Rehearsed<World> {
  readonly step: Step<World>;
  /** Undefined when the step states none. */
  readonly precondition: Verdict | undefined;
  readonly verdict: Finding;
}

export interface Rehearsal<World> {
  readonly steps: readonly Rehearsed<World>[];
  /** Whether a run would begin now and find nothing that stops its first act. */
  readonly wouldBegin: boolean;
}

const longestLookMs = 30_000;

export async function rehearse<World>(
  book: Runbook<World>,
  world: World,
  signal: AbortSignal,
): Promise<Rehearsal<World>> {
  const steps: Rehearsed<World>[] = [];
  const known = new Map<string, Facts>();
  for (const step of book.steps) {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(longestLookMs)]);
    const context: StepContext = {
      ...contextOf(step, 'rehearsal', [], bounded),
      facts: (stepId) => {
        const facts = known.get(stepId);
        if (facts === undefined) throw new NotStanding(stepId);
        return facts;
      },
    };
    const { precondition: mustHold } = step;
    const precondition = mustHold === undefined ? undefined : await look(() => mustHold(world, context), bounded);
    const verdict = await lookAhead(() => step.check(world, context), bounded);
    if (verdict.is === 'done') known.set(step.id, verdict.facts ?? {});
    steps.push({ step, precondition, verdict });
  }
  return { steps, wouldBegin: wouldBegin(steps) };
}

async function lookAhead(find: () => Promise<Verdict>, signal: AbortSignal): Promise<Finding> {
  let later: NotStanding | undefined;
  const verdict = await look(async () => {
    try {
      return await find();
    } catch (error) {
      if (error instanceof NotStanding) later = error;
      throw error;
    }
  }, signal);
  return later === undefined ? verdict : { is: 'later', because: later.message };
}

function wouldBegin(steps: readonly Pick<Rehearsed<never>, 'precondition' | 'verdict'>[]): boolean {
  const met = steps.every(({ precondition }) => precondition === undefined || /^(done|ready)$/.test(precondition.is));
  const firstOpen = steps.find(({ verdict }) => verdict.is !== 'done');
  return met && (firstOpen === undefined || firstOpen.verdict.is === 'ready');
}
