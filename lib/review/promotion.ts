import { takesWrites } from '../platform/lineage.ts';
import { parameters, stackName } from '../platform/names.ts';
import type { Platform, Region } from '../platform/platform.ts';

/** How one region's replica is promoted. */
export type PromotionCommands =
  | {
      readonly region: string;
      readonly by: 'stack';
      /** Changes parameters only and needs neither this repository nor npm: the one for an emergency. */
      readonly cloudFormation: readonly string[];
      /** The same from this repository, if what is checked out is what was deployed. */
      readonly cdk: readonly string[];
    }
  | {
      readonly region: string;
      /** The database was brought along: no stack holds it. */
      readonly by: 'rds';
      readonly rds: readonly string[];
    };

/**
 * Commands that promote a region's replica. Rollback is off: CloudFormation would try to make the promoted database a
 * replica again, which RDS cannot do.
 */
export function promotionCommands(platform: Platform, of: Region): PromotionCommands {
  const { region } = of;
  if (of.database !== undefined) {
    return {
      region,
      by: 'rds',
      rds: [
        `aws rds promote-read-replica --region ${region} --db-instance-identifier ${of.database.identifier}`,
        `--backup-retention-period ${platform.tier.database.backupRetentionDays}`,
      ],
    };
  }
  const kept = [parameters.dbPromotion, ...(takesWrites(platform, of) ? [parameters.crossRegionCopies] : [])];
  const stack = stackName(platform, region, 'data');
  return {
    region,
    by: 'stack',
    cloudFormation: [
      `aws cloudformation update-stack --region ${region} --stack-name ${stack}`,
      '--use-previous-template --disable-rollback --parameters',
      `ParameterKey=${parameters.regionRole},ParameterValue=primary`,
      ...kept.map((name) => `ParameterKey=${name},UsePreviousValue=true`),
    ],
    cdk: [`npx cdk deploy ${stack} --exclusively --no-rollback`, `--parameters ${parameters.regionRole}=primary`],
  };
}
