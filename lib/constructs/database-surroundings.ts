import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { versions } from '../platform/versions.ts';
import { acknowledge } from './acknowledge.ts';
import { CustomerKey } from './customer-key.ts';

export interface DatabaseSurroundingsProps {
  /** Prefix for what needs a name, for example `holdfast-production`. */
  readonly prefix: string;
  readonly vpc: ec2.IVpc;
  /** Identifiers of the databases whose logs are kept; RDS makes the log groups by these names. */
  readonly identifiers: readonly string[];
}

/** Log exports of every database. */
export const exportedLogs = ['postgresql', 'upgrade'] as const;

/**
 * What a database stands in, the same in each region: key, isolated subnets, security group, parameters, log groups.
 * A standby has it all from the start, so that promotion changes nothing but the replication source.
 */
export class DatabaseSurroundings extends Construct {
  readonly key: kms.Key;
  readonly subnetGroup: rds.CfnDBSubnetGroup;
  readonly securityGroup: ec2.SecurityGroup;
  readonly parameterGroup: rds.CfnDBParameterGroup;

  constructor(scope: Construct, id: string, props: DatabaseSurroundingsProps) {
    super(scope, id);
    this.key = new CustomerKey(this, 'Key', {
      alias: `${props.prefix}/database`,
      description: 'Database storage, backups, insights and credentials',
    });
    this.subnetGroup = new rds.CfnDBSubnetGroup(this, 'Subnets', {
      dbSubnetGroupDescription: 'Isolated subnets, one in each zone',
      subnetIds: props.vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_ISOLATED }).subnetIds,
    });
    this.securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'PostgreSQL; the cluster stack admits its nodes',
      allowAllOutbound: false,
    });
    this.parameterGroup = new rds.CfnDBParameterGroup(this, 'Parameters', {
      family: `postgres${versions.postgres.major}`,
      description: 'Holdfast: TLS only, no forgotten transactions, slow statements logged',
      parameters: databaseParameters,
    });
    for (const [index, identifier] of props.identifiers.entries()) {
      for (const log of exportedLogs) {
        new logs.LogGroup(this, `Log${index + 1}-${log}`, {
          logGroupName: `/aws/rds/instance/${identifier}/${log}`,
          retention: logs.RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.RETAIN,
        });
      }
    }
  }
}

const databaseParameters: Record<string, string> = {
  'rds.force_ssl': '1',
  shared_preload_libraries: 'pg_stat_statements',
  track_io_timing: '1',
  // Milliseconds. A session that holds a transaction open stops vacuum here and, by feedback, on every replica.
  idle_in_transaction_session_timeout: '60000',
  log_min_duration_statement: '1000',
  log_lock_waits: '1',
  // A replica answers reads of the gateways: long ones wait, instead of being cancelled by replay.
  hot_standby_feedback: '1',
  max_standby_streaming_delay: '30000',
};

/** Findings that hold for every database instance here. */
export function acknowledgeDatabaseFindings(instance: rds.CfnDBInstance): void {
  acknowledge(
    instance,
    'AwsSolutions-RDS11',
    'The engine’s own port: isolated subnets and a security group for the cluster’s nodes keep others out, an unusual port would not.',
  );
}
