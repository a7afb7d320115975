/** Zones of a lab region: gateways in each, and stores whose place can be moved. */
import type { PlacedStore, Zones } from '../books/zone-evacuation.ts';
import { regionNamed, requireZone, zonesOf } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

/** @param needed gateways that the load of a region needs. */
export function labZones(
  lab: TwoRegions,
  needed: number,
  isReady: (url: string, signal: AbortSignal) => Promise<boolean>,
): Zones {
  /** Zone of each store; both begin in the first one. */
  const places = new Map<string, string>();
  const ends = new Map<string, NodeJS.Timeout>();
  const of = (region: string, zone: string) => {
    const name = regionNamed(region);
    requireZone(name, zone);
    return lab.region(name);
  };
  const otherThan = (region: string, zone: string): string =>
    zonesOf(regionNamed(region)).find((one) => one !== zone) ?? zone;
  const placeOf = (store: PlacedStore, region: string): string =>
    places.get(`${store} of ${region}`) ?? zonesOf(regionNamed(region))[0] ?? '';
  const readyWithout = async (region: string, zone: string, signal: AbortSignal): Promise<number> => {
    const elsewhere = of(region, zone).places.flatMap((place) => (place.zone === zone ? [] : (place.gateway ?? [])));
    return (await Promise.all(elsewhere.map(({ url }) => isReady(url, signal)))).filter(Boolean).length;
  };
  return {
    capacityWithout: async (region, zone, signal) => ({ ready: await readyWithout(region, zone, signal), needed }),
    raise: async (region, zone, to, signal) => {
      const here = of(region, zone);
      for (let ready = await readyWithout(region, zone, signal); ready < to; ready++) {
        await here.addGateway(otherThan(region, zone));
      }
    },
    isShifted: async (region, zone) => of(region, zone).shiftedZones.has(zone),
    shift: async (region, zone, minutes) => {
      const here = of(region, zone);
      const held = [...here.shiftedZones].find((one) => one !== zone);
      if (held !== undefined) throw new Error(`traffic keeps away from ${held} already: two shifts leave nothing`);
      await here.shift(zone, 'away');
      clearTimeout(ends.get(zone));
      // What nginx does not take stands and shows so: whoever evacuates ends it.
      const end = setTimeout(() => void here.shift(zone, 'back').catch(() => undefined), minutes * 60_000);
      end.unref();
      ends.set(zone, end);
    },
    endShift: async (region, zone) => {
      clearTimeout(ends.get(zone));
      await of(region, zone).shift(zone, 'back');
    },
    placeOf: async (store, region) => {
      const here = lab.region(regionNamed(region));
      if (store === 'cache' && here.redis === undefined) return undefined;
      return { zone: placeOf(store, region), isMoving: false };
    },
    move: async (store, region) => {
      await lab.region(regionNamed(region)).failOverStore(store);
      places.set(`${store} of ${region}`, otherThan(region, placeOf(store, region)));
    },
  };
}
