/** The ways through the lab's network: a fault proxy on each, so that any of them can be cut, slowed or left half open. */
import { type FaultProxy, type FaultProxyTarget, type Faults, startFaultProxy } from './fault-proxy.ts';
import type { RegionName } from './region-name.ts';

/** From whom to what; each has its own faults. `outside` = clients, health checkers and operators. */
export type Link =
  | `${RegionName}.gateways>${RegionName}.database`
  | `${RegionName}.gateways>${RegionName}.redis`
  | `${RegionName}.gateways>${RegionName}.gateways`
  | `${RegionName}.database>${RegionName}.database`
  | `${RegionName}.gateways>bucket-${BucketIndex}`
  | `outside>bucket-${BucketIndex}`
  /** Where the region keeps the archived spend of the other. */
  | `${RegionName}.gateways>${RegionName}.archive`
  | `outside>${RegionName}.archive`
  | `outside>${RegionName}.database`
  /** Where clients come in: nginx, or each gateway where there is none. */
  | `outside>${RegionName}.door-${number}`;

export type BucketIndex = 0 | 1 | 2;

/** Nothing passes; connections stay open, and new ones are accepted by nobody. */
export const cutOff: Partial<Faults> = { freeze: 'both', accept: 'silent' };

/** Bucket 0 lies in b and bucket 1 in a; the third lies in neither. */
const homes: Readonly<Record<BucketIndex, RegionName | undefined>> = { 0: 'b', 1: 'a', 2: undefined };

/** Pure: the region at each end of a way; `outside` = neither. */
export function endsOf(link: Link): readonly [string, string] {
  const [from = '', to = ''] = link.split('>');
  const placeOf = (end: string): string => {
    const bucket = end.match(/^bucket-([012])$/)?.[1];
    if (bucket !== undefined) return homes[bucket === '0' ? 0 : bucket === '1' ? 1 : 2] ?? 'outside';
    return end.split('.')[0] ?? 'outside';
  };
  return [placeOf(from), placeOf(to)];
}

/** Pure: ways between the two regions. */
export function isBetweenRegions(link: Link): boolean {
  const ends = endsOf(link);
  return ends[0] !== ends[1] && !ends.includes('outside');
}

/** Pure: ways that enter or leave a region. */
export function crossesBorderOf(region: RegionName, link: Link): boolean {
  const [from, to] = endsOf(link);
  return (from === region) !== (to === region);
}

export class LabLinks {
  readonly #proxies = new Map<Link, FaultProxy>();

  async open(name: Link, target: FaultProxyTarget): Promise<void> {
    this.#proxies.set(name, await startFaultProxy(target));
  }

  has(name: Link): boolean {
    return this.#proxies.has(name);
  }

  /** @throws when the lab has no such way. */
  of(name: Link): FaultProxy {
    const link = this.#proxies.get(name);
    if (link === undefined) throw new Error(`there is no link ${name}`);
    return link;
  }

  async set(which: (name: Link) => boolean, faults: Partial<Faults>): Promise<void> {
    await Promise.all([...this.#proxies].map(async ([name, link]) => (which(name) ? link.set(faults) : undefined)));
  }

  async heal(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((link) => link.heal()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((link) => link.close()));
  }
}
