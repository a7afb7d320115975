import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type RegionalStackKind, stackName } from '../platform/names.ts';
import type { Platform, Region } from '../platform/platform.ts';
import { stackSettings } from './stack-settings.ts';

export interface RegionalProps {
  readonly platform: Platform;
  readonly region: Region;
}

/**
 * A stack of one region. It knows its account, region and zones at synth time, so nothing is looked up; it is deployed
 * with templates alone, so it can be updated from any machine that reaches the region's CloudFormation.
 */
export abstract class RegionalStack extends Stack {
  private readonly zones: readonly string[];

  constructor(scope: Construct, kind: RegionalStackKind, props: RegionalProps) {
    const { platform, region } = props;
    super(
      scope,
      stackName(platform, region.region, kind),
      stackSettings(platform, region, `${kind} of ${region.region}`),
    );
    this.zones = region.availabilityZones;
  }

  /** The zones from the configuration; the base class would ask AWS even when a VPC is given its zones. */
  override get availabilityZones(): string[] {
    return [...this.zones];
  }
}
