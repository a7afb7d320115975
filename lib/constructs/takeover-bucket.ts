import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { objectKeys } from '../platform/names.ts';
import { acknowledge } from './acknowledge.ts';

/**
 * Holds one object, which says that this region takes the traffic over. Health checks come without credentials, so that
 * one object may be read by anyone; it says nothing that a DNS answer does not say. Nothing else may be in this bucket.
 */
export class TakeoverBucket extends s3.Bucket {
  constructor(scope: Construct, id: string, props: { readonly name: string; readonly accessLogs: s3.IBucket }) {
    super(scope, id, {
      bucketName: props.name,
      // A key of our own would have to be usable by everyone who may read.
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: new s3.BlockPublicAccess({
        blockPublicAcls: true,
        ignorePublicAcls: true,
        blockPublicPolicy: false,
        restrictPublicBuckets: false,
      }),
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      serverAccessLogsBucket: props.accessLogs,
      serverAccessLogsPrefix: `${props.name}/`,
      lifecycleRules: [{ id: 'replaced-versions', noncurrentVersionExpiration: Duration.days(90) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.AnyPrincipal()],
        actions: ['s3:GetObject'],
        resources: [this.arnForObjects(objectKeys.takeover)],
      }),
    );
    acknowledge(
      this,
      'AwsSolutions-S2',
      'Route 53 reads the takeover object without credentials. The policy opens that one key and no listing; access lists stay blocked.',
    );
  }
}
