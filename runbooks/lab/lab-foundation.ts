/** What a region of the lab needs besides its database: cache and nginx, where it has them, and then its gateways. */
import type { Foundation } from '../books/disaster-restore.ts';
import { readyGateways, startUnready } from './ready-gateways.ts';
import { regionNamed } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

/** The lab's own store of secrets goes with no region; see `labParameters`. */
const noVault = (): Promise<never> => Promise.reject(new Error('the lab has no Vault: take vault=none'));

export function labFoundation(lab: TwoRegions): Foundation {
  const of = (region: string) => lab.region(regionNamed(region));
  return {
    view: async (region) => ((await of(region).hasDoors()) ? 'ready' : 'absent'),
    build: (region) => of(region).restartDoors(),
    vault: noVault,
    restoreVault: noVault,
    services: async (region, signal) => ({
      ready: await readyGateways(of(region), signal),
      wanted: of(region).places.length,
    }),
    applyServices: (region, _token, signal) => startUnready(of(region), signal),
  };
}
