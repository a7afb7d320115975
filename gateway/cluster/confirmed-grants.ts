/**
 * Slices of budgets that may be spent only once every candidate replica shows them: what a failover leaves behind would be
 * granted a second time. The writer region does this for whoever asks it; requests wait for it as for the grant itself, in
 * the one call that all of them share.
 */
import { z } from 'zod';
import { StoreUnavailable } from '../domain/keys.ts';
import type { BudgetClaim, BudgetReply, BudgetSlices, ShownSlices } from '../domain/slices.ts';
import type { Candidates } from './candidates.ts';
import type { PeerLink } from './peer-link.ts';

export interface ConfirmedGrantsOptions {
  /** The own database. */
  readonly local: BudgetSlices;
  readonly candidates: Pick<Candidates, 'names' | 'answer' | 'longestLagMs' | 'showUntilMs'>;
  readonly link: Pick<PeerLink, 'call'>;
  /** Read each time: the configuration may change. */
  readonly isStrict: () => boolean;
  /** A failover would lose more than may be lost, and nothing new is to be granted meanwhile. */
  readonly isBeyondRpo: () => boolean;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

/** Behind for longer, a candidate counts as cut off: the writer region grants without it, and counts what it grants. */
export const cutOffAfterMs = 60_000;
/** A candidate looks at its rows for so long before it says what is missing. */
export const longestShowMs = 1_000;
const callTimeoutMs = longestShowMs + 500;
/** Grants of this time together are counted as one. */
const countedTogetherMs = 1_000;
/** Beyond it the oldest count as those after them: a region may be cut off for days. */
const mostCounted = 1_000;

const shownSchema = z.object({ shown: z.array(z.tuple([z.string(), z.number()])) });

/** Granted without a candidate that shows it. */
interface Unconfirmed {
  atMs: number;
  micros: number;
}

export class ConfirmedGrants implements BudgetSlices {
  readonly #options: ConfirmedGrantsOptions;
  /** Oldest first. */
  #unconfirmed: Unconfirmed[] = [];

  constructor(options: ConfirmedGrantsOptions) {
    this.#options = options;
  }

  /** Millionths of a dollar that this process has granted and a failover could grant again. */
  get unconfirmedMicros(): number {
    this.#forgetShown();
    return this.#unconfirmed.reduce((sum, { micros }) => sum + micros, 0);
  }

  /** The same while a candidate is cut off; otherwise it is shown within seconds. */
  get overdueMicros(): number {
    return this.#isCut ? this.unconfirmedMicros : 0;
  }

  async grant(logId: string, claims: readonly BudgetClaim[]): Promise<readonly BudgetReply[]> {
    const { local, candidates, isStrict, isBeyondRpo } = this.#options;
    const asksForMore = claims.some(({ want }) => want > 0);
    if (asksForMore && isBeyondRpo()) throw new GrantsHeld('every replica is farther behind than may be lost');
    const isCut = this.#isCut;
    const { names } = candidates;
    const mustBeShown = isStrict() && names?.length !== 0;
    // What nobody can show would only be frozen.
    if (mustBeShown && !isCut && asksForMore && !candidates.answer) {
      throw new GrantsHeld('a replica that a failover may promote cannot be asked');
    }
    const replies = await local.grant(logId, claims);
    const known = new Map(claims.map(({ account, granted }) => [account, granted]));
    const fresh = replies.filter(({ account, granted }) => granted > (known.get(account) ?? 0));
    if (fresh.length === 0 || names?.length === 0) return replies;
    if (!mustBeShown || isCut) {
      this.#count(fresh.reduce((sum, { account, granted }) => sum + granted - (known.get(account) ?? 0), 0));
      return replies;
    }
    // Who they are is not known: nobody can show anything.
    const shown = await Promise.all((names ?? []).map((name) => this.#shownBy(name, logId, fresh)));
    return replies.map((reply) => {
      const least = names === undefined ? 0 : Math.min(...shown.map((one) => one.get(reply.account) ?? 0));
      return confirmedReply(reply, known.get(reply.account) ?? 0, least);
    });
  }

  get #isCut(): boolean {
    return this.#options.candidates.longestLagMs > cutOffAfterMs;
  }

  async #shownBy(name: string, logId: string, fresh: readonly BudgetReply[]): Promise<ReadonlyMap<string, number>> {
    try {
      const question = JSON.stringify({ logId, wanted: fresh.map(({ account, granted }) => [account, granted]) });
      return new Map(shownSchema.parse(await this.#options.link.call(name, 'slices', question, callTimeoutMs)).shown);
    } catch (error) {
      throw new GrantsHeld(`${name} did not say which slices it shows`, error);
    }
  }

  #count(micros: number): void {
    const atMs = this.#options.now();
    this.#forgetShown();
    const [oldest, next] = this.#unconfirmed;
    const newest = this.#unconfirmed.at(-1);
    if (newest !== undefined && atMs - newest.atMs <= countedTogetherMs) {
      newest.micros += micros;
      return;
    }
    this.#unconfirmed.push({ atMs, micros });
    if (oldest === undefined || next === undefined || this.#unconfirmed.length <= mostCounted) return;
    next.micros += oldest.micros;
    this.#unconfirmed.shift();
  }

  #forgetShown(): void {
    const { showUntilMs, names } = this.#options.candidates;
    this.#unconfirmed = names?.length === 0 ? [] : this.#unconfirmed.filter(({ atMs }) => atMs >= showUntilMs);
  }
}

/**
 * What of a grant may be spent.
 * @param known what whoever asks may spend already. @param shown the least that a candidate shows.
 */
export function confirmedReply(reply: BudgetReply, known: number, shown: number): BudgetReply {
  const granted = Math.max(Math.min(reply.granted, known), Math.min(reply.granted, shown));
  // The rest is set aside for the same process: it will come, so nothing is used up.
  return { ...reply, granted, free: reply.free + reply.granted - granted };
}

/**
 * What a replica shows of slices, looked at again until it shows all that is wanted, for a second at most.
 * @param wanted totals by account. @returns totals by account; those that it does not know are missing.
 */
export async function showSlices(
  slices: ShownSlices,
  logId: string,
  wanted: readonly (readonly [account: string, granted: number])[],
  { now, sleep }: { readonly now: () => number; readonly sleep: (ms: number) => Promise<void> },
): Promise<ReadonlyMap<string, number>> {
  const accounts = wanted.map(([account]) => account);
  const untilMs = now() + longestShowMs;
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    const shown = await slices.shown(logId, accounts);
    if (wanted.every(([account, granted]) => (shown.get(account) ?? 0) >= granted)) return shown;
    if (now() + pauseMs > untilMs) return shown;
    await sleep(pauseMs);
  }
}

/** Nothing new may be spent now. What was granted before may, and the reason will pass. */
export class GrantsHeld extends StoreUnavailable {
  constructor(because: string, cause?: unknown) {
    super(new Error(because, { cause }));
    this.name = 'GrantsHeld';
  }
}
