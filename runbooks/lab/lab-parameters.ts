/** What the books are about when they run in the lab and nobody says otherwise. */
import type { Parameters } from '../books/registry.ts';
import type { RunbookId } from '../catalog.ts';
import { thisCheckout } from './gateway-process.ts';

/** Seconds where production has minutes: clients of the lab are few, and none of them is a user. */
const bakeSeconds = '20';

/** Its regions, each with its zones. */
export const labPlaces: ReadonlyMap<string, readonly string[]> = new Map([
  ['a', ['a1', 'a2']],
  ['b', ['b1', 'b2']],
]);

export function labParameters(id: RunbookId): Parameters {
  switch (id) {
    case 'region-failover':
    case 'region-switchover':
      return { former: 'a', target: 'b' };
    case 'region-failback':
      return { former: 'b', target: 'a', bakeSeconds };
    case 'zone-evacuation':
      return { region: 'a', zone: 'a1' };
    case 'database-restore':
      return { region: 'a', way: 'snapshot' };
    case 'backup-verify':
      return { region: 'a' };
    case 'credential-rotation':
      return { region: 'a', credential: 'database', overlapSeconds: '5' };
    case 'release':
      return { image: thisCheckout, primary: 'a', standbys: 'b', zone: 'a1', bakeSeconds };
    case 'upgrade':
      return { component: 'database', to: '18.4', primary: 'a', standbys: 'b' };
    case 'disaster-restore':
      // Its secrets go with no region.
      return { region: 'b', former: 'a', way: 'snapshot', vault: 'none' };
    case 'drill':
      return { environment: 'lab', former: 'a', target: 'b' };
  }
}
