import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget } from '../../../gateway/routing/retry-budget.ts';

const windowMs = 10_000;
const floor = 30;
const share = 0.1;

class Clock {
  ms = 5_000_000;
  readonly now = (): number => this.ms;
}

/** Takes every retry it may. @returns how many. */
function retryAll(budget: RetryBudget, group: string, most = 10_000): number {
  let made = 0;
  while (made < most && budget.mayRetry(group)) {
    budget.countRetry(group);
    made++;
  }
  return made;
}

const sumOf = (list: readonly { readonly count: number }[]): number => list.reduce((sum, { count }) => sum + count, 0);

const sendTo = (budget: RetryBudget, group: string, count: number): void => {
  for (let request = 0; request < count; request++) budget.countRequest(group);
};

describe('a group', () => {
  it.each([
    [0, 30],
    [1, 30],
    [300, 30],
    [309, 30],
    [310, 31],
    [1_000, 100],
    [10_000, 1_000],
  ])('that sent %i requests within ten seconds may retry %i times', (requests, retries) => {
    const budget = new RetryBudget(new Clock().now);
    sendTo(budget, 'chat', requests);
    expect(retryAll(budget, 'chat')).toBe(retries);
  });

  it.each([0, 1, 500, 999])(
    'that used its budget up at millisecond %i of a second has it again eleven seconds later, and not within ten',
    (offset) => {
      const clock = new Clock();
      clock.ms += offset;
      const budget = new RetryBudget(clock.now);
      expect(retryAll(budget, 'chat')).toBe(30);
      clock.ms += windowMs - 1;
      expect(budget.mayRetry('chat')).toBe(false);
      clock.ms += 1_001;
      expect(retryAll(budget, 'chat')).toBe(30);
    },
  );

  it('that was silent for long starts afresh', () => {
    const clock = new Clock();
    const budget = new RetryBudget(clock.now);
    sendTo(budget, 'chat', 10_000);
    retryAll(budget, 'chat');
    clock.ms += 86_400_000;
    expect(retryAll(budget, 'chat')).toBe(30);
  });

  it('does not use up another’s budget', () => {
    const budget = new RetryBudget(new Clock().now);
    retryAll(budget, 'chat');
    expect(budget.mayRetry('chat')).toBe(false);
    expect(retryAll(budget, 'embed')).toBe(30);
  });

  it('that nobody sent to may retry', () => {
    expect(new RetryBudget(new Clock().now).mayRetry('unseen')).toBe(true);
  });
});

it('for any arrivals: retries of any ten seconds stay within 30, or a tenth of the requests of that time where it is more', () => {
  const step = fc.record({
    passMs: fc.oneof(fc.nat(20), fc.nat(1_500), fc.nat(25_000)),
    requests: fc.oneof(fc.nat(3), fc.nat(900)),
    retries: fc.oneof(fc.nat(3), fc.nat(120)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new Clock();
      const budget = new RetryBudget(clock.now);
      // What happened, kept as a list of moments: the slow, obvious way to count a window.
      const requests: { atMs: number; count: number }[] = [];
      const retries: { atMs: number; count: number }[] = [];
      const within = (list: readonly { atMs: number; count: number }[]): number => {
        // Seconds are whole in the budget: the running one and the nine before it.
        const fromMs = (Math.floor(clock.ms / 1000) - 9) * 1000;
        return sumOf(list.filter(({ atMs }) => atMs >= fromMs));
      };
      for (const { passMs, requests: arriving, retries: wanted } of steps) {
        clock.ms += passMs;
        sendTo(budget, 'chat', arriving);
        requests.push({ atMs: clock.ms, count: arriving });
        const cap = Math.max(floor, Math.floor(share * within(requests)));
        const made = retryAll(budget, 'chat', wanted);
        retries.push({ atMs: clock.ms, count: made });
        const lastTenSeconds = sumOf(retries.filter(({ atMs }) => atMs > clock.ms - windowMs));
        if (made > 0) expect(lastTenSeconds).toBeLessThanOrEqual(cap);
        // Nobody is refused while an eleventh second, too, has room.
        const lastElevenSeconds = sumOf(retries.filter(({ atMs }) => atMs > clock.ms - windowMs - 1_000));
        if (made < wanted) expect(lastElevenSeconds).toBeGreaterThanOrEqual(cap);
      }
    }),
    { numRuns: 500 },
  );
});
