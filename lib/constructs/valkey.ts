import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { ports } from '../platform/names.ts';
import type { Tier } from '../platform/tiers.ts';
import { versions } from '../platform/versions.ts';
import { acknowledge } from './acknowledge.ts';
import { CustomerKey } from './customer-key.ts';

export interface ValkeyProps {
  readonly name: string;
  readonly secretName: string;
  readonly keyAlias: string;
  readonly vpc: ec2.IVpc;
  readonly nodeType: string;
  readonly tier: Tier;
  /** Regions that hold a copy of the password, because they hold a copy of the cache. */
  readonly passwordCopies?: readonly string[];
  /** Id of the Global Datastore that it follows; it is one of its own if not given. */
  readonly follows?: string;
}

/**
 * A Valkey replication group over the zones that fails over by itself. It holds nothing that cannot be derived again, so
 * it takes no snapshots and shares nothing with other regions, unless the configuration asks for one cache over all.
 */
export class Valkey extends Construct {
  readonly group: elasticache.CfnReplicationGroup;
  readonly securityGroup: ec2.SecurityGroup;
  readonly key: CustomerKey;

  constructor(scope: Construct, id: string, props: ValkeyProps) {
    super(scope, id);
    this.key = new CustomerKey(this, 'Key', { alias: props.keyAlias, description: 'Cache at rest and its password' });
    this.securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Valkey; the cluster stack admits its nodes',
      allowAllOutbound: false,
    });
    const subnets = new elasticache.CfnSubnetGroup(this, 'Subnets', {
      description: 'Isolated subnets, one in each zone',
      subnetIds: props.vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_ISOLATED }).subnetIds,
    });
    this.group = new elasticache.CfnReplicationGroup(this, 'Group', {
      replicationGroupId: props.name,
      replicationGroupDescription: 'Shared counters, cooldowns and cached answers of this region',
      ...(props.follows === undefined ? this.asItself(props) : { globalReplicationGroupId: props.follows }),
      replicasPerNodeGroup: props.tier.cache.replicas,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      autoMinorVersionUpgrade: true,
      preferredMaintenanceWindow: 'sun:06:00-sun:07:00',
      port: ports.valkey,
      cacheSubnetGroupName: subnets.ref,
      securityGroupIds: [this.securityGroup.securityGroupId],
      kmsKeyId: this.key.keyArn,
      logDeliveryConfigurations: [this.slowLog()],
    });
    if (props.follows !== undefined) this.acknowledgeInheritance();
    acknowledge(
      this.group,
      'AwsSolutions-AEC5',
      'The engine’s own port: isolated subnets and a security group for the cluster’s nodes keep others out, an unusual port would not.',
    );
  }

  private acknowledgeInheritance(): void {
    for (const rule of ['AwsSolutions-AEC3', 'AwsSolutions-AEC6']) {
      acknowledge(
        this.group,
        rule,
        'It follows a Global Datastore, and has encryption and password from there; AWS refuses to be told twice.',
      );
    }
  }

  /** What one that follows another has from it: AWS refuses to be told twice. */
  private asItself(props: ValkeyProps): Partial<elasticache.CfnReplicationGroupProps> {
    const parameters = new elasticache.CfnParameterGroup(this, 'Parameters', {
      cacheParameterGroupFamily: `valkey${versions.valkey.major}`,
      description: 'Holdfast: evict what expires, close what is idle',
      // Counters without an end stay; cached answers, which expire, make room.
      properties: { 'maxmemory-policy': 'volatile-lru', timeout: '300', 'tcp-keepalive': '60' },
    });
    return {
      engine: 'valkey',
      engineVersion: versions.valkey.full,
      cacheNodeType: props.nodeType,
      numNodeGroups: 1,
      cacheParameterGroupName: parameters.ref,
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      authToken: this.password(props),
    };
  }

  private password({ secretName: name, passwordCopies = [] }: ValkeyProps): string {
    const secret = new secretsmanager.Secret(this, 'Password', {
      secretName: name,
      description: 'Password of this region’s cache',
      encryptionKey: this.key,
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
      replicaRegions: passwordCopies.map((region) => ({ region })),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(
      secret,
      'AwsSolutions-SMG4',
      'Rotated by runbook: ElastiCache takes a second token beside the first, and gateways must have read it before the first one goes.',
    );
    return secret.secretValue.unsafeUnwrap();
  }

  /** Makes it the one that the caches of other regions follow. @returns the Global Datastore's id */
  lead(region: string, suffix: string): string {
    const global = new elasticache.CfnGlobalReplicationGroup(this, 'Global', {
      globalReplicationGroupIdSuffix: suffix,
      globalReplicationGroupDescription: 'Shared counters, cooldowns and cached answers of all regions',
      // After a failover another one is PRIMARY; this stays as it was written, and is then no change.
      members: [{ replicationGroupId: this.group.ref, replicationGroupRegion: region, role: 'PRIMARY' }],
    });
    return global.attrGlobalReplicationGroupId;
  }

  private slowLog(): elasticache.CfnReplicationGroup.LogDeliveryConfigurationRequestProperty {
    const logGroup = new logs.LogGroup(this, 'SlowLog', {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    return {
      destinationType: 'cloudwatch-logs',
      destinationDetails: { cloudWatchLogsDetails: { logGroup: logGroup.logGroupName } },
      logFormat: 'json',
      logType: 'slow-log',
    };
  }
}
