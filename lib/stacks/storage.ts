import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { CopiesParameter } from '../constructs/copies-parameter.ts';
import { ImageRepository } from '../constructs/image-repository.ts';
import { RegionStorage } from '../constructs/region-storage.ts';
import { TakeoverBucket } from '../constructs/takeover-bucket.ts';
import { VaultKey } from '../constructs/vault-key.ts';
import { bucketName, replicatedBuckets, repositoryName, vaultKeyAlias } from '../platform/names.ts';
import { copyPlaces } from '../platform/places.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

/**
 * The region's objects: configuration, backups, archive, journals, claim, takeover; and its copy of the images. It comes
 * first, since other regions' copies arrive here.
 */
export class StorageStack extends RegionalStack {
  readonly key: kms.Key;
  readonly logs: s3.Bucket;

  constructor(scope: Construct, props: RegionalProps) {
    super(scope, 'storage', props);
    const { platform, region } = props;
    const destinations = copyPlaces(platform, region);
    const storage = new RegionStorage(this, 'Storage', {
      platform,
      place: region,
      kinds: [...replicatedBuckets, ...(platform.claimRegions.includes(region.region) ? (['claim'] as const) : [])],
      // Two regions need each other's buckets, so neither can begin with copies.
      copies: { destinations, when: new CopiesParameter(this, 'Copies', { initially: 'off' }).copies },
    });
    this.key = storage.key;
    this.logs = storage.logs;
    if (platform.topology !== 'single-region') {
      new TakeoverBucket(this, 'takeover', {
        name: bucketName(platform, region, 'takeover'),
        accessLogs: storage.logs,
      });
    }
    if (platform.cluster.addons.includes('vault')) {
      new VaultKey(this, 'Vault', {
        alias: vaultKeyAlias(platform),
        origin: region === platform.primary,
        account: region.account,
      });
    }
    new ImageRepository(this, 'Images', { name: repositoryName(platform), destinations });
  }
}
