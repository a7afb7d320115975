/** Every region is lost: the platform comes back in one that had nothing but copies of backups. */
import type { Runbook, Step } from '../engine/step.ts';
import { type RestoreWorld, raiseRestoredStep, reingestStep, renewEpochStep, useStep } from './database-restore.ts';
import { capacityStep } from './steps/capacity.ts';
import { openStep, seizeStep, waitLeaseOutStep } from './steps/claim.ts';
import { lookStep } from './steps/look.ts';
import { backupStep, type RestorePlan, readStep, restoreStep } from './steps/restore.ts';
import { takeoverStep } from './steps/takeover.ts';
import { verifyStep } from './steps/verify.ts';

export interface DisasterPlan extends RestorePlan {
  /** The writer that was lost. */
  readonly former: string;
  /** `none` where no Vault belongs to the platform. */
  readonly vault?: 'restore' | 'none';
}

export interface DisasterWorld extends RestoreWorld {
  readonly foundation: Foundation;
}

/** What a region needs before a database is of use. */
export interface Foundation {
  /** Stacks and cluster. */
  view(region: string, signal: AbortSignal): Promise<'absent' | 'creating' | 'ready'>;
  build(region: string, token: string, signal: AbortSignal): Promise<void>;
  /** Vault, unsealed, with what the snapshot held. */
  vault(
    region: string,
    signal: AbortSignal,
  ): Promise<{ readonly isUnsealed: boolean; readonly snapshot: string | undefined }>;
  restoreVault(region: string, snapshot: string, token: string, signal: AbortSignal): Promise<void>;
  /** Pods of everything that the manifests name, ready. */
  services(region: string, signal: AbortSignal): Promise<{ readonly ready: number; readonly wanted: number }>;
  applyServices(region: string, token: string, signal: AbortSignal): Promise<void>;
}

type DisasterStep = Step<DisasterWorld>;

export function disasterRestore(plan: DisasterPlan): Runbook<DisasterWorld> {
  const { region, former } = plan;
  const move = { target: region, former };
  return {
    id: 'disaster-restore',
    title: `Bring the platform back in ${region}, from backups`,
    useWhen: ['no region with a database is left, and none is expected back within the recovery time objective'],
    doNotUseWhen: [
      'any region still has a replica: use region-failover',
      `${former} may come back with its database soon: a day of lost writes is worse than an hour of waiting`,
    ],
    lookFirst: [
      { command: 'npx holdfast region status', expect: 'no region answers, and none has a database' },
      {
        command: `npx holdfast runbook rehearse backup-verify region=${region}`,
        expect: `copies of the backups lie in ${region}`,
      },
    ],
    takes: 'an hour or more: cluster, stores and the database are the longest parts',
    harms:
      'everybody is without service already; what was written after the backup is lost, but spend that the archive has',
    afterwards: [
      'build a standby region: nothing can be promoted now',
      'what was lost may come back: it must not write. Leave the claim as it is, and never start its gateways from an old configuration',
      'tell those who made keys after the backup that they must make them anew',
    ],
    recoveredBy: 'open',
    steps: [
      backupStep(plan),
      foundation(region),
      ...(plan.vault === 'none' ? [] : [vaultSnapshot(region), vault(region)]),
      restoreStep(plan),
      readStep(region),
      former === region
        ? renewEpochStep(region)
        : seizeStep(move, { confirm: true, undo: { irreversible: 'epochs never go back' } }),
      waitLeaseOutStep(move),
      raiseRestoredStep(region),
      useStep(region),
      services(region),
      capacityStep(region),
      openStep(move),
      reingestStep(region),
      verifyStep({ region, write: true, id: 'verify-before-traffic' }),
      takeoverStep(region),
      verifyStep({ region, write: true }),
    ],
  };
}

