import type { Construct } from 'constructs';
import { BackupRole, BackupSchedule, RestoreTest } from '../constructs/backup-schedule.ts';
import { BackupVault } from '../constructs/backup-vault.ts';
import { takesWrites } from '../platform/lineage.ts';
import { backupKeyAlias, backupVaultArn, backupVaultName, databaseArn, prefix } from '../platform/names.ts';
import { backupPlace } from '../platform/places.ts';
import { copiesKeptDays } from '../platform/tiers.ts';
import type { RegionDatabase } from './data.ts';
import type { MonitoringStack } from './monitoring.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface BackupStackProps extends RegionalProps {
  readonly data: RegionDatabase;
  readonly monitoring: MonitoringStack;
}

/**
 * Backups that outlive the database, its region and, with a vault elsewhere, its account. Only the database that takes writes is backed
 * up: a replica has the same content, and one that is being backed up cannot be promoted.
 */
export class BackupStack extends RegionalStack {
  constructor(scope: Construct, props: BackupStackProps) {
    super(scope, 'backup', props);
    const { platform, region, data } = props;
    const vault = new BackupVault(this, 'Vault', {
      name: backupVaultName(platform),
      keyAlias: backupKeyAlias(platform),
      keepDaysAtLeast: copiesKeptDays.atLeast,
      topic: props.monitoring.critical,
    });
    const role = new BackupRole(this, 'Role', region.region);
    if (takesWrites(platform, region)) {
      const place = backupPlace(platform, region);
      const isolated = platform.isolatedVaultArns[region.region];
      new BackupSchedule(this, 'Schedule', {
        name: prefix(platform),
        vault,
        resourceArns: [databaseArn(platform, region)],
        copyTo: {
          ...(place !== undefined && { Copy: backupVaultArn(platform, place) }),
          ...(isolated !== undefined && { Isolated: isolated }),
        },
        role,
      });
    }
    const test = new RestoreTest(this, 'RestoreTest', {
      name: prefix(platform).replaceAll('-', '_'),
      vaultName: backupVaultName(platform),
      role,
      subnetGroupName: data.subnetGroupName,
      securityGroupId: data.securityGroupId,
    });
    test.node.addDependency(vault);
  }
}
