import { CfnOutput, Fn, Stack } from 'aws-cdk-lib';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import { PublicZone } from '../constructs/public-zone.ts';
import { RegionHealthCheck } from '../constructs/region-health-check.ts';
import { RoutedAlias } from '../constructs/routed-alias.ts';
import { dnsStackName, outputs, recordSetId, regionalDomain, standbyDomain } from '../platform/names.ts';
import type { Platform, Region } from '../platform/platform.ts';
import { stackSettings } from './stack-settings.ts';

/**
 * The one global stack: which region answers for the platform's name. It refers to regions by their names alone. It is
 * changed in peace only; in a failover Route 53 follows its health checks, and nobody edits a record.
 */
export class DnsStack extends Stack {
  private readonly platform: Platform;
  private readonly healthChecks = new Map<string, route53.IHealthCheck>();

  constructor(scope: Construct, platform: Platform) {
    const place = { region: platform.dnsRegion, account: platform.account };
    super(scope, dnsStackName(platform), stackSettings(platform, place, 'names and health checks of all regions'));
    this.platform = platform;
    const zone = this.zone();
    // A zone that was only just created holds no regional names yet, and Route 53 refuses an alias to a missing name.
    if (zone !== undefined) this.route(zone);
  }

  /** The zone that the configuration names, or undefined after creating it. */
  private zone(): route53.IHostedZone | undefined {
    const { name, id } = this.platform.hostedZone;
    if (id !== undefined) {
      return route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', { hostedZoneId: id, zoneName: name });
    }
    const zone = new PublicZone(this, 'Zone', { name });
    new CfnOutput(this, outputs.hostedZoneId, { value: zone.hostedZoneId });
    new CfnOutput(this, outputs.nameServers, { value: Fn.join(' ', zone.hostedZoneNameServers ?? []) });
    return undefined;
  }

  private route(zone: route53.IHostedZone): void {
    const { platform } = this;
    for (const { region } of platform.regions) {
      const domain = regionalDomain(platform, region);
      this.healthChecks.set(region, new RegionHealthCheck(this, `Health-${region}`, { domain }));
    }
    switch (platform.topology) {
      case 'single-region':
        new RoutedAlias(this, 'Name', {
          zone,
          name: platform.domain,
          target: regionalDomain(platform, platform.primary.region),
        });
        return;
      case 'active-passive':
        this.routeByFailover(zone);
        return;
      case 'active-active':
        for (const region of platform.regions) this.routeByLatency(zone, platform.domain, region);
        return;
    }
  }

  /** The primary answers while it is healthy, else the standby; of several standbys the nearest healthy one. */
  private routeByFailover(zone: route53.IHostedZone): void {
    const { platform } = this;
    const { primary, standbys, domain } = platform;
    new RoutedAlias(this, 'Primary', {
      zone,
      name: domain,
      target: regionalDomain(platform, primary.region),
      routing: {
        failover: route53.Failover.PRIMARY,
        setIdentifier: recordSetId(platform, primary.region),
        healthCheck: this.healthChecks.get(primary.region),
      },
    });
    const [only, ...others] = standbys;
    if (only === undefined) return;
    const several = others.length > 0;
    new RoutedAlias(this, 'Secondary', {
      zone,
      name: domain,
      target: several ? standbyDomain(platform) : regionalDomain(platform, only.region),
      routing: {
        failover: route53.Failover.SECONDARY,
        setIdentifier: recordSetId(platform, several ? 'standby' : only.region),
        healthCheck: several ? this.anyStandby(standbys) : this.healthChecks.get(only.region),
      },
    });
    if (several) for (const standby of standbys) this.routeByLatency(zone, standbyDomain(platform), standby);
  }

  /** Healthy while at least one standby is. */
  private anyStandby(standbys: readonly Region[]): route53.IHealthCheck {
    return new route53.HealthCheck(this, 'AnyStandby', {
      type: route53.HealthCheckType.CALCULATED,
      childHealthChecks: standbys.flatMap(({ region }) => this.healthChecks.get(region) ?? []),
      healthThreshold: 1,
    });
  }

  private routeByLatency(zone: route53.IHostedZone, name: string, { region }: Region): void {
    new RoutedAlias(this, `Latency-${region}`, {
      zone,
      name,
      target: regionalDomain(this.platform, region),
      routing: {
        latencyOf: region,
        setIdentifier: recordSetId(this.platform, region),
        healthCheck: this.healthChecks.get(region),
      },
    });
  }
}
