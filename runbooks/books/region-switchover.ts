/**
 * Planned switchover: the writer moves to another region and loses nothing. The former writer is closed first, the replica
 * is seen to have the closing row, and only then the right moves. Until the promotion the run can be taken back.
 */
import type { Runbook } from '../engine/step.ts';
import type { RegionWorld } from './region-world.ts';
import { capacityStep } from './steps/capacity.ts';
import { openStep, promoteStep, type RegionPlan, raiseStep, seizeStep } from './steps/claim.ts';
import { closeStep, giveRightBack, lagStep, replayedStep, waitTransactionsStep } from './steps/close.ts';
import { type CacheMove, cacheSteps } from './steps/global-cache.ts';
import { takeoverStep } from './steps/takeover.ts';
import { verifyStep } from './steps/verify.ts';

export interface SwitchoverPlan extends RegionPlan {
  /** More than this, and the switchover is refused: writes would be held for as long. */
  readonly maxLagSeconds: number;
  readonly cache?: Exclude<CacheMove, 'detach'>;
}

export function regionSwitchover(plan: SwitchoverPlan): Runbook<RegionWorld> {
  const { target, former } = plan;
  return {
    id: 'region-switchover',
    title: `Switch over to ${target}`,
    useWhen: [
      `${former} works and is going to be taken away: maintenance, a region's end, a drill`,
      'both regions are healthy and replication is close behind',
    ],
    doNotUseWhen: [
      `${former} does not answer: use region-failover`,
      `only traffic should leave ${former}: put the takeover object alone ("Move traffic", by hand); every region serves in every state`,
      'nobody has time to rebuild the former primary afterwards: RDS cannot demote, so there is no replica until then',
    ],
    lookFirst: [
      {
        command: 'npx holdfast region status',
        expect: `${former} writes, ${target} stands by and is a candidate, and no line begins with "!"`,
      },
      { command: 'npx holdfast region ready', expect: `every line of ${target} is ok` },
    ],
    takes: `the minutes that RDS takes to promote; writes stand still from closing ${former} to opening the epoch`,
    harms: `requests: nobody. Changes of keys, budgets and configuration get 503 from closing ${former} to opening the epoch, and are to be repeated`,
    afterwards: [
      `nothing can be promoted any more until ${target} has a replica: rebuild ${former} as one (region-failback does it on the way back)`,
      `clients stay in ${target} as long as its takeover object lies there; region-failback takes it away`,
    ],
    recoveredBy: 'open',
    steps: [
      lagStep(plan, plan.maxLagSeconds, 'at-start'),
      capacityStep(target),
      closeStep(plan),
      replayedStep(plan),
      seizeStep(plan, { confirm: false, undo: giveRightBack(former) }),
      waitTransactionsStep(plan),
      promoteStep(plan, 'at-start'),
      raiseStep(plan),
      openStep(plan),
      takeoverStep(target),
      ...cacheSteps(target, plan.cache),
      verifyStep({ region: target, write: true }),
    ],
  };
}
