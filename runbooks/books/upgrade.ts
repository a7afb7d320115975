/** New versions of what the platform stands on: databases and clusters. Replicas first, and a snapshot before each writer. */
import type { Runbook, Step, Verdict } from '../engine/step.ts';
import type { BackupWorld } from './backup-world.ts';
import type { VerifiedWorld } from './region-world.ts';
import { lookStep } from './steps/look.ts';
import { verifyStep } from './steps/verify.ts';

export type UpgradeComponent = 'database' | 'cluster';

export interface UpgradePlan {
  readonly component: UpgradeComponent;
  /** For example `18.6` for the database, `1.37` for the cluster. */
  readonly to: string;
  readonly primary: string;
  readonly standbys: readonly string[];
}

export interface UpgradeWorld extends VerifiedWorld, BackupWorld {
  readonly upgrades: Upgrades;
}

export interface Upgrades {
  view(
    component: UpgradeComponent,
    region: string,
    signal: AbortSignal,
  ): Promise<{ version: string; isSettled: boolean }>;
  begin(component: UpgradeComponent, region: string, to: string, token: string, signal: AbortSignal): Promise<void>;
  /** What stands in the way, from the service's own checks: deprecated APIs, replication slots, unsupported types. */
  obstacles(component: UpgradeComponent, region: string, to: string, signal: AbortSignal): Promise<readonly string[]>;
  /** A snapshot of this run. */
  snapshot(region: string, name: string, signal: AbortSignal): Promise<'absent' | 'creating' | 'ready'>;
  takeSnapshot(region: string, name: string, signal: AbortSignal): Promise<void>;
}

type UpgradeStep = Step<UpgradeWorld>;

export function upgrade(plan: UpgradePlan): Runbook<UpgradeWorld> {
  const { component, primary, standbys, to } = plan;
  return {
    id: 'upgrade',
    title: `Upgrade the ${component} to ${to}`,
    useWhen: ['a version nears the end of its support', 'a fix of a newer version is needed'],
    doNotUseWhen: [
      'a major version of PostgreSQL: physical replicas do not cross it. Build a new replica set and switch over',
      'a cluster that is more than one minor version behind: one run for each version',
      'an incident is open, or the last backup was not verified',
    ],
    lookFirst: [
      { command: 'npx holdfast region status', expect: 'every region answers, and no line begins with "!"' },
      {
        command: 'npx holdfast runbook list --runs',
        expect: 'backup-verify was completed this month, and no run is unfinished',
      },
    ],
    takes:
      component === 'database'
        ? 'ten to thirty minutes a region, one region after the other'
        : 'half an hour a region for the control plane; nodes follow',
    harms:
      component === 'database'
        ? 'requests: nobody. In the primary region spend and changes of keys wait for the minute or two of a restart'
        : 'nobody: pods move from node to node as their disruption budgets let them',
    afterwards: [
      `put the version ${to} into holdfast.config.ts and commit it: the next deployment must not ask for the old one`,
    ],
    steps: [
      obstacles(plan),
      ...standbys.flatMap((region) => [
        upgradeStep(plan, region),
        verifyStep({ region, write: false, id: `verify-${region}` }),
      ]),
      ...(component === 'database' ? [snapshot(primary)] : []),
      upgradeStep(plan, primary),
      verifyStep({ region: primary, write: true }),
    ],
  };
}

const obstacles = ({ component, primary, standbys, to }: UpgradePlan): UpgradeStep => {
  const check: UpgradeStep['check'] = async (world, { signal }): Promise<Verdict> => {
    for (const region of [...standbys, primary]) {
      const { version } = await world.upgrades.view(component, region, signal);
      const fault = versionFault(component, version, to);
      if (fault !== undefined) return { is: 'blocked', because: `${region}: ${fault}` };
      const found = await world.upgrades.obstacles(component, region, to, signal);
      if (found.length > 0) return { is: 'blocked', because: `${region}: ${found.join('; ')}` };
    }
    return { is: 'done' };
  };
  return lookStep({
    id: 'obstacles',
    title: 'See that nothing stands in the way',
    words: { check: "is the step small enough, and do the service's own checks find nothing?" },
    patienceSeconds: 120,
    precondition: check,
    check,
  });
};

/** Pure. Undefined = this step can be made. */
export function versionFault(component: UpgradeComponent, from: string, to: string): string | undefined {
  const [fromMajor = 0, fromMinor = 0] = from.split('.').map(Number);
  const [toMajor = 0, toMinor = 0] = to.split('.').map(Number);
  if (![fromMajor, fromMinor, toMajor, toMinor].every(Number.isInteger)) return `${from} or ${to} is no version`;
  if (toMajor < fromMajor || (toMajor === fromMajor && toMinor < fromMinor)) return `it runs ${from}, which is newer`;
  if (toMajor > fromMajor) return `${from} to ${to} is a major step: build a new one and switch over`;
  if (component === 'cluster' && toMinor > fromMinor + 1) return `${from} to ${to} is more than one minor version`;
  return undefined;
}

const snapshot = (primary: string): UpgradeStep => {
  const name = (runId: string): string => `before-${runId.toLowerCase()}`;
  return {
    id: 'snapshot',
    title: `Take a snapshot of the database of ${primary}`,
    words: { check: "is there a snapshot with this run's name?", act: 'take it' },
    patienceSeconds: 3_600,
    check: async (world, { signal, runId }) => {
      const state = await world.upgrades.snapshot(primary, name(runId), signal);
      if (state === 'creating') return { is: 'underway', note: 'the snapshot is being taken' };
      return { is: state === 'ready' ? 'done' : 'ready' };
    },
    act: (world, { signal, runId }) => world.upgrades.takeSnapshot(primary, name(runId), signal),
    undo: { stays: 'a snapshot harms nobody' },
  };
};

const upgradeStep = ({ component, to, primary }: UpgradePlan, region: string): UpgradeStep => ({
  id: `upgrade-${region}`,
  title: `Upgrade the ${component} of ${region}`,
  words: {
    check: `which version does the ${component} of ${region} run?`,
    act:
      component === 'database'
        ? 'modify the read replicas beside it, then the instance, at once'
        : 'update the control plane; nodes follow',
    commands: [
      component === 'database'
        ? `aws rds modify-db-instance --region ${region} --db-instance-identifier DATABASE --engine-version ${to} --apply-immediately`
        : `aws eks update-cluster-version --region ${region} --name CLUSTER --kubernetes-version ${to}`,
    ],
    canGoWrong: [
      component === 'database'
        ? 'the instance restarts: writes and spend wait for a minute or two, requests are served'
        : 'nodes are replaced one after the other; disruption budgets hold them up, which is right',
    ],
  },
  patienceSeconds: 2 * 3_600,
  ...(region === primary ? { confirm: primary } : {}),
  check: async (world, { signal }): Promise<Verdict> => {
    const { version, isSettled } = await world.upgrades.view(component, region, signal);
    if (!isSettled) return { is: 'underway', note: `it runs ${version} and is changing` };
    return version === to ? { is: 'done' } : { is: 'ready', note: `it runs ${version}` };
  },
  act: (world, { signal, token }) => world.upgrades.begin(component, region, to, token, signal),
  undo: { irreversible: 'versions do not go back; restore the snapshot beside it if it must be' },
});
