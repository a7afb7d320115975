/** Opens what a book acts upon, from the variables of the operator's shell. */
import type { Platform } from '../../lib/platform/platform.ts';
import { type AwsWorld, awsBooks, awsWorld, type BucketIn } from '../../runbooks/aws/aws-world.ts';
import type { World } from '../../runbooks/books/world.ts';
import { type OpenedWorld, UsageError, type WorldName } from './host.ts';

/** @throws UsageError that names every variable that is missing. */
export function openWorld(name: WorldName, platform: Platform): OpenedWorld {
  if (name === 'lab') {
    throw new UsageError(
      'The lab lives as long as its drill: npx holdfast drill starts it, runs the book and measures',
    );
  }
  const claims = bucketsOf('HOLDFAST_CLAIM_BUCKETS');
  const takeovers = bucketsOf('HOLDFAST_TAKEOVER_BUCKETS');
  const key = process.env['HOLDFAST_KEY'] ?? process.env['LITELLM_MASTER_KEY'];
  const faults = [
    ...(claims.length === 0 ? ['HOLDFAST_CLAIM_BUCKETS: name the buckets of the claim, bucket@region,...'] : []),
    ...(takeovers.length === 0
      ? ['HOLDFAST_TAKEOVER_BUCKETS: name one in each standby region, bucket@region,...']
      : []),
    ...(key === undefined ? ["HOLDFAST_KEY: set an administrator's key, for the verification"] : []),
    ...platform.regions.flatMap(({ region }) =>
      process.env[databaseVariable(region)] === undefined
        ? [`${databaseVariable(region)}: say how the database of ${region} is reached from here, postgresql://...`]
        : [],
    ),
  ];
  if (faults.length > 0 || key === undefined) {
    throw new UsageError(`The AWS world needs:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
  const world = awsWorld({
    platform,
    claims,
    takeovers,
    key,
    databaseUrl: (region) => process.env[databaseVariable(region)] ?? '',
  });
  return { world: withoutTheRest(world), books: awsBooks, close: () => world.close() };
}

const databaseVariable = (region: string): string =>
  `HOLDFAST_DATABASE_URL_${region.toUpperCase().replaceAll('-', '_')}`;

export function bucketsOf(variable: string): readonly BucketIn[] {
  return (process.env[variable] ?? '')
    .split(',')
    .filter((word) => word !== '')
    .map((word) => {
      const [bucket = '', region = ''] = word.split('@');
      if (bucket === '' || region === '') throw new UsageError(`${variable}: "${word}" is not bucket@region`);
      return { bucket, region };
    });
}

/** Books that need more are refused by name before any of their verbs is asked for (`OpenedWorld.books`). */
const withoutTheRest = (world: AwsWorld): World =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  world as unknown as World;
