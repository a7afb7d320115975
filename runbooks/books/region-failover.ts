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
      `only traffic should leave ${former}: put the takeover object alone ("Move traffic", by hand); every region serves in every state`,
    ],
    lookFirst: [
      {
        command: 'npx holdfast region status',
        expect: `${former} does not answer, or is fenced, and ${target} is a candidate. "seized" = somebody is at it: resume that run instead`,
      },
      {
        command: 'npx holdfast region ready',
        expect: `every line of ${target} is ok, but what needs ${former} to compare with; its lag is about what will be lost`,
      },
    ],
    takes:
      'clients move about a minute after the takeover object lies there (health checks, then names they remember); writes resume when the epoch is opened: 18 s of waiting, and the minutes that RDS takes to promote',
    harms: `nobody whose request ${target} can serve. Changes of keys, budgets and configuration get 503 until the epoch is opened. What ${former} had acknowledged and ${target} had not received is lost: the report says how much at most`,
    afterwards: [
      `nothing can be promoted any more until ${target} has a replica: plan one today (region-failback builds it in ${former})`,
      `leave ${former} alone when it comes back: it fences itself, serves and forwards; \`npx holdfast region status\` shows it`,
      'find out why it was lost, before you plan region-failback',
      'watch errors and latency for an hour, and tell those who make keys what may be missing (the report has the bound)',
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
