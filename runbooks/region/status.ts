/** Where every region stands, against the claim. Pure: what was seen goes in, what does not fit comes out. */
import type { Claim } from '../../gateway/region/claim.ts';
import type { ClaimReading } from '../../gateway/region/claim-store.ts';
import type { RegionPage } from './page.ts';

export interface SeenRegion {
  readonly region: string;
  /** Or why it could not be asked. */
  readonly page: RegionPage | { readonly because: string };
  /** The run whose takeover object lies in it. */
  readonly takeover: string | undefined;
}

export interface PlatformStatus {
  readonly claim: Claim | undefined;
  readonly regions: readonly SeenRegion[];
  /** What does not fit together, each with what to do about it; empty = all is as it should be. */
  readonly faults: readonly string[];
}

export function statusOf(
  reading: Pick<ClaimReading, 'agreed' | 'newest' | 'isMajority' | 'unheard'>,
  regions: readonly SeenRegion[],
): PlatformStatus {
  const { agreed: claim } = reading;
  const faults = [
    ...reading.unheard.map(({ bucket, because }) => `the bucket ${bucket} does not answer: ${because}`),
    ...claimFaults(reading),
    ...regions.flatMap((seen) => regionFaults(seen, claim)),
  ];
  return { claim, regions, faults };
}

function claimFaults({ agreed, newest, isMajority }: Pick<ClaimReading, 'agreed' | 'newest' | 'isMajority'>): string[] {
  if (!isMajority)
    return ['too few buckets of the claim answer: nobody may take over, and the writer stops when its lease ends'];
  if (newest === undefined) return ['there is no claim: the gateways make it when the first writer starts'];
  if (agreed === undefined) return ['the buckets of the claim disagree: a run was killed; resume it'];
  if (agreed.phase === 'seized') {
    const run = agreed.run ?? 'of an earlier epoch';
    return [
      `the run ${run} is promoting ${agreed.writer}: resume it, or take it back (npx holdfast runbook undo ${run})`,
    ];
  }
  return agreed.candidates.length === 0
    ? ['no replica may be promoted in an emergency: build one, and make it a candidate (region-failback does both)']
    : [];
}

function regionFaults({ region, page, takeover }: SeenRegion, claim: Claim | undefined): string[] {
  const faults: string[] = [];
  // In the writer's region it keeps clients where the writes are; elsewhere it was left behind.
  if (takeover !== undefined && claim !== undefined && claim.writer !== region) {
    faults.push(
      `${region} has a takeover object of the run ${takeover} and does not write: left behind? It costs latency`,
    );
  }
  if ('because' in page) return [...faults, `${region} does not answer: ${page.because}`];
  if (claim?.writer === region && claim.phase === 'held' && page.standing === 'fenced') {
    faults.push(
      `${region} has the right to write and takes no change: a run has stopped half way (npx holdfast runbook list --runs; resume it, or take it back), or it was paused (npx holdfast region resume ${region})`,
    );
  }
  faults.push(...page.faults.map((fault) => `${region}: ${fault}`));
  if (claim === undefined) return faults;
  if (page.epoch !== undefined && page.epoch < claim.epoch) {
    faults.push(`${region} knows epoch ${page.epoch}, the claim is of ${claim.epoch}: it has not heard of it yet`);
  }
  if (page.epoch === claim.epoch && page.writer !== undefined && page.writer !== claim.writer) {
    faults.push(`${region} takes ${page.writer} for the writer, the claim names ${claim.writer}`);
  }
  return faults;
}
