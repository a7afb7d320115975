/**
 * A drill is the real book, run on purpose, with guard rails before it and a measurement after it. Nothing of the book is
 * left out or replaced: what the drill shows is what the book does.
 */
import type { Runbook, Step, Verdict } from '../engine/step.ts';
import type { VerifiedWorld } from './region-world.ts';
import { lookStep } from './steps/look.ts';
import { verifyStep } from './steps/verify.ts';

export type DrillEnvironment = 'lab' | 'staging' | 'production';

export interface DrillPlan {
  readonly environment: DrillEnvironment;
  /** What is broken on purpose: `kill` ends a region's processes, `partition` cuts it off; `none` only runs the book. */
  readonly fault: 'kill' | 'partition' | 'none';
  /** The region that is broken. */
  readonly victim: string;
  /** The region that serves afterwards. */
  readonly survivor: string;
}

export interface DrillWorld extends VerifiedWorld {
  readonly drill: DrillControls;
}

export interface DrillControls {
  conditions(signal: AbortSignal): Promise<DrillConditions>;
  /** Clients of the drill's own, which keep a ledger; in production the real ones are measured and none is made. */
  load(signal: AbortSignal): Promise<'absent' | 'running'>;
  startLoad(token: string, signal: AbortSignal): Promise<void>;
  stopLoad(signal: AbortSignal): Promise<void>;
  isBroken(region: string, signal: AbortSignal): Promise<boolean>;
  break(region: string, fault: 'kill' | 'partition', token: string, signal: AbortSignal): Promise<void>;
  mend(region: string, signal: AbortSignal): Promise<void>;
  /** Undefined until it can be told: outboxes must have drained before anything counts as lost. */
  measure(signal: AbortSignal): Promise<DrillMeasurements | undefined>;
}

/** Must all hold before anything is broken. */
export interface DrillConditions {
  /** Alerts that fire now. */
  readonly alerts: readonly string[];
  /** Other runs that were begun and not finished. */
  readonly unfinishedRuns: readonly string[];
  readonly lagSeconds: number | undefined;
  /** Within the hours in which people are there to help. */
  readonly isInWindow: boolean;
  /** Days since backup-verify last passed; undefined = never. */
  readonly backupVerifiedDaysAgo: number | undefined;
}

export interface DrillMeasurements {
  readonly requests: number;
  /** Of the requests, after the clients' own retries. */
  readonly errorPercent: number;
  /** Of the requests: those that needed more than one try. */
  readonly retriedPercent: number;
  /** Of the time after the recovery against that before the fault, 95th percentile. */
  readonly addedLatencyMs: number;
  /** From the break until the last request was sent that met an error, also if its next try was answered. */
  readonly troubleSeconds: number;
  /** Longest time in which clients saw nothing but errors. */
  readonly servingGapSeconds: number;
  /** Longest time between two acknowledged control-plane writes; null = it was not measured. */
  readonly writeGapSeconds: number | null;
  readonly dataLossSeconds: number;
  readonly acknowledgedWrites: number;
  readonly lostWrites: number;
  /** What they wrote, for whoever applies them by hand; the first 20. */
  readonly lostWritesList: string;
  readonly spendEventsLost: number;
  readonly spendEventsDoubled: number;
  /** Times that what must never happen did: I1 to I6 of the right to write; null = nothing notes what it takes to tell. */
  readonly invariantViolations: number | null;
  /** The first 20. */
  readonly violationsList: string;
  /** Which region wrote from when on. */
  readonly epochHistory: string;
}

const longestLagSeconds = 30;
const backupVerifiedWithinDays = 35;

/** Pure: what speaks against a drill now. In the lab nothing does. */
export function objections(environment: DrillEnvironment, conditions: DrillConditions): string[] {
  if (environment === 'lab') return [];
  const { alerts, unfinishedRuns, lagSeconds, isInWindow, backupVerifiedDaysAgo } = conditions;
  const found: string[] = [];
  if (alerts.length > 0) found.push(`alerts fire: ${alerts.join(', ')}`);
  if (unfinishedRuns.length > 0) found.push(`runs are not finished: ${unfinishedRuns.join(', ')}`);
  if (lagSeconds === undefined || lagSeconds > longestLagSeconds) {
    found.push(`the replica lags by ${lagSeconds ?? 'an unknown number of'} s, at most ${longestLagSeconds} are good`);
  }
  if (environment === 'staging') return found;
  if (!isInWindow) found.push('it is outside of the hours in which people are there to help');
  if (backupVerifiedDaysAgo === undefined || backupVerifiedDaysAgo > backupVerifiedWithinDays) {
    found.push(
      `backup-verify has ${backupVerifiedDaysAgo === undefined ? 'never passed' : `last passed ${backupVerifiedDaysAgo} days ago`}`,
    );
  }
  return found;
}

