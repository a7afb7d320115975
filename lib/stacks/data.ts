import { Arn, ArnFormat, CfnOutput } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as rds from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { CopiesParameter } from '../constructs/copies-parameter.ts';
import { CrossRegionReplica } from '../constructs/cross-region-replica.ts';
import type { BackupCopies } from '../constructs/database-instance.ts';
import { DatabaseSecret } from '../constructs/database-secret.ts';
import { DatabaseSurroundings } from '../constructs/database-surroundings.ts';
import { OriginDatabase } from '../constructs/origin-database.ts';
import { ReadReplica } from '../constructs/read-replica.ts';
import { RoleParameters } from '../constructs/role-parameters.ts';
import { takesWrites } from '../platform/lineage.ts';
import {
  databaseArn,
  databaseIdentifier,
  databaseSecretName,
  outputs,
  prefix,
  readReplicaIdentifier,
  storageKeyAlias,
} from '../platform/names.ts';
import { backupPlace } from '../platform/places.ts';
import type { DatabaseRef } from '../platform/platform.ts';
import type { OwnDatabase } from '../platform/spec.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

/** What other stacks need of a region's database: of ours, or of one that was brought along, which has no stack. */
export type RegionDatabase = Pick<OwnDatabase, 'securityGroupId' | 'subnetGroupName'>;

export interface DataStackProps extends RegionalProps {
  readonly vpc: ec2.IVpc;
}

/**
 * The region's database and nothing else, so that a promotion touches nothing else. Whether the database is the origin
 * or a replica is decided by the configuration; the `RegionRole` parameter only promotes. It holds no IAM resource: the
 * IAM control plane sits in one region, and a promotion must not wait for it.
 */
export class DataStack extends RegionalStack implements RegionDatabase {
  readonly key: kms.Key;
  readonly securityGroupId: string;
  readonly subnetGroupName: string;
  private readonly surroundings: DatabaseSurroundings;
  private readonly backupCopies: BackupCopies | undefined;

  constructor(scope: Construct, props: DataStackProps) {
    super(scope, 'data', props);
    const { platform, region } = props;
    const identifier = databaseIdentifier(platform, region);
    const source = region.databaseSource;
    // Reads are spread where writes are, also after a failover and back; in peace, since a promotion changes the source alone.
    const readReplicas = takesWrites(platform, region)
      ? Array.from({ length: platform.tier.database.inRegionReadReplicas }, (_, index) =>
          readReplicaIdentifier(platform, region, index + 1),
        )
      : [];
    const parameters = new RoleParameters(this, 'Role', { replica: source !== undefined });
    this.surroundings = new DatabaseSurroundings(this, 'Surroundings', {
      prefix: prefix(platform),
      vpc: props.vpc,
      identifiers: [identifier, ...readReplicas],
    });
    this.backupCopies = takesWrites(platform, region) ? this.copies(props) : undefined;
    this.key = this.surroundings.key;
    this.admitVault(platform.isolatedVaultArns[region.region]);
    this.subnetGroupName = this.surroundings.subnetGroup.ref;
    this.securityGroupId = this.surroundings.securityGroup.securityGroupId;
    const database = source === undefined ? this.origin(props) : this.replica(props, source, parameters);
    for (const [index, name] of readReplicas.entries()) this.readReplica(props, database, name, index);
    new CfnOutput(this, outputs.databaseIdentifier, { value: identifier });
    new CfnOutput(this, outputs.databaseEndpoint, { value: database.attrEndpointAddress });
  }

  /** AWS Backup there reads what this key encrypts, and encrypts it with its own. */
  private admitVault(vaultArn: string | undefined): void {
    if (vaultArn === undefined) return;
    const principals = [new iam.AccountPrincipal(Arn.split(vaultArn, ArnFormat.COLON_RESOURCE_NAME).account)];
    const using = ['kms:Decrypt', 'kms:DescribeKey', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'];
    this.key.addToResourcePolicy(new iam.PolicyStatement({ principals, actions: using, resources: ['*'] }));
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals,
        actions: ['kms:CreateGrant'],
        resources: ['*'],
        conditions: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
      }),
    );
  }

  private origin({ platform, region }: DataStackProps): rds.CfnDBInstance {
    const secret = new DatabaseSecret(this, 'Credentials', {
      name: databaseSecretName(platform),
      encryptionKey: this.key,
      replicaRegions: platform.regions.filter((other) => other !== region).map((other) => other.region),
    });
    new CfnOutput(this, outputs.databaseSecretArn, { value: secret.secret.secretArn });
    return new OriginDatabase(this, 'Database1', {
      identifier: databaseIdentifier(platform, region),
      tier: platform.tier,
      instanceClass: region.databaseInstanceClass,
      surroundings: this.surroundings,
      secret,
      ...this.copied,
    });
  }

  private get copied(): { backupCopies?: BackupCopies } {
    return this.backupCopies === undefined ? {} : { backupCopies: this.backupCopies };
  }

  /** Replicas need no copies: the database that they follow has them. */
  private copies({ platform, region }: DataStackProps): BackupCopies | undefined {
    const place = backupPlace(platform, region);
    if (place === undefined) return undefined;
    return {
      region: place.region,
      keyArn: `arn:aws:kms:${place.region}:${place.account}:alias/${storageKeyAlias(platform)}`,
      when: new CopiesParameter(this, 'Copies', { initially: 'on' }).copies,
    };
  }

  private replica(
    { platform, region }: DataStackProps,
    source: DatabaseRef,
    parameters: RoleParameters,
  ): rds.CfnDBInstance {
    return new CrossRegionReplica(this, `Database${region.databaseGeneration}`, {
      identifier: databaseIdentifier(platform, region),
      tier: platform.tier,
      instanceClass: region.databaseInstanceClass,
      surroundings: this.surroundings,
      // Once others follow it, it is the database that takes writes, and in peace it is made as safe as the first one was.
      multiAz: platform.tier.database.replicaMultiAz || takesWrites(platform, region),
      ...this.copied,
      sourceArn: databaseArn(platform, source),
      sourceRegion: source.region,
      parameters,
    });
  }

  private readReplica(
    { platform, region }: DataStackProps,
    source: rds.CfnDBInstance,
    identifier: string,
    index: number,
  ): void {
    // Those of the next generation are others; the first keep the name that they have always had.
    const generation = region.databaseGeneration === 1 ? '' : `Of${region.databaseGeneration}`;
    new ReadReplica(this, `ReadReplica${index + 1}${generation}`, {
      identifier,
      tier: platform.tier,
      instanceClass: region.databaseInstanceClass,
      surroundings: this.surroundings,
      source,
      availabilityZone: region.availabilityZones[index % region.availabilityZones.length] ?? '',
    });
  }
}
