/** Which region this is, how it reaches the others, and where its spend is kept outside of it. */
import type { Variables } from './variables.ts';

export interface RegionSettings {
  readonly name: string;
  /** Where the gateways of each region are reached from the others, without a slash at the end. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Signs what regions say to each other. */
  readonly secret: string;
  /**
   * Changes and new slices of budgets are refused while every replica that could take over is farther behind; undefined =
   * they never are.
   */
  readonly refuseBeyondRpoSeconds: number | undefined;
  /** Undefined: the database's row alone says who writes, and an isolated primary writes on. */
  readonly claim: ClaimSettings | undefined;
}

export interface ClaimSettings {
  readonly buckets: readonly { readonly name: string; readonly region: string }[];
  readonly key: string;
  /** Other servers that speak S3: one for all buckets, or one for each. Empty = AWS. */
  readonly endpoints: readonly string[];
}

export interface ArchiveSettings {
  readonly bucket: string;
  readonly region: string;
  /** Undefined = AWS. */
  readonly endpoint: string | undefined;
}

/** What only the variables together can have wrong. */
export function regionFaults(variables: Variables): string[] {
  const { HOLDFAST_REGION: name, HOLDFAST_REGION_SECRET: secret, LITELLM_SALT_KEY: saltKey } = variables;
  const faults: string[] = [];
  const others = ['HOLDFAST_REGION_ADDRESSES', 'HOLDFAST_CLAIM_BUCKETS', 'HOLDFAST_REFUSE_BEYOND_RPO_SECONDS'] as const;
  for (const other of others) {
    if (name === undefined && variables[other] !== undefined) {
      faults.push(`HOLDFAST_REGION: must name this region, since ${other} is set`);
    }
  }
  if (name !== undefined && secret === undefined && saltKey === undefined) {
    faults.push('HOLDFAST_REGION_SECRET: must be set, to the same in all regions; or set LITELLM_SALT_KEY');
  }
  if (name !== undefined && variables.HOLDFAST_OUTBOX_ARCHIVE?.endsWith(`@${name}`) === true) {
    faults.push('HOLDFAST_OUTBOX_ARCHIVE: must lie in another region than this one: it would be lost together with it');
  }
  return faults;
}

export function archiveSettings(variables: Variables): ArchiveSettings | undefined {
  const [bucket, region] = variables.HOLDFAST_OUTBOX_ARCHIVE?.split('@') ?? [];
  if (bucket === undefined || region === undefined) return undefined;
  return { bucket, region, endpoint: variables.HOLDFAST_OUTBOX_ARCHIVE_ENDPOINT };
}

export function regionSettings(variables: Variables): RegionSettings | undefined {
  const { HOLDFAST_REGION: name, HOLDFAST_CLAIM_BUCKETS: buckets } = variables;
  if (name === undefined) return undefined;
  return {
    name,
    addresses: variables.HOLDFAST_REGION_ADDRESSES ?? new Map(),
    secret: variables.HOLDFAST_REGION_SECRET ?? variables.LITELLM_SALT_KEY ?? '',
    refuseBeyondRpoSeconds: variables.HOLDFAST_REFUSE_BEYOND_RPO_SECONDS,
    claim:
      buckets === undefined
        ? undefined
        : {
            buckets: [...buckets].map(([bucket, region]) => ({ name: bucket, region })),
            key: variables.HOLDFAST_CLAIM_KEY,
            endpoints: variables.HOLDFAST_CLAIM_ENDPOINT?.split(',') ?? [],
          },
  };
}
