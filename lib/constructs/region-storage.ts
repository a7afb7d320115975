import type { CfnCondition } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import {
  type BucketKind,
  type BucketPlace,
  bucketName,
  replicatedBuckets,
  storageKeyAlias,
} from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';
import { AccessLogBucket } from './access-log-bucket.ts';
import { BucketReplication } from './bucket-replication.ts';
import { CustomerKey } from './customer-key.ts';
import { DurableBucket } from './durable-bucket.ts';

export interface RegionStorageProps {
  readonly platform: Platform;
  readonly place: BucketPlace;
  /** Which buckets; `logs` comes along. */
  readonly kinds: readonly Exclude<BucketKind, 'takeover' | 'logs' | 'canary'>[];
  /** Another account, whose pods and operators use these buckets as far as their own policies let them. */
  readonly usedBy?: string;
  /** Where the buckets are copied to, while the condition holds. */
  readonly copies?: { readonly destinations: readonly BucketPlace[]; readonly when: CfnCondition };
}

/** The buckets of a region, with their key and their copies elsewhere. */
export class RegionStorage extends Construct {
  readonly key: CustomerKey;
  readonly logs: AccessLogBucket;
  readonly buckets = new Map<BucketKind, s3.Bucket>();

  constructor(scope: Construct, id: string, props: RegionStorageProps) {
    super(scope, id);
    const { platform, place, copies } = props;
    this.key = new CustomerKey(this, 'Key', {
      alias: storageKeyAlias(platform),
      description: 'Buckets of this region, and copies of other regions’ backups',
    });
    this.logs = new AccessLogBucket(this, 'logs', bucketName(platform, place, 'logs'));
    for (const kind of props.kinds) {
      const bucket = new DurableBucket(this, kind, {
        name: bucketName(platform, place, kind),
        key: this.key,
        accessLogs: this.logs,
        expiry: expiryOf(kind, platform),
        // The claim is written every few seconds; a day of it tells what happened.
        keepVersionsDays: kind === 'claim' ? 1 : 30,
      });
      this.buckets.set(kind, bucket);
    }
    if (props.usedBy !== undefined) this.admit(props.usedBy, place);
    if (copies === undefined || copies.destinations.length === 0) return;
    new BucketReplication(this, 'Replication', {
      region: place.region,
      key: this.key,
      keyAlias: storageKeyAlias(platform),
      destinations: copies.destinations,
      when: copies.when,
      buckets: replicatedBuckets.flatMap((kind) => {
        const bucket = this.buckets.get(kind);
        if (bucket === undefined) return [];
        const copyIn = (other: BucketPlace): string => bucketName(platform, other, kind);
        return [{ bucket, name: copyIn(place), copyIn }];
      }),
    });
  }

  /** Between accounts both sides have to agree: this is the bucket's side, roles and their objects are the other's. */
  private admit(account: string, { region }: BucketPlace): void {
    const principals = [new iam.AccountPrincipal(account)];
    for (const bucket of this.buckets.values()) {
      bucket.addToResourcePolicy(
        new iam.PolicyStatement({
          principals,
          actions: ['s3:GetObject', 's3:PutObject'],
          resources: [bucket.arnForObjects('*')],
        }),
      );
      // What is missing is only told to who may list.
      bucket.addToResourcePolicy(
        new iam.PolicyStatement({ principals, actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }),
      );
    }
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals,
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` } },
      }),
    );
  }
}

/** A year and a quarter: what happened in a run is asked for at the next yearly review, at the latest. */
const journalDays = 460;

/**
 * What expires in a bucket; the others keep everything. Not backups: their names come round again, so their number is
 * bounded, and a rule by age would take the last good one away while new ones fail. What was replaced goes as a version.
 */
function expiryOf(kind: BucketKind, { tier }: Platform): { prefix: string; days: number }[] {
  // A database restored from its oldest backup needs every segment since.
  if (kind === 'outbox') return [{ prefix: '', days: Math.max(30, tier.database.backupRetentionDays) + 7 }];
  return kind === 'journal' ? [{ prefix: '', days: journalDays }] : [];
}
