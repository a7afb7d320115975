import type { Look, Step, StepWords } from '../../engine/step.ts';

export interface LookStepOptions<World> {
  readonly id: string;
  readonly title: string;
  readonly words: Omit<StepWords, 'act'>;
  readonly patienceSeconds: number;
  readonly check: Look<World>;
  readonly precondition?: Look<World>;
}

/** A step that waits for the world and never touches it. Its check says `underway`, never `ready`. */
export const lookStep = <World>({ words, ...more }: LookStepOptions<World>): Step<World> => ({
  ...more,
  words: { ...words, act: 'nothing: this only looks' },
  act: async () => undefined,
  undo: { stays: 'it has only looked' },
});
