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
  /** Of the drill's own clients, each a completion that the model behind it charges for; the lab has a rate of its own. */
  readonly requestsPerSecond: number;
}

/** One drill: what is planned, and the run that does it, by which a later process knows its faults and its ledger again. */
export interface Drilling {
  readonly runId: string;
  readonly plan: DrillPlan;
}

export interface DrillWorld extends VerifiedWorld {
  readonly drill: DrillControls;
}

export interface DrillControls {
  conditions(drilling: Drilling, signal: AbortSignal): Promise<DrillConditions>;
  /** Clients of the drill's own, which keep a ledger; in production the real ones are measured and none is made. */
  load(drilling: Drilling, signal: AbortSignal): Promise<'absent' | 'running'>;
  startLoad(drilling: Drilling, signal: AbortSignal): Promise<void>;
  stopLoad(drilling: Drilling, signal: AbortSignal): Promise<void>;
  fault(drilling: Drilling, signal: AbortSignal): Promise<FaultState>;
  break(drilling: Drilling, signal: AbortSignal): Promise<void>;
  mend(drilling: Drilling, signal: AbortSignal): Promise<void>;
  /**
   * Undefined until it can be told: outboxes must have drained before anything counts as lost.
   * @param beganAt when nothing spoke against the drill any more (ISO 8601).
   */
  measure(drilling: Drilling, beganAt: string, signal: AbortSignal): Promise<DrillMeasurements | undefined>;
}

/** What this run has broken: nothing yet, some of it, all of it, what is over, or what did not work. */
export type FaultState =
  | { readonly is: 'absent' | 'partly' | 'there' | 'over' }
  /** `lasts` = another part of it goes on. */
  | { readonly is: 'failed'; readonly because: string; readonly lasts: boolean };

/** Must all hold before anything is broken. */
export interface DrillConditions {
  /** What the platform is described to be, where it is described. */
  readonly describedAs?: string;
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

/** Null = nothing here can tell. Clients of a drill's own tell more than the counters of gateways do. */
export interface DrillMeasurements {
  readonly requests: number;
  /** Of the requests, after the clients' own retries. */
  readonly errorPercent: number | null;
  /** Of the requests: those that needed more than one try. */
  readonly retriedPercent: number | null;
  /** Of the time after the recovery against that before the fault, 95th percentile. */
  readonly addedLatencyMs: number | null;
  /** From the break until the last request was sent that met an error, also if its next try was answered. */
  readonly troubleSeconds: number | null;
  /** Longest time in which clients saw nothing but errors. */
  readonly servingGapSeconds: number | null;
  /** Longest time between two acknowledged control-plane writes. */
  readonly writeGapSeconds: number | null;
  /** In which the clients themselves did not run, because the drill's process had ended; absent = they always did. */
  readonly clientsAwaySeconds?: number;
  readonly dataLossSeconds: number | null;
  readonly acknowledgedWrites: number | null;
  readonly lostWrites: number | null;
  /** What they wrote, for whoever applies them by hand; the first 20. */
  readonly lostWritesList: string;
  readonly spendEventsLost: number | null;
  readonly spendEventsDoubled: number | null;
  /** Times that what must never happen did: I1 to I6 of the right to write; null = nothing notes what it takes to tell. */
  readonly invariantViolations: number | null;
  /** The first 20. */
  readonly violationsList: string;
  /** Which region wrote from when on. */
  readonly epochHistory: string;
}

const guardId = 'drill-guard';
const longestLagSeconds = 30;
const backupVerifiedWithinDays = 35;

/** Pure: what speaks against a drill now. In the lab nothing does. */
export function objections(environment: DrillEnvironment, conditions: DrillConditions): string[] {
  const { describedAs } = conditions;
  if (describedAs !== undefined && describedAs !== environment) {
    return [`holdfast.config.ts describes ${describedAs}: name that environment, or drill from its own description`];
  }
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
  const { environment, survivor, fault } = plan;
  // A drill always measures a time: of a book that recovers nothing, until its end.
  const recoveredBy = book.recoveredBy ?? book.steps.at(-1)?.id;
  const isOwnLoad = environment !== 'production';
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
      guardRails(plan),
      ...(isOwnLoad ? [startLoad(plan, 'drill-load')] : []),
      ...(fault === 'none' ? [] : [breakIt(plan, fault)]),
      ...book.steps,
      ...(fault === 'none' ? [] : [mend(plan)]),
      // A run that another process goes on with has lost its clients.
      ...(isOwnLoad ? [startLoad(plan, 'drill-load-again')] : []),
      measure(plan),
      ...(isOwnLoad ? [stopLoad(plan)] : []),
      verifyStep({ region: survivor, write: true, id: 'drill-verify' }),
    ],
  };
}

