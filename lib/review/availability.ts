/** What the parts promise together: an estimate with every assumption beside it, and never a measurement. */
import type { Platform } from '../platform/platform.ts';
import { type Tier, tiers } from '../platform/tiers.ts';
import { aliasTtlSeconds, regionDetectionSeconds } from '../platform/traffic.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { table } from './table.ts';
import { wrap } from './wrap.ts';

/** A part that every request needs in its region, with what its service agreement promises over several zones. */
export const servingParts = [
  { name: 'load balancer (ALB)', availability: 0.9999, source: 'service agreement' },
  { name: 'compute in two or more zones (EC2)', availability: 0.9999, source: 'service agreement' },
  { name: 'way out to the providers (NAT in each zone)', availability: 0.9999, source: 'assumed, none is promised' },
] as const;

/** Of the database that takes writes; serving goes on without it. */
export const writingAvailability = 0.9995;

/** How often a region is lost or has to be left, as assumed. */
const regionLossesPerYear = 1;

const secondsPerYear = 365 * 86_400;

/** Estimated share of time in which requests are answered, without the providers' own outages. */
export function servingAvailability(platform: Platform): number {
  const region = servingParts.reduce((product, { availability }) => product * availability, 1);
  if (platform.regions.length === 1) return region;
  // Both out at once, if they fail independently; and each time, until clients have noticed.
  const allOut = (1 - region) ** platform.regions.length;
  const moving = (regionLossesPerYear * (regionDetectionSeconds + aliasTtlSeconds)) / secondsPerYear;
  return 1 - allOut - moving;
}

/** Minutes a month that an availability leaves for downtime. */
export const downtimeMinutesPerMonth = ({ availabilityPercent }: Pick<Tier, 'availabilityPercent'>): number =>
  (1 - availabilityPercent / 100) * 30.44 * 24 * 60;

export function availabilitySection({ platform }: Review): Section {
  const estimate = servingAvailability(platform) * 100;
  const promise = platform.tier.availabilityPercent;
  return {
    title: 'Availability',
    lines: [
      ...table(
        ['tier', 'availability', 'downtime a month', 'data loss (RPO)', 'recovery (RTO)'],
        Object.values(tiers).map((tier) => [
          tier.name === platform.tier.name ? `${tier.name} (yours)` : tier.name,
          `${tier.availabilityPercent} %`,
          `${downtimeMinutesPerMonth(tier).toFixed(1)} min`,
          `${tier.rpoSeconds / 60} min`,
          `${tier.rtoSeconds / 60} min`,
        ]),
      ),
      '',
      ...wrap(
        `Estimate for serving: ${estimate.toFixed(4)} % (${estimate >= promise ? 'above' : 'BELOW'} the tier's ${promise} %), without the providers' own outages. Control-plane writes: at most ${(writingAvailability * 100).toFixed(2)} %, the database's own.`,
      ),
      ...servingParts.map(
        ({ name, availability, source }) => `  ${(availability * 100).toFixed(2)} %  ${name}, ${source}`,
      ),
      ...wrap(
        platform.regions.length === 1
          ? 'One region: its loss is downtime until a restore elsewhere.'
          : `Regions fail independently; ${regionLossesPerYear} region a year is lost, and clients need ${regionDetectionSeconds} s of detection and ${aliasTtlSeconds} s of cached names to leave it. Configuration errors and bad releases, which hit all regions at once, are in no such number.`,
      ),
    ],
  };
}
