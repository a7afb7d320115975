/**
 * A new database from a backup takes the place of one that is lost or wrong. The old one is fenced by a new epoch before
 * anything is written, and spend that the backup lacks comes back from the outboxes and their archive.
 */

import { renewedEpoch } from '../../gateway/region/claim-upkeep.ts';
import type { Runbook, Step, Verdict } from '../engine/step.ts';
import type { BackupWorld } from './backup-world.ts';
import type { RegionWorld } from './region-world.ts';
import { claimFacts, epochOf, openStep, swapping, unheard, waitLeaseOutStep } from './steps/claim.ts';
import { backupStep, type RestorePlan, readStep, restoredFacts, restoreStep } from './steps/restore.ts';
import { verifyStep } from './steps/verify.ts';

export interface RestoreWorld extends RegionWorld, BackupWorld {
  readonly inUse: DatabaseInUse;
}

/** Which database a region's gateways use, and what is still missing in it. */
export interface DatabaseInUse {
  name(region: string, signal: AbortSignal): Promise<string | undefined>;
  /** Points secret and gateways at it; `name` shows it when all of them use it. */
  use(region: string, name: string, token: string, signal: AbortSignal): Promise<void>;
  /** How many of the region's gateways have begun with this database, and know nothing of another one. */
  forgotten(region: string, name: string, signal: AbortSignal): Promise<'none' | 'some' | 'all'>;
  /** Starts them anew, one after the other. */
  forget(region: string, name: string, signal: AbortSignal): Promise<void>;
  /** The row of a database that is not in use yet. */
  raise(region: string, name: string, epoch: number, writer: string, signal: AbortSignal): Promise<void>;
  epochOf(region: string, name: string, signal: AbortSignal): Promise<number>;
  /** What outboxes and archive hold and the database does not show yet. */
  missingSpend(region: string, signal: AbortSignal): Promise<MissingSpend>;
  /** Ships the archive again from where the database is; what it has is passed over. */
  reingest(region: string, token: string, signal: AbortSignal): Promise<void>;
}

export interface MissingSpend {
  /** `archived` = as many as the archive will show when it is gone through; undefined = there is no archive that could tell. */
  readonly events: number | 'archived' | undefined;
  readonly isBeingShipped: boolean;
  /** Events that are nowhere; 0 unless given. */
  readonly lost?: number | undefined;
  /** Logs of processes that are gone whose end no archive has; 0 unless given. */
  readonly unfinished?: number | undefined;
}

type RestoreStep = Step<RestoreWorld>;

export function databaseRestore(plan: RestorePlan): Runbook<RestoreWorld> {
  const { region } = plan;
  return {
    id: 'database-restore',
    title: `Restore the database of ${region}`,
    useWhen: [
      'the database is lost or damaged and no replica has what it had',
      'rows were deleted or changed by mistake, and replicas have followed: restore to a point in time before that',
    ],
    doNotUseWhen: [
      'a replica in another region is sound: region-failover is faster and loses less',
      'only the connection is broken: gateways serve without it, and spend waits in the outbox',
      'one table is needed: restore beside it (backup-verify), and copy the rows',
    ],
    lookFirst: [
      {
        command: 'npx holdfast region status',
        expect: `${region} has the right to write, and no other region's replica is sound`,
      },
      {
        command: `npx holdfast runbook rehearse backup-verify region=${region}`,
        expect: 'the backups are as young as you need them',
      },
    ],
    takes: 'as long as the database is large (half an hour is common), then minutes',
    harms:
      'requests: nobody. Changes of keys, budgets and configuration get 503 while the new epoch is not open; those made after the backup are gone',
    afterwards: [
      'build new replicas: the old ones follow the old database',
      'look through the old database for what the backup lacks, then delete it; it was put aside under another name',
      'tell those who made keys after the backup that they must make them anew',
    ],
    recoveredBy: 'open',
    steps: [
      backupStep(plan),
      restoreStep(plan),
      readStep(region),
      renewEpochStep(region),
      waitLeaseOutStep({ target: region, former: region }),
      raiseRestoredStep(region),
      useStep(region),
      openStep({ target: region, former: region }),
      forgetStep(region),
      reingestStep(region),
      verifyStep({ region, write: true }),
    ],
  };
}

/** The old database, should it still live, acknowledges nothing from here on. */
export const renewEpochStep = (region: string): RestoreStep => ({
  id: 'seize',
  title: `Begin a new epoch for ${region}`,
  words: {
    check: "has this run begun a new epoch, by the claim's word?",
    act: `compare-and-swap the claim: next epoch, writer ${region}, phase seized; the old database cannot renew`,
    commands: ['npx holdfast region status'],
    canGoWrong: ['another region has the right to write: restore there, or switch over first'],
  },
  patienceSeconds: 120,
  confirm: region,
  check: async (world, { signal, runId }) => {
    const reading = await world.claims.read(signal);
    const claim = reading.agreed;
    if (claim === undefined) return { is: 'underway', note: unheard(reading) || 'the buckets of the claim disagree' };
    if (claim.run === runId && claim.writer === region) {
      return { is: 'done', facts: claimFacts(claim), note: `epoch ${claim.epoch}` };
    }
    return renewedEpoch(claim, runId, region) === undefined
      ? { is: 'blocked', because: `the claim names ${claim.writer} and is ${claim.phase}` }
      : { is: 'ready' };
  },
  act: swapping((claim, { runId }) => (claim.run === runId ? undefined : renewedEpoch(claim, runId, region))),
  undo: { irreversible: 'epochs never go back; finish the restore, or begin another one' },
});

