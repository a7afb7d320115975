/** A credential gets a successor without a moment in which none works: both are accepted before anybody changes over. */
import type { Runbook, Step } from '../engine/step.ts';
import type { VerifiedWorld } from './region-world.ts';
import { lookStep } from './steps/look.ts';
import { verifyStep } from './steps/verify.ts';

export interface RotationPlan {
  readonly region: string;
  /** Name of the credential, as the world knows it: `database`, `cache`, `master-key`, `provider/openai`. */
  readonly credential: string;
  /** How long both are accepted, so that what reads it rarely notices. */
  readonly overlapSeconds: number;
}

export interface RotationWorld extends VerifiedWorld {
  readonly credentials: Credentials;
  wait(seconds: number, signal: AbortSignal): Promise<void>;
}

/** Versions are names, never the secrets themselves: these pass through journals. */
export interface CredentialState {
  /** That the secret store hands out. */
  readonly current: string;
  /** Made, and not handed out yet. */
  readonly pending: string | undefined;
  /** That whoever checks it accepts: database, cache, provider. */
  readonly accepted: readonly string[];
  /** That running gateways use. */
  readonly used: readonly string[];
}

export interface Credentials {
  view(credential: string, region: string, signal: AbortSignal): Promise<CredentialState>;
  /** Makes the successor under this version name and stores it as pending. */
  stage(credential: string, region: string, version: string, signal: AbortSignal): Promise<void>;
  /** Makes whoever checks it accept the pending one, beside the current one. */
  accept(credential: string, region: string, version: string, signal: AbortSignal): Promise<void>;
  /** Hands out this version from now on, and has the gateways read it, one after the other. */
  handOut(credential: string, region: string, version: string, signal: AbortSignal): Promise<void>;
  /** Whoever checks it refuses this version from now on, and it is pending no more. Harmless when repeated. */
  retire(credential: string, region: string, version: string, signal: AbortSignal): Promise<void>;
}

type RotationStep = Step<RotationWorld>;

export function credentialRotation(plan: RotationPlan): Runbook<RotationWorld> {
  const { region, credential } = plan;
  return {
    id: 'credential-rotation',
    title: `Rotate the credential ${credential}`,
    useWhen: ['its time has come', 'somebody who knew it has left', 'it may have been seen: with a short overlap'],
    doNotUseWhen: [
      `one virtual key of a client leaked: block it (/key/block), that works in every region within seconds`,
      'the database or the cache is failing over: wait for its end',
    ],
    lookFirst: [
      { command: 'npx holdfast runbook list --runs', expect: 'no other rotation of this credential is unfinished' },
      { command: 'npx holdfast region status', expect: 'no line begins with "!": nothing is failing over' },
    ],
    takes: `minutes for the gateways to change over, and ${plan.overlapSeconds} s in which both are accepted`,
    harms:
      'nobody, as long as both are accepted; whoever has the old one in a place that this book does not know is refused when the old one is',
    afterwards: ['change it wherever else it was written down: dashboards, jobs, laptops'],
    steps: [
      before(plan),
      stage(plan),
      accept(plan),
      handOut(plan),
      overlap(plan),
      retire(plan),
      verifyStep({ region, write: credential === 'database' || credential === 'master-key' }),
    ],
  };
}

/** The same for every try of the run: a resumed one finds what it has made. */
const versionOf = (runId: string): string => `version-${runId}`;

const before = ({ region, credential }: RotationPlan): RotationStep =>
  lookStep({
    id: 'before',
    title: 'See which version is in use',
    words: { check: 'which version is handed out, and do all gateways use it?' },
    patienceSeconds: 60,
    check: async (world, { signal }) => {
      const { current } = await world.credentials.view(credential, region, signal);
      return { is: 'done', facts: { before: current }, note: current };
    },
  });

const stage = ({ region, credential }: RotationPlan): RotationStep => ({
  id: 'stage',
  title: 'Make the successor',
  words: { check: 'is there a pending version of this run?', act: 'make it, and store it as pending' },
  patienceSeconds: 60,
  check: async (world, { signal, runId }) => {
    const { current, pending } = await world.credentials.view(credential, region, signal);
    const mine = versionOf(runId);
    if (pending === mine || current === mine) return { is: 'done' };
    return pending === undefined
      ? { is: 'ready' }
      : { is: 'blocked', because: `${pending} is pending`, fix: 'finish the rotation that made it, or take it back' };
  },
  act: (world, { signal, runId }) => world.credentials.stage(credential, region, versionOf(runId), signal),
  // Forgotten, or the next rotation would wait for this one.
  undo: (world, { signal, runId }) => world.credentials.retire(credential, region, versionOf(runId), signal),
});

const accept = ({ region, credential }: RotationPlan): RotationStep => ({
  id: 'accept',
  title: 'Have it accepted beside the old one',
  words: {
    check: 'are both accepted?',
    act: 'database: second user or second password; cache: ROTATE strategy; provider: a second key',
    canGoWrong: ['the provider allows one key only: rotate in the quiet hours, and expect errors for seconds'],
  },
  patienceSeconds: 600,
  check: async (world, { signal, runId }) => {
    const { accepted } = await world.credentials.view(credential, region, signal);
    return { is: accepted.includes(versionOf(runId)) ? 'done' : 'ready' };
  },
  act: (world, { signal, runId }) => world.credentials.accept(credential, region, versionOf(runId), signal),
  undo: (world, { signal, runId }) => world.credentials.retire(credential, region, versionOf(runId), signal),
});

const handOut = ({ region, credential }: RotationPlan): RotationStep => ({
  id: 'hand-out',
  title: 'Hand out the new one',
  words: { check: 'do all gateways use the new version, and only that?', act: 'make it current; gateways read it' },
  patienceSeconds: 900,
  check: async (world, { signal, runId }) => {
    const { current, used } = await world.credentials.view(credential, region, signal);
    const mine = versionOf(runId);
    if (current !== mine) return { is: 'ready' };
    const old = used.filter((version) => version !== mine);
    return old.length === 0 ? { is: 'done' } : { is: 'underway', note: `${old.join(', ')} is used still` };
  },
  act: (world, { signal, runId }) => world.credentials.handOut(credential, region, versionOf(runId), signal),
  undo: (world, { signal, facts }) =>
    world.credentials.handOut(credential, region, String(facts('before')['before']), signal),
});

const overlap = ({ overlapSeconds }: RotationPlan): RotationStep => ({
  id: 'overlap',
  title: 'Leave time to whoever reads it rarely',
  words: { check: 'nothing to look at', act: `wait ${overlapSeconds} s` },
  patienceSeconds: overlapSeconds + 60,
  repeatedOnResume: true,
  check: async () => ({ is: 'ready' }),
  act: (world, { signal }) => world.wait(overlapSeconds, signal),
  verify: async () => ({ is: 'done' }),
  undo: { stays: 'time has passed' },
});

const retire = ({ region, credential }: RotationPlan): RotationStep => ({
  id: 'retire',
  title: 'Refuse the old one',
  words: { check: 'is the old version refused?', act: 'take it away from whoever checks it, and try it: it must fail' },
  patienceSeconds: 300,
  confirm: credential,
  check: async (world, { signal, facts }) => {
    const { accepted } = await world.credentials.view(credential, region, signal);
    return { is: accepted.includes(String(facts('before')['before'])) ? 'ready' : 'done' };
  },
  act: (world, { signal, facts }) =>
    world.credentials.retire(credential, region, String(facts('before')['before']), signal),
  undo: { irreversible: 'a retired credential is not accepted again; rotate once more' },
});