const guardRails = (plan: DrillPlan): Step<DrillWorld> => {
  const check: Step<DrillWorld>['check'] = async (world, { runId, signal }): Promise<Verdict> => {
    const found = objections(plan.environment, await world.drill.conditions({ runId, plan }, signal));
    return found.length === 0
      ? { is: 'done', facts: { beganAt: new Date().toISOString() } }
      : { is: 'blocked', because: found.join('; '), fix: 'mend that first; a drill never waits for a better moment' };
  };
  return lookStep({
    id: guardId,
    title: 'See that nothing speaks against it',
    words: {
      check: `no alert, no unfinished run, a lag of at most ${longestLagSeconds} s; in production also the hours, and a verified backup`,
    },
    patienceSeconds: 60,
    check,
  });
};

const startLoad = (plan: DrillPlan, id: 'drill-load' | 'drill-load-again'): Step<DrillWorld> => ({
  id,
  title: id === 'drill-load' ? 'Start clients that keep a ledger' : 'See that the clients still run',
  words: {
    check: 'do they run?',
    act: `start them${plan.environment === 'lab' ? '' : `, ${plan.requestsPerSecond} requests a second to the canary's model, which its provider charges for`}; each writes down what it was answered`,
  },
  patienceSeconds: 60,
  check: async (world, { runId, signal }) => ({
    is: (await world.drill.load({ runId, plan }, signal)) === 'running' ? 'done' : 'ready',
  }),
  act: (world, { runId, signal }) => world.drill.startLoad({ runId, plan }, signal),
  undo: (world, { runId, signal }) => world.drill.stopLoad({ runId, plan }, signal),
});

const breakIt = (plan: DrillPlan, fault: 'kill' | 'partition'): Step<DrillWorld> => {
  const { environment, victim } = plan;
  return {
    id: 'drill-break',
    title: fault === 'kill' ? `Kill ${victim}` : `Cut ${victim} off`,
    words: {
      check: `is ${victim} broken?`,
      act: environment === 'lab' ? brokenInLab[fault] : brokenByFis[fault],
      canGoWrong:
        environment === 'lab'
          ? []
          : [
              'AWS FIS ends an experiment by itself when the canary of the region rings: then the book goes on without it',
            ],
    },
    patienceSeconds: environment === 'lab' ? 60 : 300,
    ...(environment === 'lab' ? {} : { confirm: `${environment} ${victim}` }),
    check: async (world, { runId, signal }): Promise<Verdict> => {
      const state = await world.drill.fault({ runId, plan }, signal);
      if (state.is === 'failed') return { is: 'blocked', because: state.because };
      return { is: state.is === 'absent' || state.is === 'partly' ? 'ready' : 'done' };
    },
    act: (world, { runId, signal }) => world.drill.break({ runId, plan }, signal),
    undo: (world, { runId, signal }) => world.drill.mend({ runId, plan }, signal),
  };
};

const brokenInLab = {
  kill: 'end its processes without warning',
  partition: 'cut its links; both sides live on',
} as const;

/** By the experiments of the region's resilience stack. */
const brokenByFis = {
  kill: 'start the experiments gateway-pods-deleted and database-failover of AWS FIS: half of the gateways vanish, the database changes its zone',
  partition: 'start the experiments link-cut-* of AWS FIS: no way leads to another region any more; both sides live on',
} as const;

const mend = (plan: DrillPlan): Step<DrillWorld> => ({
  id: 'drill-mend',
  title: `Let ${plan.victim} come back`,
  words: {
    check: `does ${plan.victim} answer again?`,
    act:
      plan.environment === 'lab' ? 'start its processes, or its links' : 'stop the experiments, and see them stopped',
    canGoWrong: [],
  },
  patienceSeconds: plan.environment === 'lab' ? 120 : 600,
  check: async (world, { runId, signal }) => {
    const fault = await world.drill.fault({ runId, plan }, signal);
    const lasts = fault.is === 'failed' ? fault.lasts : fault.is === 'there' || fault.is === 'partly';
    return { is: lasts ? 'ready' : 'done' };
  },
  act: (world, { runId, signal }) => world.drill.mend({ runId, plan }, signal),
  undo: { stays: 'it is as it was before the drill' },
});

const measure = (plan: DrillPlan): Step<DrillWorld> =>
  lookStep({
    id: 'drill-measure',
    title: 'Count what was lost',
    words: {
      check:
        plan.environment === 'production'
          ? 'what have the gateways counted of errors and time, before and after?'
          : 'outboxes have drained; do ledgers of clients, upstreams and database agree?',
    },
    patienceSeconds: 300,
    check: async (world, { runId, facts, signal }): Promise<Verdict> => {
      const { beganAt } = facts(guardId);
      const found = await world.drill.measure({ runId, plan }, String(beganAt), signal);
      if (found === undefined) return { is: 'underway', note: 'outboxes have not drained yet' };
      return { is: 'done', facts: { ...found } };
    },
  });

const stopLoad = (plan: DrillPlan): Step<DrillWorld> => ({
  id: 'drill-stop',
  title: 'Stop the clients',
  words: { check: 'have they ended?', act: 'end them' },
  patienceSeconds: 60,
  check: async (world, { runId, signal }) => ({
    is: (await world.drill.load({ runId, plan }, signal)) === 'running' ? 'ready' : 'done',
  }),
  act: (world, { runId, signal }) => world.drill.stopLoad({ runId, plan }, signal),
  undo: { stays: 'there is nothing to start again' },
});
