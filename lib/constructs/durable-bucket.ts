import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

export interface DurableBucketProps {
  readonly name: string;
  readonly key: kms.IKey;
  /** Who asked for what is written there. */
  readonly accessLogs: s3.IBucket;
  /** What expires; versions that were replaced or deleted stay for `keepVersionsDays` in any case. */
  readonly expiry?: readonly { readonly prefix: string; readonly days: number }[];
  readonly keepVersionsDays: number;
}

/** A private bucket that keeps what is overwritten or deleted for a while, and outlives its stack. */
export class DurableBucket extends s3.Bucket {
  constructor(scope: Construct, id: string, props: DurableBucketProps) {
    super(scope, id, {
      bucketName: props.name,
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: props.key,
      // One call of KMS for many objects, instead of one each: its quota is shared by the whole region.
      bucketKeyEnabled: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      serverAccessLogsBucket: props.accessLogs,
      serverAccessLogsPrefix: `${props.name}/`,
      lifecycleRules: [
        {
          id: 'replaced-versions',
          noncurrentVersionExpiration: Duration.days(props.keepVersionsDays),
          abortIncompleteMultipartUploadAfter: Duration.days(7),
          expiredObjectDeleteMarker: true,
        },
        ...(props.expiry ?? []).map(({ prefix, days }) => ({
          id: `expire-${prefix.replace(/\W+$/, '') || 'all'}`,
          ...(prefix !== '' && { prefix }),
          expiration: Duration.days(days),
        })),
      ],
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
