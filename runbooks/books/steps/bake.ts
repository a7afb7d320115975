/** A bake: a change stays under real load for a while and is watched; when it does harm, it is taken back at once. */
import type { Act, Look, Step, Verdict } from '../../engine/step.ts';
import { type CanaryWorld, type GateLimits, judge } from '../canary-world.ts';
import type { WaitingWorld } from '../region-world.ts';

export type BakedWorld = CanaryWorld & WaitingWorld;

export interface BakeOptions<World extends BakedWorld> {
  readonly id: string;
  readonly title: string;
  /** Region whose vitals are watched. */
  readonly region: string;
  readonly bakeSeconds: number;
  readonly limits: GateLimits;
  /** Whether what is baked is still there: after a step back it is not, and baking something else proves nothing. */
  readonly isThere: Look<World>;
  readonly stepBack: Act<World>;
  /** What the step back does, in words. */
  readonly stepBackWords: string;
}

/** Between two looks at the vitals: a breach is answered within this time. */
const lookEverySeconds = 10;

/** The gate was breached, and what was baked is gone. */
export class SteppedBack extends Error {}

export function bakeStep<World extends BakedWorld>(options: BakeOptions<World>): Step<World> {
  const { region, bakeSeconds, limits } = options;
  return {
    id: options.id,
    title: options.title,
    words: {
      check: 'is what is baked still there?',
      act: `watch ${region} for ${bakeSeconds} s: errors at most ${limits.maxErrorPercent} %, latency at most ${limits.maxAddedLatencyMs} ms above the others; on a breach ${options.stepBackWords}`,
      verify: 'the full time has passed, with enough requests and no breach',
      canGoWrong: [
        ...(limits.minRequests === 0
          ? []
          : [
              `fewer than ${limits.minRequests} requests come: nothing is proven, nothing is taken back; resume when there is load`,
            ]),
        'the gate is breached: find the cause, then begin a new run; what stands is found done',
      ],
    },
    patienceSeconds: bakeSeconds + 300,
    // Time that passed in another process proves nothing about the time nobody watched.
    repeatedOnResume: true,
    check: async (world, context): Promise<Verdict> => {
      const verdict = await options.isThere(world, context);
      return verdict.is === 'done' ? { is: 'ready' } : verdict;
    },
    act: async (world, context) => {
      const { signal } = context;
      for (let elapsed = 0; elapsed < bakeSeconds; ) {
        const pause = Math.min(lookEverySeconds, bakeSeconds - elapsed);
        await world.wait(pause, signal);
        elapsed += pause;
        const gate = judge(await world.vitals(region, elapsed, signal), limits);
        if (gate.is === 'breached') {
          await options.stepBack(world, context);
          throw new SteppedBack(`${gate.because}; ${options.stepBackWords}`);
        }
        if (gate.is === 'too-few' && elapsed >= bakeSeconds) throw new Error(`only ${gate.note} came`);
      }
    },
    verify: async (world, { signal }): Promise<Verdict> => {
      const gate = judge(await world.vitals(region, bakeSeconds, signal), limits);
      return gate.is === 'passes' ? { is: 'done', note: gate.note } : { is: 'done', note: 'no breach while it baked' };
    },
    undo: { stays: 'it has only watched' },
  };
}
