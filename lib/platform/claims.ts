/** Where the claim lives: the object that says which region may write. */
import type { PlatformSpec } from './spec.ts';

/**
 * Regions whose bucket holds the claim. None where only one region can write. One, in a standby, for two regions: a lost
 * primary must not take the claim along. Three where a third place exists: then any one of them may fail and writes go on.
 */
export function claimRegionsOf(spec: Pick<PlatformSpec, 'regions' | 'topology' | 'witnessRegion'>): readonly string[] {
  if (spec.topology === 'single-region') return [];
  const primary = spec.regions.filter(({ role }) => role === 'primary').map(({ region }) => region);
  const standbys = spec.regions.filter(({ role }) => role !== 'primary').map(({ region }) => region);
  const all = [...primary, ...standbys, ...(spec.witnessRegion === undefined ? [] : [spec.witnessRegion])];
  return all.length >= 3 ? [...all.slice(0, 2), spec.witnessRegion ?? all[2] ?? ''] : standbys.slice(0, 1);
}
