import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { Breaker } from '../../../gateway/stores/breaker.ts';

function breaker() {
  const clock = { nowMs: 0 };
  const changes: string[] = [];
  const made = new Breaker({
    failures: 3,
    probeEveryMs: 1_000,
    now: () => clock.nowMs,
    onChange: (state) => changes.push(state),
  });
  return { made, clock, changes };
}

it('opens after three failures in a row, lets one probe a second through, and closes when one succeeds', () => {
  const { made, clock, changes } = breaker();
  made.failed('x');
  made.failed('x');
  made.succeeded();
  made.failed('x');
  made.failed('x');
  expect(made.allows()).toBe(true);
  made.failed('x');
  expect([made.allows(), made.allows()]).toEqual([false, false]);
  clock.nowMs = 1_000;
  expect([made.allows(), made.allows()]).toEqual([true, false]);
  made.failed('x');
  clock.nowMs = 1_999;
  expect(made.allows()).toBe(false);
  clock.nowMs = 2_000;
  expect(made.allows()).toBe(true);
  made.succeeded();
  expect([made.allows(), made.allows()]).toEqual([true, true]);
  expect(changes).toEqual(['open', 'closed']);
});

it('whatever happens, changes alternate and probes keep their distance', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom('ask', 'succeed', 'fail'), fc.integer({ min: 0, max: 1_500 }))),
      (events) => {
        const { made, clock, changes } = breaker();
        let probedAt = Number.NEGATIVE_INFINITY;
        for (const event of events) {
          if (typeof event === 'number') clock.nowMs += event;
          else if (event === 'succeed') made.succeeded();
          else if (event === 'fail') made.failed('x');
          else if (made.state === 'open' && made.allows()) {
            expect(clock.nowMs - probedAt).toBeGreaterThanOrEqual(1_000);
            probedAt = clock.nowMs;
          }
          if (made.state === 'closed') probedAt = Number.NEGATIVE_INFINITY;
        }
        expect(changes).toEqual(changes.map((_, index) => (index % 2 === 0 ? 'open' : 'closed')));
      },
    ),
  );
});
