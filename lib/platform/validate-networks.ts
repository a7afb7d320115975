/** Rules for the ranges of regions that route to each other. */
import type { PlatformSpec } from './platform.ts';

interface CidrRange {
  readonly first: number;
  readonly last: number;
}

export function networkFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const ranges: { region: string; cidr: string; range: CidrRange }[] = [];
  for (const [index, region] of spec.regions.entries()) {
    const range = parseCidr(region.cidr);
    if (range === undefined) {
      faults.push(
        `regions[${index}].cidr: "${region.cidr}" is not a range such as 10.0.0.0/16 (network address, prefix 16 to 20)`,
      );
      continue;
    }
    const other = ranges.find((known) => known.range.first <= range.last && range.first <= known.range.last);
    if (other !== undefined) {
      faults.push(
        `regions[${index}].cidr: "${region.cidr}" of ${region.region} overlaps "${other.cidr}" of ${other.region}; regions route to each other`,
      );
    }
    ranges.push({ region: region.region, cidr: region.cidr, range });
  }
  return faults;
}

/** A VPC range, or undefined when it is malformed, not on its network address, or too small for three tiers of subnets. */
function parseCidr(cidr: string): CidrRange | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (match === null) return undefined;
  const octets = match.slice(1, 5).map(Number);
  const prefix = Number(match[5]);
  if (octets.some((octet) => octet > 255) || prefix < 16 || prefix > 20) return undefined;
  const first = octets.reduce((address, octet) => address * 256 + octet, 0);
  const size = 2 ** (32 - prefix);
  return first % size === 0 ? { first, last: first + size - 1 } : undefined;
}
