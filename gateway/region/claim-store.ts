/**
 * The claim in its buckets: read from all, changed by compare-and-swap on a majority. One bucket is a majority of one. What
 * is in doubt is read again; nothing here trusts a time-out.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Claim, newest } from './claim.ts';

/** What one bucket holds, and the token that its next compare-and-swap needs. */
export interface InBucket {
  readonly claim: Claim | undefined;
  /** Undefined = there is no object yet. */
  readonly etag: string | undefined;
}

/** One bucket. Every method rejects when the bucket cannot be asked in time. */
export interface ClaimBucket {
  readonly name: string;
  read(signal: AbortSignal): Promise<InBucket>;
  /** @returns false when the object is not the one that `etag` names any more. */
  swap(etag: string | undefined, claim: Claim, signal: AbortSignal): Promise<boolean>;
}

export interface ClaimReading {
  /** The newest that any bucket shows: enough to know whom to obey, since a higher epoch is never taken back. */
  readonly newest: Claim | undefined;
  /**
   * What more than half of all buckets show, sequence aside; undefined while they differ. The writer renews by this one: a
   * seizure that reached a single bucket before its run was killed must not end the writer's right.
   */
  readonly agreed: Claim | undefined;
  /** Buckets that answered. */
  readonly heard: readonly { readonly bucket: ClaimBucket; readonly found: InBucket }[];
  readonly unheard: readonly { readonly bucket: string; readonly because: string }[];
  /** More than half of all buckets answered. */
  readonly isMajority: boolean;
}

export type SwapResult =
  /** A majority holds the new claim. */
  | { readonly is: 'done' }
  /** Somebody else's claim is there. */
  | { readonly is: 'lost'; readonly reading: ClaimReading }
  /** Too few buckets could be asked; some may hold the new claim. */
  | { readonly is: 'unknown'; readonly because: string };

export class ClaimStore {
  readonly #buckets: readonly ClaimBucket[];

  /** @param buckets one or three, in different regions. */
  constructor(buckets: readonly ClaimBucket[]) {
    this.#buckets = buckets;
  }

  get majority(): number {
    return Math.floor(this.#buckets.length / 2) + 1;
  }

  async read(signal: AbortSignal): Promise<ClaimReading> {
    const results = await Promise.allSettled(this.#buckets.map((bucket) => bucket.read(signal)));
    const heard: { bucket: ClaimBucket; found: InBucket }[] = [];
    const unheard: { bucket: string; because: string }[] = [];
    for (const [index, bucket] of this.#buckets.entries()) {
      const result = results[index];
      if (result?.status === 'fulfilled') heard.push({ bucket, found: result.value });
      else unheard.push({ bucket: bucket.name, because: messageOf(result?.reason) });
    }
    const claims = heard.flatMap(({ found }) => (found.claim === undefined ? [] : [found.claim]));
    const isAgreed = (claim: Claim): boolean =>
      claims.filter(({ epoch, run, phase }) => epoch === claim.epoch && run === claim.run && phase === claim.phase)
        .length >= this.majority;
    return {
      newest: newest(claims),
      agreed: newest(claims.filter(isAgreed)),
      heard,
      unheard,
      isMajority: heard.length >= this.majority,
    };
  }

  /**
   * Puts `next` wherever the claim is still older.
   * @param reading what `next` was decided on.
   */
  async swap(reading: ClaimReading, next: Claim, signal: AbortSignal): Promise<SwapResult> {
    const results = await Promise.allSettled(
      reading.heard.map(({ bucket, found }) =>
        isOlder(found.claim, next) ? bucket.swap(found.etag, next, signal) : Promise.resolve(isSame(found.claim, next)),
      ),
    );
    if (results.filter((result) => result.status === 'fulfilled' && result.value).length >= this.majority) {
      return { is: 'done' };
    }
    // An answer that did not come may belong to a write that did: only the buckets can say.
    const after = await this.read(signal);
    if (after.heard.filter(({ found }) => isSame(found.claim, next)).length >= this.majority) return { is: 'done' };
    const isOthers = after.newest !== undefined && !isOlder(after.newest, next) && !isSame(after.newest, next);
    if (isOthers) return { is: 'lost', reading: after };
    const unheard = after.unheard.map(({ bucket, because }) => `${bucket}: ${because}`);
    return { is: 'unknown', because: unheard.join('; ') || 'another claim was written at the same time' };
  }
}

const isOlder = (claim: Claim | undefined, than: Claim): boolean =>
  claim === undefined || claim.epoch < than.epoch || (claim.epoch === than.epoch && claim.sequence < than.sequence);

/** In everything: whoever was faster may have used the same sequence, in the same epoch and run. */
const isSame = (claim: Claim | undefined, other: Claim): boolean => isDeepStrictEqual(claim, other);

const messageOf = (reason: unknown): string => (reason instanceof Error ? reason.message : String(reason));
