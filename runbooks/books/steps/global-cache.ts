import type { Step } from '../../engine/step.ts';
import type { RegionWorld } from '../region-world.ts';

/** `detach` where the service refuses to promote; `none` where each region has a cache of its own. */
export type CacheMove = 'none' | 'promote' | 'detach';

/** Nothing where no cache spans the regions. It comes last: serving waits for no cache, gateways count for themselves until then. */
export const cacheSteps = (target: string, move: CacheMove = 'none'): readonly Step<RegionWorld>[] =>
  move === 'none' ? [] : [cacheStep(target, move)];

const byHand = (target: string, move: 'promote' | 'detach'): string[] => [
  `aws elasticache describe-global-replication-groups --region ${target} --show-member-info   # says the DATASTORE`,
  move === 'promote'
    ? `aws elasticache failover-global-replication-group --region ${target} --global-replication-group-id DATASTORE --primary-region ${target} --primary-replication-group-id CACHE`
    : `aws elasticache disassociate-global-replication-group --region ${target} --global-replication-group-id DATASTORE --replication-group-region ${target} --replication-group-id CACHE`,
];

const cacheStep = (target: string, move: 'promote' | 'detach'): Step<RegionWorld> => ({
  id: 'cache',
  title:
    move === 'promote'
      ? `Have the cache of ${target} take the writes`
      : `Cut the cache of ${target} off, to take writes on its own`,
  words: {
    check: `does the cache of ${target} take writes? (Only where one cache spans the regions: globalCache)`,
    act:
      move === 'promote'
        ? `promote the cache of ${target} in the Global Datastore; the others follow it from then on`
        : `take the cache of ${target} out of the Global Datastore`,
    commands: byHand(target, move),
    canGoWrong: [
      move === 'promote'
        ? 'ElastiCache refuses while the datastore is not "available", which a lost region may bring about: begin another run with `cache=detach` (what stands is found done), or with `cache=none` and let gateways count for themselves'
        : `the cache of ${target} cannot join again: before the failback it is made anew, as a member of the datastore`,
      'the newest counters and cached answers are missing: nothing of it is money, and all of it comes again',
    ],
  },
  patienceSeconds: 900,
  check: async ({ globalCache }, { signal }) => {
    if (globalCache === undefined) return { is: 'done', note: 'no cache spans the regions here' };
    const { is, note } = await globalCache.view(target, signal);
    if (is === 'moving') return { is: 'underway', note };
    return { is: is === 'follows' ? 'ready' : 'done', note };
  },
  act: async ({ globalCache }, { signal }) => globalCache?.[move](target, signal),
  undo: { stays: 'the run that moves the writer back moves the cache as well' },
});
