import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import { nextMove } from '../../../gateway/pipeline/next-move.ts';
import { recovery, statusOfKind, upstreamError } from '../examples.ts';

const kinds = Object.keys(statusOfKind).filter((kind): kind is UpstreamErrorKind => kind in statusOfKind);
const groupName = fc.constantFrom('a', 'b', 'c', 'd', 'openai/a', 'e');
const lists = fc
  .array(fc.tuple(groupName, fc.array(groupName, { maxLength: 4 })), { maxLength: 5 })
  .map((entries) => new Map(entries));
const retries = fc.integer({ min: 0, max: 5 });
const byKind = fc.dictionary(fc.constantFrom(...kinds), retries, { maxKeys: 4 });

const settings = fc.record({
  numRetries: retries,
  retriesByKind: byKind,
  retriesByKindOfGroup: fc.array(fc.tuple(groupName, byKind), { maxLength: 2 }).map((entries) => new Map(entries)),
  retryAfterSeconds: fc.integer({ min: 0, max: 20 }),
  retryAfterSecondsByStatus: fc
    .array(fc.tuple(fc.constantFrom(429, 503), fc.integer({ min: 0, max: 90 })))
    .map((entries) => new Map(entries)),
  fallbacks: lists,
  contextWindowFallbacks: lists,
  contentPolicyFallbacks: lists,
  defaultFallbacks: fc.array(groupName, { maxLength: 3 }),
  maxFallbacks: fc.integer({ min: 0, max: 6 }),
});
const overrides = fc.record(
  {
    disableFallbacks: fc.boolean(),
    fallbacks: fc.array(
      groupName.map((model) => ({ model })),
      { maxLength: 3 },
    ),
    numRetries: retries,
  },
  { requiredKeys: ['disableFallbacks'] },
);
/** What happens at each attempt, for as long as the request goes on. */
const fate = fc.record({
  kind: fc.constantFrom(...kinds),
  retryAfterSeconds: fc.option(fc.double({ min: 0, max: 100, noNaN: true }), { nil: undefined }),
  tookMs: fc.integer({ min: 0, max: 3_000 }),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

it('every request ends: no group twice, no more attempts than the policy, no wait beyond the time that is left', () => {
  fc.assert(
    fc.property(
      settings,
      overrides,
      fc.infiniteStream(fate),
      fc.integer({ min: 1, max: 120_000 }),
      fc.integer({ min: 1, max: 4 }),
      fc.option(retries, { nil: undefined }),
      (made, asked, fates, totalMs, size, deploymentRetries) => {
        const rules = recovery(made);
        const most = Math.max(
          made.numRetries,
          asked.numRetries ?? 0,
          deploymentRetries ?? 0,
          ...Object.values(made.retriesByKind),
          ...[...made.retriesByKindOfGroup.values()].flatMap((policy) => Object.values(policy)),
        );
        const groups = ['a'];
        let failures = [];
        let leftMs = totalMs;
        for (const { kind, retryAfterSeconds, tookMs, random } of fates) {
          failures.push(upstreamError(kind, retryAfterSeconds === undefined ? {} : { retryAfterSeconds }));
          leftMs -= tookMs;
          const untried = Math.max(0, size - failures.length);
          const move = nextMove(
            {
              groups,
              failures,
              deployments: { all: size, eligible: size, untried },
              retryBudgetLeft: true,
              deploymentRetries,
              overrides: asked,
              isSpent: (name) => groups.includes(name),
              taken: new Set(),
              remainingMs: leftMs,
            },
            rules,
            () => random,
          );
          if (move.kind === 'give-up') return;
          expect(leftMs).toBeGreaterThan(0);
          if (move.kind === 'retry') {
            expect(failures.length).toBeLessThanOrEqual(most);
            expect(move.afterMs).toBeGreaterThanOrEqual(0);
            expect(move.afterMs).toBeLessThan(leftMs);
            leftMs -= move.afterMs;
          } else {
            expect(groups).not.toContain(move.to.model);
            expect(asked.disableFallbacks).toBe(false);
            groups.push(move.to.model);
            expect(groups.length - 1).toBeLessThanOrEqual(rules.maxFallbacks);
            if (asked.fallbacks !== undefined) expect(asked.fallbacks).toContain(move.to);
            failures = [];
          }
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
