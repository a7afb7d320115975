import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareOf } from '../../../gateway/admission/share.ts';
import { SlicedAdmission } from '../../../gateway/admission/sliced-admission.ts';
import type { Reservation } from '../../../gateway/domain/admission.ts';
import type { BudgetClaim, BudgetSlices } from '../../../gateway/domain/slices.ts';
import { exampleRequest } from '../examples.ts';
import { DatabaseTwin } from './database-twin.ts';
import { scope, settings } from './instances.ts';

type Act =
  | { readonly is: 'ask'; readonly scopes: number; readonly micros: number; readonly tokens: number }
  | { readonly is: 'settle'; readonly which: number; readonly cost: number | null; readonly times: number }
  | { readonly is: 'leave'; readonly which: number }
  | { readonly is: 'pass'; readonly ms: number }
  | { readonly is: 'fail'; readonly fails: boolean };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      is: fc.constant('ask' as const),
      scopes: fc.nat(7),
      micros: fc.nat(400),
      tokens: fc.nat(400),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      is: fc.constant('settle' as const),
      which: fc.nat(20),
      cost: fc.option(fc.nat(500)),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  fc.record({ is: fc.constant('leave' as const), which: fc.nat(20) }),
  fc.record({ is: fc.constant('pass' as const), ms: fc.nat(70_000) }),
  fc.record({ is: fc.constant('fail' as const), fails: fc.boolean() }),
);

it('after any interleaving of requests, endings, departures and failures nothing stays set aside, and no budget is exceeded', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const twin = new DatabaseTwin();
      let fails = false;
      let nowMs = 0;
      const store: BudgetSlices = {
        grant: async (log, claims: readonly BudgetClaim[]) => {
          if (fails) throw new Error('away');
          const replies = twin.grant(log, claims);
          if (replies === 'closed') throw new Error('closed');
          return replies.map((reply) => ({ ...reply, windowMs: undefined }));
        },
      };
      const scopes = [
        scope('key', 'one', { maxMicros: 1_000, limits: { requestsPerMinute: 20, tokensPerMinute: 2_000 } }),
        scope('team', 'two', { maxMicros: 2_000, limits: { parallelRequests: 4 } }),
        scope('organization', 'three', { maxMicros: 500 }),
      ];
      for (const { budgets } of scopes) for (const { id, maxMicros } of budgets) twin.putAccount(id, maxMicros);
      const admission = new SlicedAdmission({
        settings,
        budgets: store,
        limits: undefined,
        siblings: { logId: 'log', live: 1, rank: 0 },
        globalScope: undefined,
        endUserScope: () => undefined,
        now: () => nowMs,
        wallNow: () => nowMs,
        onSoftBudget: () => undefined,
        onRefused: () => undefined,
        onError: () => undefined,
      });
      const held: Reservation[] = [];
      const clients: AbortController[] = [];
      const asked: Promise<unknown>[] = [];
      for (const step of acts) {
        switch (step.is) {
          case 'ask': {
            const client = new AbortController();
            clients.push(client);
            const own = scopes.filter((_, index) => (step.scopes >> index) % 2 === 1);
            const caller = { keyHash: '', role: 'caller' as const, models: [], scopes: own };
            asked.push(
              (async () => admission.admit(exampleRequest(), caller, 'chat', () => step, client.signal))().then(
                (reservation) => held.push(reservation),
                () => undefined,
              ),
            );
            break;
          }
          case 'settle': {
            const reservation = held[step.which % Math.max(1, held.length)];
            for (let count = 0; count < step.times; count++) reservation?.settle(step.cost, step.cost);
            break;
          }
          case 'leave':
            clients[step.which % Math.max(1, clients.length)]?.abort(new Error('gone'));
            break;
          case 'pass':
            nowMs += step.ms;
            break;
          case 'fail':
            fails = step.fails;
        }
        await Promise.resolve();
        for (const { max = 0, spent, leased } of twin.accounts.values())
          expect(spent + leased).toBeLessThanOrEqual(max);
      }
      for (const client of clients) client.abort(new Error('the end'));
      await Promise.all(asked);
      for (const reservation of held) reservation.settle(0, 0);
      expect(admission.reserved).toBe(0);
      fails = false;
      await admission.close();
    }),
    { numRuns: 300 },
  );
});

it('the shares of all processes together are the limit, whatever both are', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 200 }), fc.string(), (limit, live, account) => {
      const shares = Array.from({ length: live }, (_, rank) => shareOf(limit, live, rank, account, false));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(limit);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      // Who does not know its rank takes none of the remainder.
      expect(shareOf(limit, live, undefined, account, false)).toBe(Math.floor(limit / live));
    }),
  );
});
