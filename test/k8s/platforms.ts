import production from '../../holdfast.config.ts';
import { definePlatform, type Platform, type TierName } from '../../lib/platform/platform.ts';

/** A platform of each tier, beside the one that users edit. */
const ofTier = (tier: TierName): Platform =>
  definePlatform({
    name: 'holdfast',
    environment: 'production',
    account: '111111111111',
    domain: 'gateway.example.com',
    hostedZone: { name: 'example.com' },
    tier,
    topology: tier === 'standard' ? 'single-region' : 'active-active',
    regions: [
      { region: 'us-east-1', role: 'primary' as const, zones: ['a', 'b', 'c'], cidr: '10.0.0.0/16' },
      { region: 'us-west-2', role: 'standby' as const, zones: ['a', 'b', 'c'], cidr: '10.1.0.0/16' },
    ].slice(0, tier === 'standard' ? 1 : 2),
    image: `ghcr.io/holdfast/gateway@sha256:${'ab'.repeat(32)}`,
  });

/** Every region of every platform that the invariants are checked on. */
export const everyRegion = [production, ofTier('standard'), ofTier('high'), ofTier('critical')].flatMap((platform) =>
  platform.regions.map((region) => ({ name: `${platform.tier.name}, ${region.region}`, platform, region })),
);
