import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { BackupVault } from '../constructs/backup-vault.ts';
import { RegionStorage } from '../constructs/region-storage.ts';
import { backupKeyAlias, backupVaultName, replicatedBuckets, satelliteStackName } from '../platform/names.ts';
import type { Platform, Satellite } from '../platform/platform.ts';
import { copiesKeptDays } from '../platform/tiers.ts';
import { stackSettings } from './stack-settings.ts';

/** What stands in a region that serves nobody: a third of the claim, or the copies of a single region's data. */
export class SatelliteStack extends Stack {
  constructor(scope: Construct, platform: Platform, satellite: Satellite) {
    const settings = stackSettings(platform, satellite, `claim and copies in ${satellite.region}`);
    super(scope, satelliteStackName(platform, satellite.region), settings);
    new RegionStorage(this, 'Storage', {
      platform,
      place: satellite,
      ...(satellite.account !== platform.primary.account && { usedBy: platform.primary.account }),
      kinds: [...(satellite.copies ? replicatedBuckets : []), ...(satellite.witness ? (['claim'] as const) : [])],
    });
    if (!satellite.copies) return;
    new BackupVault(this, 'Vault', {
      name: backupVaultName(platform),
      keyAlias: backupKeyAlias(platform),
      keepDaysAtLeast: copiesKeptDays.atLeast,
    });
  }
}
