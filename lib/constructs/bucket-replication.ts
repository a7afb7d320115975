import { Aws, type CfnCondition, CfnResource, Fn, Tags } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { type BucketPlace, replicationRuleId, tagKeys } from '../platform/names.ts';
import { acknowledge } from './acknowledge.ts';

/** AWS promises to have copied an object within this time, and tells when it has not. It knows no other number. */
const replicationMinutes = 15;

export interface BucketReplicationProps {
  readonly region: string;
  readonly key: kms.IKey;
  /** Alias of the key that encrypts the copies, the same in every region; without `alias/`. */
  readonly keyAlias: string;
  readonly buckets: readonly ReplicatedBucket[];
  readonly destinations: readonly BucketPlace[];
  /** Nothing is copied while this does not hold. */
  readonly when: CfnCondition;
}

export interface ReplicatedBucket {
  readonly bucket: s3.Bucket;
  readonly name: string;
  /** Name of its copy in another region. */
  readonly copyIn: (place: BucketPlace) => string;
}

/**
 * Copies buckets to other regions within a promised time. The other regions do the same: a copy is never copied on, so
 * nothing goes in circles. Deletions stay where they were made: what somebody deletes in one region is left in the others.
 */
export class BucketReplication extends Construct {
  constructor(scope: Construct, id: string, props: BucketReplicationProps) {
    super(scope, id);
    const role = this.role(props);
    for (const { bucket, copyIn } of props.buckets) {
      const configuration = {
        Role: role.roleArn,
        Rules: props.destinations.map((place, index) => rule(props, place, index, copyIn(place))),
      };
      const resource = bucket.node.defaultChild;
      if (resource === undefined || !CfnResource.isCfnResource(resource))
        throw new Error('the construct library hides the bucket’s resource');
      resource.addPropertyOverride('ReplicationConfiguration', {
        'Fn::If': [props.when.logicalId, configuration, { Ref: 'AWS::NoValue' }],
      });
      resource.node.addDependency(role);
      Tags.of(bucket).add(tagKeys.replicated, 'yes');
    }
  }

  private role(props: BucketReplicationProps): iam.Role {
    const role = new iam.Role(this, 'Role', {
      description: `Copies buckets of ${props.region} to other regions`,
      assumedBy: new iam.ServicePrincipal('s3.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    });
    const arn = (name: string): string => `arn:${Aws.PARTITION}:s3:::${name}`;
    const sources = props.buckets.map(({ name }) => arn(name));
    const copies = props.buckets.flatMap(({ copyIn }) => props.destinations.map((place) => arn(copyIn(place))));
    role.addToPolicy(
      new iam.PolicyStatement({ actions: ['s3:GetReplicationConfiguration', 's3:ListBucket'], resources: sources }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['s3:GetObjectVersionForReplication', 's3:GetObjectVersionAcl', 's3:GetObjectVersionTagging'],
        resources: sources.map((source) => `${source}/*`),
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['s3:ReplicateObject', 's3:ReplicateTags'],
        resources: copies.map((copy) => `${copy}/*`),
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['kms:Decrypt'],
        resources: [props.key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${props.region}.amazonaws.com` } },
      }),
    );
    for (const { region, account } of props.destinations) {
      role.addToPolicy(
        new iam.PolicyStatement({
          actions: ['kms:Encrypt', 'kms:GenerateDataKey'],
          // A key's id is not known here; its alias is.
          resources: [`arn:${Aws.PARTITION}:kms:${region}:${account}:key/*`],
          conditions: {
            StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` },
            'ForAnyValue:StringEquals': { 'kms:ResourceAliases': `alias/${props.keyAlias}` },
          },
        }),
      );
    }
    for (const { name, copyIn } of props.buckets) {
      for (const bucket of [name, ...props.destinations.map(copyIn)]) {
        acknowledge(
          role,
          `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::${bucket}/*]`,
          'Replication copies every object of the bucket that it is for.',
        );
      }
    }
    for (const { region, account } of props.destinations) {
      acknowledge(
        role,
        `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:kms:${region}:${account}:key/*]`,
        'A condition narrows it to the one key with the storage alias, and to calls by S3.',
      );
    }
    return role;
  }
}

const rule = ({ keyAlias }: BucketReplicationProps, place: BucketPlace, index: number, copy: string): object => ({
  Id: replicationRuleId(place),
  Priority: index + 1,
  Status: 'Enabled',
  // A filter, even an empty one, is what allows several destinations.
  Filter: { Prefix: '' },
  DeleteMarkerReplication: { Status: 'Disabled' },
  SourceSelectionCriteria: { SseKmsEncryptedObjects: { Status: 'Enabled' } },
  Destination: {
    Bucket: Fn.join('', ['arn:', Aws.PARTITION, `:s3:::${copy}`]),
    EncryptionConfiguration: {
      ReplicaKmsKeyID: Fn.join('', ['arn:', Aws.PARTITION, `:kms:${place.region}:${place.account}:alias/${keyAlias}`]),
    },
    ReplicationTime: { Status: 'Enabled', Time: { Minutes: replicationMinutes } },
    Metrics: { Status: 'Enabled', EventThreshold: { Minutes: replicationMinutes } },
  },
});
