/**
 * Unplanned failover: the writer's region is gone, or cut off, and another one becomes the writer. Serving does not wait
 * for it: traffic moves first, on the data plane, to gateways that stand already. Then the right to write moves: claim,
 * wait, promotion, row, opening.
 */
import type { Runbook } from '../engine/step.ts';
import type { RegionWorld } from './region-world.ts';
import { capacityStep } from './steps/capacity.ts';
import { openStep, promoteStep, type RegionPlan, raiseStep, seizeStep, waitLeaseOutStep } from './steps/claim.ts';
import { giveRightBack } from './steps/close.ts';
import { type CacheMove, cacheSteps } from './steps/global-cache.ts';
import { takeoverStep } from './steps/takeover.ts';
import { verifyStep } from './steps/verify.ts';

export interface FailoverPlan extends RegionPlan {
  readonly cache?: CacheMove;
}

export function regionFailover(plan: FailoverPlan): Runbook<RegionWorld> {
  const { target, former } = plan;
  return {
    id: 'region-failover',
    title: `Fail over to ${target}`,
    useWhen: [
      `${former} is lost or cut off, and you do not expect it back within the recovery time objective`,
      `control-plane writes must go on (keys, budgets, configuration) while ${former} is away`,
    ],
    doNotUseWhen: [
      `${former} works: use region-switchover, which loses nothing`,
      'only a zone, a process or a provider is down: gateways and databases recover from these by themselves',
      `only traffic should leave ${former}: move the traffic alone; every region serves in every state`,
    ],
    recoveredBy: 'open',
    steps: [
      capacityStep(target),
      takeoverStep(target),
      seizeStep(plan, {
        confirm: true,
        candidatesOnly: plan.unlisted !== 'promote',
        undo: giveRightBack(former),
      }),
      waitLeaseOutStep(plan),
      promoteStep(plan, 'at-start'),
      raiseStep(plan),
      openStep(plan),
      ...cacheSteps(target, plan.cache),
      verifyStep({ region: target, write: true }),
    ],
  };
}
