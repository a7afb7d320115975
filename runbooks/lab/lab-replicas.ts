/** New replicas in the place of databases that were given up, and what only those had. */
import type { LostWrites, Replicas } from '../books/region-failback.ts';
import { ask } from './region-database.ts';
import { type RegionName, regionNamed } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

/** @param beforeDiscarding of a region's database. */
export function labReplicas(lab: TwoRegions, beforeDiscarding: (name: RegionName) => Promise<void>): Replicas {
  /** With the survivor's epoch: after the next failover the list is another one. */
  const lost = new Map<RegionName, LostWrites & { readonly epoch: number }>();
  const epochOf = async (region: string, signal: AbortSignal): Promise<number> =>
    (await lab.region(regionNamed(region)).operator.view(signal)).row.epoch;
  return {
    view: async (region, _source, signal) => {
      const { role } = await lab.region(regionNamed(region)).operator.view(signal);
      return role === 'replica' ? 'ready' : 'absent';
    },
    create: async (region) => {
      const name = regionNamed(region);
      await beforeDiscarding(name);
      await lab.region(name).rebuildDatabase();
    },
    // It is gone with the next one that is built.
    remove: async () => undefined,
    lostWrites: async (region, survivor, signal) => {
      const found = lost.get(regionNamed(region));
      return found?.epoch === (await epochOf(survivor, signal)) ? found : undefined;
    },
    listLostWrites: async (region, survivor, _token, signal) => {
      const name = regionNamed(region);
      const there = new Set(await keysIn(lab.region(regionNamed(survivor)).operatorUrl, signal));
      const missing = (await keysIn(lab.region(name).operatorUrl, signal)).filter((key) => !there.has(key));
      const report = missing.slice(0, mostListed).join(' ');
      lost.set(name, { count: missing.length, report, epoch: await epochOf(survivor, signal) });
    },
  };
}

const mostListed = 20;

/** Names of virtual keys: what administrators of the lab make. Keys alone are named, never what is secret about them. */
async function keysIn(url: string, signal: AbortSignal): Promise<readonly string[]> {
  const rows = await ask(
    url,
    `SELECT coalesce(key_alias, key_id) AS name FROM api_key ORDER BY created_at`,
    [],
    signal,
  );
  return rows.map((row) => String(row['name']));
}
