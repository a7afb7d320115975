/** Where the lab's clients are sent: DNS with health checks, takeover objects, and shares during a return. */
import type { RegionTraffic } from '../books/region-world.ts';
import { LabEdge } from './edge.ts';
import { storeObject } from './object-store.ts';
import { type RegionName, regionNamed } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

const healthIntervalMs = 1_000;
const failureThreshold = 2;
export const takeoverName = (region: string): string => `takeover-${region}/takeover.json`;

export class LabTraffic implements RegionTraffic {
  readonly edge: LabEdge;
  readonly #lab: TwoRegions;
  /** Percent, while a is taken over. */
  #shareOfA = 0;

  constructor(lab: TwoRegions) {
    this.#lab = lab;
    const regionOf = (name: RegionName) => ({ name, addresses: () => lab.region(name).addresses });
    this.edge = new LabEdge({
      primary: regionOf('a'),
      standby: regionOf('b'),
      intervalMs: healthIntervalMs,
      failureThreshold,
      isTakenOver: (region) => this.#objects.has(takeoverName(region)),
      primaryShare: () => this.#shareOfA,
    });
  }

  get #objects() {
    const [store] = this.#lab.stores;
    if (store === undefined) throw new Error('the lab has no object store');
    return store.objects;
  }

  async takeover(region: string): Promise<string | undefined> {
    return this.#objects.get(takeoverName(region))?.body.toString();
  }

  async takeOver(region: string, runId: string): Promise<void> {
    storeObject(this.#objects, takeoverName(region), Buffer.from(runId));
  }

  async giveBack(region: string): Promise<void> {
    this.#objects.delete(takeoverName(region));
  }

  /** Percent of the clients, while a is taken over. */
  shareOf(region: string): number {
    return regionNamed(region) === 'a' ? this.#shareOfA : 100 - this.#shareOfA;
  }

  readonly shares = {
    read: async (region: string) => this.shareOf(region),
    set: async (region: string, percent: number) => {
      this.#shareOfA = regionNamed(region) === 'a' ? percent : 100 - percent;
    },
  };
}
