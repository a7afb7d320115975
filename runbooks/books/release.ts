/** A new version of the gateway, where it does least harm first: standby region, one zone, the rest; watched in between. */
import type { Runbook, Step, Verdict } from '../engine/step.ts';
import { type CanaryWorld, defaultGate, type GateLimits } from './canary-world.ts';
import type { VerifiedWorld, WaitingWorld } from './region-world.ts';
import { bakeStep } from './steps/bake.ts';
import { lookStep } from './steps/look.ts';
import { verifyStep } from './steps/verify.ts';

export interface ReleasePlan {
  /** With its digest. */
  readonly image: string;
  readonly primary: string;
  readonly standbys: readonly string[];
  /** Of the primary, that goes first. */
  readonly zone: string;
  readonly bakeSeconds: number;
  readonly gate?: GateLimits;
}

export interface ReleaseWorld extends VerifiedWorld, WaitingWorld, CanaryWorld {
  readonly releases: Releases;
}

/** Part of a region: one zone, or all that is left. */
export type ReleasePart = { readonly region: string; readonly zone?: string };

export interface Releases {
  /** The image that a part shall run, and whether all of its pods do, ready. */
  view(part: ReleasePart, signal: AbortSignal): Promise<{ readonly image: string; readonly isRolledOut: boolean }>;
  roll(part: ReleasePart, image: string, token: string, signal: AbortSignal): Promise<void>;
  /** Version of the schema in the writer's database, and the one that the image wants. */
  schema(image: string, signal: AbortSignal): Promise<{ readonly there: string; readonly wanted: string }>;
  migrate(image: string, token: string, signal: AbortSignal): Promise<void>;
  /** What would stop or undo the release half-way; absent = nothing is known to. */
  obstacles?(image: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** Pure. Of `NAME@sha256:...`; undefined = it goes by a tag. */
export const digestOf = (image: string): string | undefined => /@(sha256:[0-9a-f]{64})$/.exec(image)?.[1];

/** Pure. Each region's registry has a name of its own, and the digest is the image. */
export const isSameImage = (one: string, other: string): boolean =>
  one === other || (digestOf(one) !== undefined && digestOf(one) === digestOf(other));

type ReleaseStep = Step<ReleaseWorld>;

export function release(plan: ReleasePlan): Runbook<ReleaseWorld> {
  const { primary, standbys, zone } = plan;
  const regionSteps = (region: string): ReleaseStep[] => [
    roll(plan, { region }, `roll-${region}`),
    bake(plan, [{ region }], region, `bake-${region}`),
  ];
  return {
    id: 'release',
    title: 'Release a version of the gateway',
    useWhen: ['a new image is to run everywhere'],
    doNotUseWhen: [
      'an incident is open, unless this release ends it',
      'only config.yaml changes: gateways take it up by themselves, and step back by themselves',
      'Argo CD or Flux sets the image back to what git says: suspend it first, and commit the image afterwards',
      'the new schema cannot be read by the running version: split the change into two releases',
    ],
    lookFirst: [
      {
        command: `kubectl --context ${primary} -n holdfast get deploy,statefulset`,
        expect: 'every pod is ready, and no rollout is under way',
      },
      { command: 'npx holdfast region ready', expect: 'version, schema and config are the same in every region' },
    ],
    takes: `for each part the minutes that its pods take to drain and start, and ${plan.bakeSeconds} s of watching`,
    harms:
      'nobody: a pod ends when its requests have. A version that does harm is met by one zone, and goes back everywhere by itself',
    afterwards: ['put the image into holdfast.config.ts and commit it: the next synth must not bring the old one back'],
    steps: [
      formerImage(plan),
      migrate(plan),
      ...standbys.flatMap(regionSteps),
      roll(plan, { region: primary, zone }, 'roll-zone'),
      bake(plan, [{ region: primary, zone }], primary, 'bake-zone'),
      roll(plan, { region: primary }, 'roll-rest'),
      bake(plan, [{ region: primary }, { region: primary, zone }], primary, 'bake-rest'),
      verifyStep({ region: primary, write: true }),
    ],
  };
}

const formerImage = ({ image: wanted, primary }: ReleasePlan): ReleaseStep =>
  lookStep({
    id: 'before',
    title: 'See what runs now',
    words: {
      check: 'which image does the primary run? A step back returns to it. Is anything in the way of the new one?',
      canGoWrong: [
        'the image goes by a tag, or a region lacks it',
        'a rollout is under way, or GitOps would undo this one',
      ],
    },
    patienceSeconds: 60,
    precondition: async (world, { signal }): Promise<Verdict> => {
      const found = (await world.releases.obstacles?.(wanted, signal)) ?? [];
      return found.length === 0
        ? { is: 'done' }
        : { is: 'blocked', because: found.join('; '), fix: 'mend that, then run it again' };
    },
    check: async (world, { signal }) => {
      const { image } = await world.releases.view({ region: primary }, signal);
      return { is: 'done', facts: { before: image }, note: image };
    },
  });

const migrate = ({ image }: ReleasePlan): ReleaseStep => ({
  id: 'migrate',
  title: 'Migrate the database',
  words: {
    check: "is the writer's schema the one that the image wants, or newer?",
    act: 'run the migration job of the image; the running version goes on with the new schema',
    commands: ['npx holdfast migrate'],
    canGoWrong: ['it waits for a lock: it gives up by itself after 30 s and can be repeated'],
  },
  patienceSeconds: 900,
  check: async (world, { signal }) => {
    const { there, wanted } = await world.releases.schema(image, signal);
    return there >= wanted ? { is: 'done', note: there } : { is: 'ready', note: `${there}, ${wanted} is wanted` };
  },
  act: (world, { signal, token }) => world.releases.migrate(image, token, signal),
  undo: { stays: 'every version reads the schema of the next one' },
});

const nameOf = ({ region, zone }: ReleasePart): string => (zone === undefined ? region : `${zone} of ${region}`);

const roll = ({ image }: ReleasePlan, part: ReleasePart, id: string): ReleaseStep => ({
  id,
  title: `Roll ${nameOf(part)}`,
  words: {
    check: `do all pods in ${nameOf(part)} run the image, ready?`,
    act: 'replace pods one after the other; each drains first',
    commands:
      part.zone !== undefined
        ? [
            `# By hand a region is rolled as a whole: leave this step and the next one out, and watch the one after them closely.`,
          ]
        : [
            `kubectl --context ${part.region} -n holdfast set image deployment/gateway gateway=IMAGE`,
            `kubectl --context ${part.region} -n holdfast rollout status deployment/gateway`,
          ],
    canGoWrong: ['pods do not become ready: the rollout stops by itself; take the run back'],
  },
  patienceSeconds: 1_800,
  check: async (world, { signal }): Promise<Verdict> => {
    const found = await world.releases.view(part, signal);
    if (!isSameImage(found.image, image)) return { is: 'ready', note: `it runs ${found.image}` };
    return found.isRolledOut ? { is: 'done' } : { is: 'underway', note: 'pods are being replaced' };
  },
  act: (world, { signal, token }) => world.releases.roll(part, image, token, signal),
  undo: (world, { signal, token, facts }) =>
    world.releases.roll(part, String(facts('before')['before']), `${token}/undo`, signal),
});

const bake = (plan: ReleasePlan, parts: readonly ReleasePart[], region: string, id: string): ReleaseStep => {
  // Where clients meet it first; then the standbys, which a failover must not find with a version that does harm.
  const takenBack = [
    ...parts,
    ...(region === plan.primary ? plan.standbys.map((standby) => ({ region: standby })) : []),
  ];
  return bakeStep<ReleaseWorld>({
    id,
    title: `Watch ${parts.map(nameOf).join(' and ')}`,
    region,
    bakeSeconds: plan.bakeSeconds,
    // A standby serves few clients or none: no traffic there proves nothing, and must not stop a release either.
    limits: { ...(plan.gate ?? defaultGate), ...(region === plan.primary ? {} : { minRequests: 0 }) },
    isThere: async (world, { signal }) => {
      const found = await Promise.all(parts.map((part) => world.releases.view(part, signal)));
      return found.every(({ image }) => isSameImage(image, plan.image))
        ? { is: 'done' }
        : { is: 'blocked', because: 'it was set back', fix: 'find the cause, then release another image' };
    },
    stepBack: async (world, { signal, token, facts }) => {
      const before = String(facts('before')['before']);
      for (const part of takenBack) await world.releases.roll(part, before, `${token}/back`, signal);
    },
    stepBackWords: `the version before returns to ${takenBack.map(nameOf).join(' and ')}`,
  });
};