export const raiseRestoredStep = (region: string): RestoreStep => ({
  id: 'raise',
  title: 'Write the epoch into the restored database',
  words: {
    check: "does its row have the claim's epoch?",
    act: "set the row to the claim's epoch and writer, if its epoch is lower",
  },
  patienceSeconds: 60,
  check: async (world, context) => {
    const found = await world.inUse.epochOf(region, restoredFacts(context), context.signal);
    const epoch = epochOf(context);
    if (found > epoch) return { is: 'blocked', because: `its row is of epoch ${found}, this run's is ${epoch}` };
    return found === epoch ? { is: 'done' } : { is: 'ready' };
  },
  act: (world, context) => world.inUse.raise(region, restoredFacts(context), epochOf(context), region, context.signal),
  undo: { irreversible: 'epochs never go back' },
});

export const useStep = (region: string): RestoreStep => ({
  id: 'use',
  title: 'Point the gateways at the restored database',
  words: {
    check: 'do all gateways use it?',
    act: 'give it the name of the old one, and with the name its address; the old one is put aside under another name',
    commands: [
      `aws rds modify-db-instance --region ${region} --db-instance-identifier DATABASE --new-db-instance-identifier DATABASE-before-NEW --apply-immediately`,
      `aws rds modify-db-instance --region ${region} --db-instance-identifier NEW --new-db-instance-identifier DATABASE --multi-az --deletion-protection --apply-immediately`,
    ],
    canGoWrong: [
      'gateways that cannot reach it go on serving from what they know; spend waits',
      'replicas follow the old one still: build new ones (region-failback does)',
    ],
  },
  patienceSeconds: 900,
  check: async (world, context) => {
    const name = await world.inUse.name(region, context.signal);
    return name === restoredFacts(context) ? { is: 'done' } : { is: 'ready', note: `they use ${name ?? 'none'}` };
  },
  act: (world, context) => world.inUse.use(region, restoredFacts(context), context.token, context.signal),
  undo: { irreversible: 'the old database is of an older epoch and takes no writes' },
});

/** What was changed by mistake is newer in their memory than what was restored, and would go on counting. */
const forgetStep = (region: string): RestoreStep => ({
  id: 'forget',
  title: 'Have the gateways forget what the old database had',
  words: {
    check: 'has every gateway started since it uses the restored database?',
    act: 'start them anew, one after the other: keys and limits that were made or changed after the backup end with that',
    commands: [
      `kubectl --context ${region} -n holdfast rollout restart deployment/gateway   # or statefulset/gateway`,
      `kubectl --context ${region} -n holdfast rollout status deployment/gateway`,
    ],
    canGoWrong: ['pods do not get ready: the rest goes on serving, with what it remembers'],
  },
  patienceSeconds: 1_800,
  check: async (world, context): Promise<Verdict> => {
    const found = await world.inUse.forgotten(region, restoredFacts(context), context.signal);
    if (found === 'all') return { is: 'done' };
    return found === 'some' ? { is: 'underway', note: 'they start one after the other' } : { is: 'ready' };
  },
  act: (world, context) => world.inUse.forget(region, restoredFacts(context), context.signal),
  undo: { stays: 'they have only started anew' },
});

export const reingestStep = (region: string): RestoreStep => ({
  id: 'reingest',
  title: 'Bring back the spend that the backup lacks',
  words: {
    check: 'do outboxes and archive hold events that the database does not show?',
    act: 'ship the archives of all regions again from where the database is; what it has is passed over',
    commands: [
      '# What had left the outboxes after the backup lies in the archive, where there is one:',
      `DATABASE_URL=THE-RESTORED-ONE npx holdfast spend reingest OUTBOX-BUCKET@ITS-REGION --from ${region}`,
    ],
    canGoWrong: [
      'outbox disks were destroyed before their tail was archived: the report says of how many gateways, and how many events are known to be nowhere',
    ],
  },
  patienceSeconds: 3_600,
  check: async (world, { signal, facts }) => {
    const { events, isBeingShipped, lost = 0, unfinished = 0 } = await world.inUse.missingSpend(region, signal);
    if (isBeingShipped) return { is: 'underway', note: `${events ?? 'some'} events to go` };
    if (events === undefined) {
      const since = String(facts('backup')['takenAt']);
      return {
        is: 'done',
        note: `the outboxes have drained; what was booked between ${since} and the loss is lost: there is no archive of spend`,
      };
    }
    if (events === 0 && unfinished === 0) {
      return { is: 'done', facts: { spendEventsLost: lost, spendEventsDoubled: 0 } };
    }
    if (events === 0) {
      return {
        is: 'done',
        facts: {
          spendEventsDoubled: 0,
          spendLogsUnfinished: unfinished,
          ...(lost > 0 ? { spendEventsLost: lost } : {}),
        },
        note: `${unfinished} gateway processes ended before their last spend was archived: nobody can count it, a minute of each as a rule; it is booked when their disks come back`,
      };
    }
    if (events === 'archived') return { is: 'ready', note: 'the archive has not been gone through' };
    return { is: 'ready', note: `${events} events to go` };
  },
  act: (world, { signal, token }) => world.inUse.reingest(region, token, signal),
  undo: { irreversible: 'spend that is booked stays booked' },
});
