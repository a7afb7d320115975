import { describe, expect, test } from 'vitest';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { spec } from './specs.ts';
import { resourcesOf, synthesize } from './synthesize.ts';

const withSizes = (sizes: Partial<PlatformSpec['regions'][number]>): PlatformSpec =>
  spec({ regions: spec().regions.map((region, index) => (index === 1 ? { ...region, ...sizes } : region)) });

describe('a region with sizes of its own', () => {
  const sizes = { databaseInstanceClass: 'db.r6g.4xlarge', cacheNodeType: 'cache.r7g.2xlarge' };
  const { stacks } = synthesize(definePlatform(withSizes(sizes)));
  const sizesOf = (type: string, property: string): Record<string, unknown[]> =>
    Object.fromEntries(
      spec().regions.map(({ region }) => [
        region,
        resourcesOf(stacks, type)
          .filter(({ stack }) => stack.region === region)
          .map(({ Properties }) => Properties[property]),
      ]),
    );

  test('has them, and the others have those of the tier', () => {
    expect(sizesOf('AWS::RDS::DBInstance', 'DBInstanceClass')).toEqual({
      'us-east-1': ['db.r6g.large', 'db.r6g.large'],
      'us-west-2': ['db.r6g.4xlarge'],
      'eu-west-1': ['db.r6g.large'],
    });
    expect(sizesOf('AWS::ElastiCache::ReplicationGroup', 'CacheNodeType')).toEqual({
      'us-east-1': ['cache.r7g.large'],
      'us-west-2': ['cache.r7g.2xlarge'],
      'eu-west-1': ['cache.r7g.large'],
    });
  });

  test('is told of each name that is none', () => {
    const wrong = { databaseInstanceClass: 'r6g.large', cacheNodeType: 'db.r7g.large' };
    expect(() => definePlatform(withSizes(wrong))).toThrow(
      /regions\[1\]\.databaseInstanceClass: "r6g\.large"[^]*regions\[1\]\.cacheNodeType: "db\.r7g\.large"/,
    );
  });
});