/** @param book the one that is drilled; its last step verifies the survivor. */
export function drill<World>(book: Runbook<World>, plan: DrillPlan): Runbook<World & DrillWorld> {
  const { environment, victim, survivor, fault } = plan;
  // A drill always measures a time: of a book that recovers nothing, until its end.
  const recoveredBy = book.recoveredBy ?? book.steps.at(-1)?.id;
  return {
    id: 'drill',
    title: `Drill: ${book.title}`,
    useWhen: [
      "at the tier's interval: critical and high every 30 days, standard every 90",
      'after a change of what the book touches, in the lab or in staging first',
    ],
    doNotUseWhen: [
      'an incident is open',
      `in production, before the same drill has passed in staging`,
      'in AWS, by this program: it refuses there, since it breaks and measures the lab alone. Look by hand at what step 1 names, then run the book itself on purpose',
      ...book.doNotUseWhen.filter((reason) => !reason.includes(' works: ')),
    ],
    lookFirst: [
      {
        command: 'npx holdfast runbook list --runs',
        expect: 'no run is unfinished; its last line says when a drill is due',
      },
      { command: 'npx holdfast region status', expect: 'every region answers, and no line begins with "!"' },
      { command: 'npx holdfast region ready', expect: 'every line is ok' },
    ],
    takes: `as long as the book itself (${book.takes}), and some minutes to count`,
    harms:
      environment === 'production'
        ? `what the book itself does to clients, to real ones: ${book.harms}`
        : `nobody outside of ${environment}. Of those inside: ${book.harms}`,
    afterwards: [
      'fill in the post-mortem of the report, also when it passed: what was slower than the last time?',
      ...book.afterwards,
    ],
    ...(fault === 'none' ? {} : { brokenBy: 'drill-break' }),
    ...(recoveredBy === undefined ? {} : { recoveredBy }),
    steps: [
      guardRails(environment),
      ...(environment === 'production' ? [] : [startLoad]),
      ...(fault === 'none' ? [] : [breakIt(environment, victim, fault)]),
      ...book.steps,
      ...(fault === 'none' ? [] : [mend(victim)]),
      measure,
      ...(environment === 'production' ? [] : [stopLoad]),
      verifyStep({ region: survivor, write: true, id: 'drill-verify' }),
    ],
  };
}

const guardRails = (environment: DrillEnvironment): Step<DrillWorld> => {
  const check: Step<DrillWorld>['check'] = async (world, { signal }): Promise<Verdict> => {
    const found = objections(environment, await world.drill.conditions(signal));
    return found.length === 0
      ? { is: 'done' }
      : { is: 'blocked', because: found.join('; '), fix: 'mend that first; a drill never waits for a better moment' };
  };
  return lookStep({
    id: 'drill-guard',
    title: 'See that nothing speaks against it',
    words: {
      check: `no alert, no unfinished run, a lag of at most ${longestLagSeconds} s; in production also the hours, and a verified backup`,
    },
    patienceSeconds: 60,
    check,
  });
};

const startLoad: Step<DrillWorld> = {
  id: 'drill-load',
  title: 'Start clients that keep a ledger',
  words: { check: 'do they run?', act: 'start them; each writes down what it was answered' },
  patienceSeconds: 60,
  check: async (world, { signal }) => ({ is: (await world.drill.load(signal)) === 'running' ? 'done' : 'ready' }),
  act: (world, { signal, token }) => world.drill.startLoad(token, signal),
  undo: (world, { signal }) => world.drill.stopLoad(signal),
};

const breakIt = (environment: DrillEnvironment, victim: string, fault: 'kill' | 'partition'): Step<DrillWorld> => ({
  id: 'drill-break',
  title: fault === 'kill' ? `Kill ${victim}` : `Cut ${victim} off`,
  words: {
    check: `is ${victim} broken?`,
    act: fault === 'kill' ? 'end its processes without warning' : 'cut its links; both sides live on',
  },
  patienceSeconds: 60,
  ...(environment === 'lab' ? {} : { confirm: `${environment} ${victim}` }),
  check: async (world, { signal }) => ({ is: (await world.drill.isBroken(victim, signal)) ? 'done' : 'ready' }),
  act: (world, { signal, token }) => world.drill.break(victim, fault, token, signal),
  undo: (world, { signal }) => world.drill.mend(victim, signal),
});

const mend = (victim: string): Step<DrillWorld> => ({
  id: 'drill-mend',
  title: `Let ${victim} come back`,
  words: { check: `does ${victim} answer again?`, act: 'start its processes, or its links', canGoWrong: [] },
  patienceSeconds: 120,
  check: async (world, { signal }) => ({ is: (await world.drill.isBroken(victim, signal)) ? 'ready' : 'done' }),
  act: (world, { signal }) => world.drill.mend(victim, signal),
  undo: { stays: 'it is as it was before the drill' },
});

const measure: Step<DrillWorld> = lookStep({
  id: 'drill-measure',
  title: 'Count what was lost',
  words: { check: 'outboxes have drained; do ledgers of clients, upstreams and database agree?' },
  patienceSeconds: 300,
  check: async (world: DrillWorld, { signal }): Promise<Verdict> => {
    const found = await world.drill.measure(signal);
    if (found === undefined) return { is: 'underway', note: 'outboxes have not drained yet' };
    return { is: 'done', facts: { ...found } };
  },
});

const stopLoad: Step<DrillWorld> = {
  id: 'drill-stop',
  title: 'Stop the clients',
  words: { check: 'have they ended?', act: 'end them' },
  patienceSeconds: 60,
  check: async (world, { signal }) => ({ is: (await world.drill.load(signal)) === 'running' ? 'ready' : 'done' }),
  act: (world, { signal }) => world.drill.stopLoad(signal),
  undo: { stays: 'there is nothing to start again' },
};
