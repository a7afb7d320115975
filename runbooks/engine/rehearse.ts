/** Looks at everything a run would look at, and changes nothing: neither the world nor a journal. */
import { contextOf, lookOnce, NotStanding } from './look.ts';
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

/** @param lookSeconds for one look; 30 if not given. */
export async function rehearse<World>(
  book: Runbook<World>,
  world: World,
  signal: AbortSignal,
  lookSeconds?: number,
): Promise<Rehearsal<World>> {
  const steps: Rehearsed<World>[] = [];
  const known = new Map<string, Facts>();
  for (const step of book.steps) {
    const facts = (stepId: string): Facts => {
      const found = known.get(stepId);
      if (found === undefined) throw new NotStanding(stepId);
      return found;
    };
    const { precondition: mustHold } = step;
    const contextIn = (bounded: AbortSignal): StepContext => ({
      ...contextOf(step, 'rehearsal', [], bounded),
      facts,
    });
    const [precondition, verdict] = await Promise.all([
      mustHold && lookOnce((bounded) => mustHold(world, contextIn(bounded)), signal, lookSeconds),
      lookAhead((bounded) => step.check(world, contextIn(bounded)), signal, lookSeconds),
    ]);
    if (verdict.is === 'done') known.set(step.id, verdict.facts ?? {});
    steps.push({ step, precondition, verdict });
  }
  return { steps, wouldBegin: wouldBegin(steps) };
}

async function lookAhead(
  find: (bounded: AbortSignal) => Promise<Verdict>,
  signal: AbortSignal,
  lookSeconds: number | undefined,
): Promise<Finding> {
  let later: NotStanding | undefined;
  const verdict = await lookOnce(
    async (bounded) => {
      try {
        return await find(bounded);
      } catch (error) {
        if (error instanceof NotStanding) later = error;
        throw error;
      }
    },
    signal,
    lookSeconds,
  );
  return later === undefined ? verdict : { is: 'later', because: later.message };
}

function wouldBegin(steps: readonly Pick<Rehearsed<never>, 'precondition' | 'verdict'>[]): boolean {
  const met = steps.every(({ precondition }) => precondition === undefined || /^(done|ready)$/.test(precondition.is));
  const firstOpen = steps.find(({ verdict }) => verdict.is !== 'done');
  return met && (firstOpen === undefined || firstOpen.verdict.is === 'ready');
}
