/** Rules for a cache that spans regions. */
import type { PlatformSpec } from './spec.ts';
import { tiers } from './tiers.ts';

/** Families that a Global Datastore takes; the smallest size is `large`. From ElastiCache's user guide. */
const globalFamilies = ['m5', 'm6g', 'm7g', 'r5', 'r6g', 'r6gd', 'r7g', 'c7gn'];

/** A Global Datastore has one that takes writes and at most two that follow it. */
const mostRegions = 3;

/** Faults of `globalCache`; it needs the same nodes everywhere and regions that do not write. */
export function cacheFaults(spec: PlatformSpec): string[] {
  if (spec.globalCache !== true) return [];
  const faults: string[] = [];
  if (spec.topology !== 'active-passive') {
    faults.push(
      `globalCache: with "${spec.topology}" ${spec.topology === 'single-region' ? 'there is no other region' : 'every region writes its counters, and a Global Datastore takes writes in one'}; leave it out`,
    );
  }
  if (spec.regions.length > mostRegions) {
    faults.push(`globalCache: a Global Datastore spans ${mostRegions} regions, regions lists ${spec.regions.length}`);
  }
  const types = new Set(spec.regions.map(({ cacheNodeType }) => cacheNodeType ?? tiers[spec.tier].cache.nodeType));
  if (types.size > 1) {
    faults.push(`globalCache: all regions need the same node type, regions have ${[...types].join(', ')}`);
  }
  for (const type of types) {
    const [, family = '', size = ''] = type.split('.');
    if (!globalFamilies.includes(family) || !size.endsWith('large')) {
      faults.push(
        `globalCache: a Global Datastore has no nodes of ${type}; it takes ${globalFamilies.join(', ')} from large on`,
      );
    }
  }
  return faults;
}
