/** The last step of every book: `holdfast verify` against the region that serves now. */
import type { Step } from '../../engine/step.ts';
import { faultsOf } from '../finding.ts';
import type { VerifiedWorld } from '../region-world.ts';

export interface VerifyStepOptions {
  readonly region: string;
  /** Control-plane writes must be acknowledged, too: for books that move or restore the right to write. */
  readonly write: boolean;
  readonly id?: string;
}

export const verifyStep = ({ region, write, id = 'verify' }: VerifyStepOptions): Step<VerifiedWorld> => ({
  id,
  title: write ? `See that ${region} serves and writes` : `See that ${region} serves`,
  words: {
    check: `does ${region} answer health, a completion, a stream and embeddings, does the spend row appear${write ? ', and is a control-plane write acknowledged and read back' : ''}?`,
    act: 'nothing: this only looks',
    commands: [`npx holdfast verify https://${region}.YOUR-DOMAIN${write ? ' --write' : ''}`],
    canGoWrong: [
      'completions fail and health does not: look at the providers and at cooldowns (`/health` with a key), not at the region',
      'the spend row does not appear: spend waits in the outbox and is not lost; look at OutboxNotShipping',
    ],
  },
  patienceSeconds: 120,
  check: async (world, { signal }) => {
    const findings = await world.verify(region, write, signal);
    const faults = faultsOf(findings);
    if (faults !== undefined) return { is: 'underway', note: faults };
    const skipped = findings.filter(({ is }) => is === 'skipped').map(({ check }) => check);
    return skipped.length === 0 ? { is: 'done' } : { is: 'done', note: `not asked: ${skipped.join(', ')}` };
  },
  act: async () => undefined,
  undo: { stays: 'it has only looked' },
});
