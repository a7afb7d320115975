/** Our own rules of high availability, in the language of CloudFormation Guard: they hold for every template, whoever wrote it. */
import type { Platform } from '../platform/platform.ts';

/** One rule: what it looks at, what must hold, and what to say when it does not. */
interface GuardRule {
  readonly name: string;
  readonly type: string;
  /** Condition on a resource beside its type, in Guard. */
  readonly where?: string;
  readonly must: readonly string[];
  readonly because: string;
}

const rules = ({ tier }: Platform): GuardRule[] => [
  {
    name: 'HOLDFAST_DATABASE_PRIVATE',
    type: 'AWS::RDS::DBInstance',
    must: ['Properties.PubliclyAccessible == false'],
    because: 'No database answers the internet',
  },
  {
    name: 'HOLDFAST_DATABASE_DELETION_PROTECTION',
    type: 'AWS::RDS::DBInstance',
    must: ['Properties.DeletionProtection == true', "DeletionPolicy == 'Retain'", "UpdateReplacePolicy == 'Retain'"],
    because: 'No database goes by mistake, nor with its stack',
  },
  {
    name: 'HOLDFAST_DATABASE_MULTI_AZ',
    type: 'AWS::RDS::DBInstance',
    where: 'Properties.Engine exists',
    must: ['Properties.MultiAZ == true'],
    because: 'The database that takes writes survives the loss of a zone',
  },
  {
    name: 'HOLDFAST_DATABASE_BACKUPS',
    type: 'AWS::RDS::DBInstance',
    where: 'Properties.SourceRegion exists or Properties.Engine exists',
    must: [`Properties.BackupRetentionPeriod >= ${tier.database.backupRetentionDays}`],
    because: `Tier ${tier.name} restores to any moment of ${tier.database.backupRetentionDays} days`,
  },
  {
    name: 'HOLDFAST_DATABASE_TLS',
    type: 'AWS::RDS::DBParameterGroup',
    must: ["Properties.Parameters['rds.force_ssl'] == '1'"],
    because: 'The database takes TLS only',
  },
  {
    name: 'HOLDFAST_CACHE_FAILOVER',
    type: 'AWS::ElastiCache::ReplicationGroup',
    must: ['Properties.AutomaticFailoverEnabled == true', 'Properties.MultiAZEnabled == true'],
    because: 'The cache fails over by itself',
  },
  {
    name: 'HOLDFAST_CACHE_TLS',
    type: 'AWS::ElastiCache::ReplicationGroup',
    // One that follows a Global Datastore has it from there.
    where: 'Properties.GlobalReplicationGroupId !exists',
    must: ['Properties.TransitEncryptionEnabled == true'],
    because: 'The cache takes TLS only',
  },
  {
    name: 'HOLDFAST_LISTENER_TLS',
    type: 'AWS::ElasticLoadBalancingV2::Listener',
    must: ["Properties.Protocol in ['HTTPS', 'TLS', 'TCP']"],
    because: 'Clients speak TLS only; TCP passes it on',
  },
  {
    name: 'HOLDFAST_BUCKET_VERSIONS',
    type: 'AWS::S3::Bucket',
    where: 'Properties.ReplicationConfiguration exists',
    must: ["Properties.VersioningConfiguration.Status == 'Enabled'"],
    because: 'What is replicated keeps its versions',
  },
];

/** All rules as one Guard file. */
export function guardRules(platform: Platform): string {
  return [
    ...rules(platform).map(render),
    `let nats = Resources.*[ Type == 'AWS::EC2::NatGateway' ]`,
    `let natCount = count(%nats)`,
    // CDK tags the subnets that it makes, and makes one of a kind for each zone.
    `let leaving = Resources.*[ Type == 'AWS::EC2::Subnet'`,
    `  some Properties.Tags[*] { Key == 'aws-cdk:subnet-type'`,
    `    Value == 'Private' } ]`,
    `let zoneCount = count(%leaving)`,
    `rule HOLDFAST_NAT_PER_ZONE when %nats !empty {`,
    `  %natCount >= ${platform.tier.zones} <<Every zone leaves by a NAT gateway of its own>>`,
    `  %natCount >= %zoneCount <<Every zone leaves by a NAT gateway of its own>>`,
    `}`,
  ].join('\n');
}

function render({ name, type, where, must, because }: GuardRule): string {
  const variable = name.toLowerCase();
  return [
    `let ${variable} = Resources.*[ Type == '${type}'${where === undefined ? '' : `\n  ${where}`} ]`,
    `rule ${name} when %${variable} !empty {`,
    ...must.map((clause) => `  %${variable}.${clause} <<${because}>>`),
    `}`,
  ].join('\n');
}
