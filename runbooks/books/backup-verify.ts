/** A backup counts when it was restored and read. Every kind is looked at, the database is really restored, beside all use. */
import { type BackupName, backupFault, backupNames, backups } from '../../lib/platform/backups.ts';
import { inWords } from '../engine/print.ts';
import type { Runbook, Step } from '../engine/step.ts';
import type { BackupWorld } from './backup-world.ts';
import type { VerifiedWorld } from './region-world.ts';
import { lookStep } from './steps/look.ts';
import { backupStep, type RestorePlan, readStep, restoredName, restoreStep } from './steps/restore.ts';
import { verifyStep } from './steps/verify.ts';

export type BackupVerifyWorld = BackupWorld & VerifiedWorld;

export function backupVerify(plan: RestorePlan): Runbook<BackupVerifyWorld> {
  const { region } = plan;
  return {
    id: 'backup-verify',
    title: `See that the backups in ${region} can be used`,
    useWhen: ['every month, and after every change of what makes backups', 'before a release that changes the schema'],
    doNotUseWhen: ['a restore is needed now: database-restore does the same and goes on'],
    lookFirst: [{ command: 'npx holdfast runbook list --runs', expect: 'no restore is under way' }],
    takes: 'as long as a database of this size takes to restore: half an hour is common',
    harms: 'nobody: the restored database stands beside all use, and costs money until the last step but one',
    afterwards: [],
    steps: [
      ...backupNames.map((name) => fresh(region, name)),
      backupStep(plan),
      restoreStep(plan),
      readStep(region),
      discard(region),
      verifyStep({ region, write: false }),
    ],
  };
}

const fresh = (region: string, name: BackupName): Step<BackupWorld> => {
  const { by, overdueSeconds, place } = backups[name];
  return lookStep({
    id: `fresh-${name}`,
    title: `See that the newest ${name} is young enough`,
    words: {
      check: `is the newest ${name} (${by}; ${place}) younger than ${inWords(overdueSeconds)}?`,
    },
    patienceSeconds: 60,
    check: async (world, { signal }) => {
      const found = await world.newestBackup(name, region, signal);
      const fault = backupFault(name, found?.ageSeconds);
      return fault === undefined
        ? { is: 'done', note: found?.id ?? 'there is none, and none is needed' }
        : { is: 'blocked', because: fault, fix: `look at what makes it: ${by}` };
    },
  });
};

const discard = (region: string): Step<BackupWorld> => ({
  id: 'discard',
  title: 'Take the restored database away again',
  words: { check: "is there no database with this run's name?", act: 'delete it, without a final snapshot' },
  patienceSeconds: 1_800,
  check: async (world, { signal, runId }) => {
    const state = await world.restores.view(region, restoredName(runId), signal);
    return state === 'absent' ? { is: 'done' } : { is: 'ready' };
  },
  act: (world, { signal, runId }) => world.restores.remove(region, restoredName(runId), signal),
  undo: { stays: 'it can be restored again' },
});
