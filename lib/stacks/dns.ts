import { CfnOutput, Fn, Stack } from 'aws-cdk-lib';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import { FailbackWeights } from '../constructs/failback-weights.ts';
import { ForeignRegionName } from '../constructs/foreign-region-name.ts';
import { PublicZone } from '../constructs/public-zone.ts';
import { RecordsReader } from '../constructs/records-reader.ts';
import { RegionHealthCheck } from '../constructs/region-health-check.ts';
import { RoutedAlias, type RoutedAliasProps } from '../constructs/routed-alias.ts';
import { TakeoverCheck } from '../constructs/takeover-check.ts';
import { hasNamesElsewhere } from '../platform/accounts.ts';
import {
  dnsStackName,
  failbackDomain,
  homeDomain,
  outputs,
  recordSetId,
  recordsReaderName,
  regionalDomain,
  regionSwitchRoleName,
  standbyDomain,
  takeoverHost,
} from '../platform/names.ts';
import type { Platform, Region } from '../platform/platform.ts';
import { stackSettings } from './stack-settings.ts';

/**
 * The one global stack: which region answers for the platform's name. It refers to regions by their names alone. It is
 * changed in peace only; in a failover Route 53 follows its health checks, and nobody edits a record.
 */
export class DnsStack extends Stack {
  private readonly platform: Platform;
  private readonly healthChecks = new Map<string, route53.IHealthCheck>();
  /** Names of this stack's own records, and what leads to them. */
  private readonly made: { readonly name: string; readonly target?: string; readonly record: Construct }[] = [];

  constructor(scope: Construct, platform: Platform) {
    const place = { region: platform.dnsRegion, account: platform.account };
    super(scope, dnsStackName(platform), stackSettings(platform, place, 'names and health checks of all regions'));
    this.platform = platform;
    const zone = this.zone();
    // A zone that was only just created holds no regional names yet, and Route 53 refuses an alias to a missing name.
    if (zone === undefined) return;
    this.nameForeignRegions(zone);
    this.route(zone);
    this.orderAliases();
    this.showRecordsToPlan();
  }

  private showRecordsToPlan(): void {
    const { platform } = this;
    if (!platform.regionSwitchPlan || !hasNamesElsewhere(platform, platform.primary)) return;
    new RecordsReader(this, 'RecordsReader', {
      name: recordsReaderName(platform),
      zoneId: platform.hostedZone.id ?? '',
      planRoleArn: `arn:aws:iam::${platform.primary.account}:role/${regionSwitchRoleName(platform)}`,
    });
  }

  /** A region in another account cannot write its record into this zone. */
  private nameForeignRegions(zone: route53.IHostedZone): void {
    for (const region of this.platform.regions.filter((each) => hasNamesElsewhere(this.platform, each))) {
      const name = regionalDomain(this.platform, region.region);
      const record = new ForeignRegionName(this, `Name-${region.region}`, { zone, name, region: region.region });
      this.made.push({ name, record });
    }
  }

  private alias(id: string, props: RoutedAliasProps): void {
    this.made.push({ name: props.name, target: props.target, record: new RoutedAlias(this, id, props) });
  }

  /** Route 53 refuses an alias to a name that does not exist yet, and CloudFormation would make them all at once. */
  private orderAliases(): void {
    for (const { target, record } of this.made) {
      record.node.addDependency(...this.made.filter(({ name }) => name === target).map((each) => each.record));
    }
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
        this.alias('Name', {
          zone,
          name: platform.domain,
          target: regionalDomain(platform, platform.primary.region),
        });
        return;
      case 'active-passive':
        this.routeByFailover(zone, platform.domain);
        return;
      case 'active-active':
        this.routeByLatency(zone, platform.domain, platform.primary, {
          target: homeDomain(platform),
          healthCheck: this.anyOf('AnyRegion', platform.regions),
        });
        for (const region of platform.standbys) this.routeByLatency(zone, platform.domain, region);
        this.routeByFailover(zone, homeDomain(platform));
        return;
    }
  }

  /**
   * The primary answers while it is healthy and nobody takes over, else the standbys; of several the nearest healthy one.
   * While somebody takes over, a failback gives the primary a growing part.
   */
  private routeByFailover(zone: route53.IHostedZone, name: string): void {
    const { platform } = this;
    const { primary, standbys } = platform;
    const [first, ...others] = standbys;
    if (first === undefined) return;
    const several = others.length > 0;
    const healthOfStandbys = several ? this.anyOf('AnyStandby', standbys) : this.healthChecks.get(first.region);
    const standby = several ? standbyDomain(platform) : regionalDomain(platform, first.region);
    this.alias('Primary', {
      zone,
      name,
      target: regionalDomain(platform, primary.region),
      routing: {
        failover: route53.Failover.PRIMARY,
        setIdentifier: recordSetId(platform, primary.region),
        healthCheck: this.primaryGate(),
      },
    });
    this.alias('Secondary', {
      zone,
      name,
      target: failbackDomain(platform),
      routing: {
        failover: route53.Failover.SECONDARY,
        setIdentifier: recordSetId(platform, several ? 'standby' : first.region),
        healthCheck: healthOfStandbys,
      },
    });
    const weights = new FailbackWeights(this, 'Failback');
    this.alias('FailbackPrimary', {
      zone,
      name: failbackDomain(platform),
      target: regionalDomain(platform, primary.region),
      routing: {
        weight: weights.primary,
        setIdentifier: recordSetId(platform, primary.region),
        healthCheck: this.healthChecks.get(primary.region),
      },
    });
    this.alias('FailbackStandby', {
      zone,
      name: failbackDomain(platform),
      target: standby,
      routing: {
        weight: weights.others,
        setIdentifier: recordSetId(platform, several ? 'standby' : first.region),
        healthCheck: healthOfStandbys,
      },
    });
    if (several)
      for (const each of standbys) this.routeByLatency(zone, standbyDomain(platform), each, { id: 'Standby' });
  }

  /** Healthy while the primary answers and nobody takes over: automatic and manual failover share one record. */
  private primaryGate(): route53.IHealthCheck {
    const { platform } = this;
    const takeovers = platform.standbys.map(
      (place) =>
        new TakeoverCheck(this, `Takeover-${place.region}`, {
          host: takeoverHost(platform, place),
          region: place.region,
        }),
    );
    const endpoint = this.healthChecks.get(platform.primary.region);
    const children = [...(endpoint === undefined ? [] : [endpoint]), ...takeovers];
    return new route53.HealthCheck(this, 'PrimaryServes', {
      type: route53.HealthCheckType.CALCULATED,
      childHealthChecks: children,
      healthThreshold: children.length,
    });
  }

  /** Healthy while at least one of the regions is. */
  private anyOf(id: string, regions: readonly Region[]): route53.IHealthCheck {
    return new route53.HealthCheck(this, id, {
      type: route53.HealthCheckType.CALCULATED,
      childHealthChecks: regions.flatMap(({ region }) => this.healthChecks.get(region) ?? []),
      healthThreshold: 1,
    });
  }

  private routeByLatency(
    zone: route53.IHostedZone,
    name: string,
    { region }: Region,
    instead: { readonly id?: string; readonly target?: string; readonly healthCheck?: route53.IHealthCheck } = {},
  ): void {
    this.alias(`${instead.id ?? 'Latency'}-${region}`, {
      zone,
      name,
      target: instead.target ?? regionalDomain(this.platform, region),
      routing: {
        latencyOf: region,
        setIdentifier: recordSetId(this.platform, region),
        healthCheck: instead.healthCheck ?? this.healthChecks.get(region),
      },
    });
  }
}
