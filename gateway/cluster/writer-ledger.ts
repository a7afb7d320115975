/**
 * The ledger of the writer region, wherever that is: the own database, or the writer's gateways. Which one follows the
 * claim; the database behind either refuses what is not its own to take.
 */
import { z } from 'zod';
import { NotWriter } from '../domain/keys.ts';
import type { RegionState } from '../domain/region.ts';
import type { BudgetClaim, BudgetReply, BudgetSlices } from '../domain/slices.ts';
import type { Census, LogPosition, SpendLedger } from '../domain/spend.ts';
import type { PeerLink } from './peer-link.ts';

export interface WriterLedgerOptions {
  readonly region: string;
  readonly state: () => RegionState;
  readonly local: SpendLedger;
  readonly localBudgets: BudgetSlices;
  readonly link: PeerLink;
  /** Somebody refused: claim and database are looked at again. */
  readonly look: () => Promise<void>;
}

const shipTimeoutMs = 10_000;
const grantTimeoutMs = 2_000;
const applied = z.object({ applied: z.number() });
const closed = z.object({ closed: z.boolean() });
const positions = z.object({ positions: z.array(z.tuple([z.string(), z.number(), z.boolean()])) });
const census = z.object({ appliedSeq: z.number(), closed: z.boolean(), live: z.number(), rank: z.number() });
const replies = z.array(
  z.object({
    account: z.string(),
    granted: z.number(),
    free: z.number(),
    spent: z.number(),
    max: z.number().optional(),
    windowMs: z.number().optional(),
  }),
);

export class WriterLedger implements SpendLedger, BudgetSlices {
  readonly #options: WriterLedgerOptions;

  constructor(options: WriterLedgerOptions) {
    this.#options = options;
  }

  ship(logId: string, firstSeq: number, events: readonly string[]): Promise<number> {
    return this.#ask(
      (local) => local.ship(logId, firstSeq, events),
      async (call) => {
        // Line by line, as they lie on disk: reading them to write them again could change a number.
        const body = [JSON.stringify({ logId, firstSeq }), ...events].join('\n');
        return applied.parse(await call('ship', body, shipTimeoutMs)).applied;
      },
    );
  }

  skip(logId: string, toSeq: number): Promise<number> {
    return this.#ask(
      (local) => local.skip(logId, toSeq),
      async (call) => applied.parse(await call('skip', JSON.stringify({ logId, toSeq }))).applied,
    );
  }

  positions(logIds: readonly string[]): Promise<ReadonlyMap<string, LogPosition>> {
    return this.#ask(
      (local) => local.positions(logIds),
      async (call) => toPositions(await call('positions', JSON.stringify({ logIds }))),
    );
  }

  close(logId: string, lastSeq: number): Promise<boolean> {
    return this.#ask(
      (local) => local.close(logId, lastSeq),
      async (call) => closed.parse(await call('close', JSON.stringify({ logId, lastSeq }))).closed,
    );
  }

  touch(logId: string): Promise<Census> {
    return this.#ask(
      (local) => local.touch(logId),
      async (call) => census.parse(await call('touch', JSON.stringify({ logId }), grantTimeoutMs)),
    );
  }

  grant(logId: string, claims: readonly BudgetClaim[]): Promise<readonly BudgetReply[]> {
    return this.#ask(
      () => this.#options.localBudgets.grant(logId, claims),
      async (call) =>
        replies
          .parse(await call('grant', JSON.stringify({ logId, claims }), grantTimeoutMs))
          .map((reply) => ({ ...reply, max: reply.max, windowMs: reply.windowMs })),
    );
  }

  async #ask<T>(
    here: (local: SpendLedger) => Promise<T>,
    there: (call: (name: string, body: string, timeoutMs?: number) => Promise<unknown>) => Promise<T>,
  ): Promise<T> {
    const { region, state, local, link, look } = this.#options;
    const { writer } = state();
    try {
      // Nobody has said anything yet: the own database knows whether it may take it.
      if (writer === undefined || writer === region) return await here(local);
      return await there((name, body, timeoutMs) => link.call(writer, name, body, timeoutMs));
    } catch (error) {
      // Whoever ships tries again, then with what was seen meanwhile.
      if (error instanceof NotWriter) await look();
      throw error;
    }
  }
}

/** Positions as they travel. */
export const toPositions = (answer: unknown): ReadonlyMap<string, LogPosition> =>
  new Map(
    positions.parse(answer).positions.map(([id, appliedSeq, isClosed]) => [id, { appliedSeq, closed: isClosed }]),
  );
