export type RegionName = 'a' | 'b';

export const regionNames = ['a', 'b'] as const;

export const otherRegion = (name: RegionName): RegionName => (name === 'a' ? 'b' : 'a');

/** @throws for people who typed it. */
export function regionNamed(name: string): RegionName {
  const found = regionNames.find((one) => one === name);
  if (found === undefined) throw new Error(`the lab has no region ${name}; it has a and b`);
  return found;
}

/** Each region has two; its gateways take turns. */
export const zonesOf = (region: RegionName): readonly string[] => [`${region}1`, `${region}2`];

/** @throws for people who typed it. */
export function requireZone(region: RegionName, zone: string): void {
  if (!zonesOf(region).includes(zone)) {
    throw new Error(`region ${region} has no zone ${zone}; it has ${zonesOf(region).join(' and ')}`);
  }
}
