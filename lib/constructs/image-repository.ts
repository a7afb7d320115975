import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { Construct } from 'constructs';
import type { BucketPlace } from '../platform/names.ts';

export interface ImageRepositoryProps {
  readonly name: string;
  /** Registries that get every image that is pushed here. */
  readonly destinations: readonly BucketPlace[];
}

/**
 * The region's own copy of the gateway's image: a region that starts a pod must not need another region's registry.
 * Whoever pushes to any region reaches all; copies are not copied on, so nothing goes in circles.
 */
export class ImageRepository extends Construct {
  constructor(scope: Construct, id: string, props: ImageRepositoryProps) {
    super(scope, id);
    new ecr.Repository(this, 'Repository', {
      repositoryName: props.name,
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      imageScanOnPush: true,
      encryption: ecr.RepositoryEncryption.AES_256,
      // Manifests name digests; a digest that is still running must not expire, so only what lost its tag goes.
      lifecycleRules: [{ tagStatus: ecr.TagStatus.UNTAGGED, maxImageAge: Duration.days(90) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    if (props.destinations.length === 0) return;
    // There is one such configuration for each account and region; platforms that share an account must share it.
    new ecr.CfnReplicationConfiguration(this, 'Copies', {
      replicationConfiguration: {
        rules: [
          {
            destinations: props.destinations.map(({ region, account }) => ({ region, registryId: account })),
            repositoryFilters: [{ filter: props.name, filterType: 'PREFIX_MATCH' }],
          },
        ],
      },
    });
  }
}