const foundation = (region: string): DisasterStep => ({
  id: 'foundation',
  title: `Build network, cluster and stores in ${region}`,
  words: {
    check: `are the stacks of ${region} complete, and does the cluster answer?`,
    act: 'create the stacks from the templates of the last release',
    commands: [
      `npx cdk bootstrap aws://ACCOUNT/${region}   # if nothing was ever deployed there`,
      `npx cdk deploy --app cdk.out --require-approval never 'PLATFORM-${region}-*'`,
      `aws eks update-kubeconfig --region ${region} --name CLUSTER --alias ${region}   # when the cluster is there`,
    ],
    canGoWrong: [
      `holdfast.config.ts does not name ${region} as the primary yet: name it, npm run synth, begin again`,
      'the journal has no bucket in a region that had nothing: run it with --journal FOLDER, and keep the folder safe',
      'quotas of a region that was never used are small: ask for more in peace (region ready shows them)',
      'a stack asks for a parameter that has no default: deploy that one with the command above, then resume',
    ],
  },
  patienceSeconds: 3_600,
  confirm: region,
  check: async (world, { signal }) => {
    const state = await world.foundation.view(region, signal);
    if (state === 'creating') return { is: 'underway', note: 'it is being built' };
    return { is: state === 'ready' ? 'done' : 'ready' };
  },
  act: (world, { signal, token }) => world.foundation.build(region, token, signal),
  undo: { stays: 'an empty region costs money and harms nobody; `cdk destroy` takes it away' },
});

const vaultSnapshot = (region: string): DisasterStep =>
  lookStep({
    id: 'vault-snapshot',
    title: "Find Vault's newest snapshot",
    words: { check: `which is the newest snapshot of Vault in ${region}?` },
    patienceSeconds: 60,
    check: async (world, { signal }) => {
      const found = await world.newestBackup('vault-snapshot', region, signal);
      return found === undefined
        ? {
            is: 'blocked',
            because: 'there is no snapshot of Vault',
            fix: 'fill its secrets by hand, then take it back',
          }
        : { is: 'done', facts: { snapshot: found.id }, note: found.id };
    },
  });

const vault = (region: string): DisasterStep => ({
  id: 'vault',
  title: 'Restore Vault',
  words: {
    check: 'is Vault unsealed, with the contents of the snapshot?',
    act: 'restore the snapshot; the KMS key of the region unseals it',
    commands: ['kubectl -n holdfast exec vault-0 -- vault operator raft snapshot restore -force /tmp/vault.snap'],
    canGoWrong: ['it stays sealed: the snapshot was made under another seal key; restore with that key, then migrate'],
  },
  patienceSeconds: 900,
  check: async (world, { signal, facts }) => {
    const { isUnsealed, snapshot } = await world.foundation.vault(region, signal);
    if (snapshot !== facts('vault-snapshot')['snapshot']) return { is: 'ready' };
    return isUnsealed ? { is: 'done' } : { is: 'underway', note: 'it is sealed' };
  },
  act: (world, { signal, token, facts }) =>
    world.foundation.restoreVault(region, String(facts('vault-snapshot')['snapshot']), token, signal),
  undo: { stays: 'nothing uses it until the services run' },
});

const services = (region: string): DisasterStep => ({
  id: 'services',
  title: 'Start the services',
  words: {
    check: 'is every pod of the manifests ready?',
    act: 'apply the manifests of the last release',
    commands: [
      `kubectl apply -f dist/k8s/${region}/`,
      'kubectl -n holdfast wait --for=condition=Available deploy --all --timeout=600s',
    ],
    canGoWrong: ['images cannot be pulled: the registry of the lost region held them; use the copy in this one'],
  },
  patienceSeconds: 900,
  check: async (world, { signal }) => {
    const { ready, wanted } = await world.foundation.services(region, signal);
    return wanted > 0 && ready >= wanted
      ? { is: 'done' }
      : { is: 'ready', note: `${ready} of ${wanted} pods are ready` };
  },
  act: (world, { signal, token }) => world.foundation.applyServices(region, token, signal),
  undo: { stays: 'they serve nobody until traffic is moved' },
});
