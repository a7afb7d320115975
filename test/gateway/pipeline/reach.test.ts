import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientGone, DeadlineExceeded } from '../../../gateway/domain/errors.ts';
import { NotReached } from '../../../gateway/pipeline/not-reached.ts';
import { at, type Behaviour, burst, type Fate, offer, served, worldOf } from './reach-world.ts';

describe('an outage is not multiplied', () => {
  const deployments = [at('a'), at('b')];

  it.each([
    [100, 0],
    [100, 200],
    [1_000, 0],
    [1_000, 50],
  ])(
    'while every upstream fails: %i requests a second (answers after %i ms) make at most 1.1 times as many calls',
    async (perSecond, latencyMs) => {
      const world = worldOf({ deployments, recovery: { numRetries: 3 } });
      world.transport.behaviour = () => 500;
      world.transport.latencyMs = latencyMs;
      const results = await offer(world, perSecond, 30);
      expect(results).toHaveLength(perSecond * 30);
      expect(served(results)).toBe(0);
      expect(world.transport.calls.length).toBeGreaterThan(perSecond * 30);
      expect(world.transport.calls.length).toBeLessThanOrEqual(perSecond * 30 * 1.1);
    },
  );

  it('while half of all answers are failures, calls stay within 1.5 times the requests and most of these are served', async () => {
    const world = worldOf({ deployments, recovery: { numRetries: 3 }, cooldown: { enabled: false } });
    world.transport.behaviour = (_host, call) => (call % 2 === 0 ? 500 : 200);
    const results = await offer(world, 200, 30);
    expect(world.transport.calls.length).toBeLessThanOrEqual(6_000 * 1.5);
    expect(served(results)).toBeGreaterThan(6_000 * 0.5);
  });

  it('a single deployment that fails is retried as often as a small group may, and not more', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 3 } });
    world.transport.behaviour = () => 500;
    await burst(world, 100);
    expect(world.transport.calls).toHaveLength(130);
  });
});

describe('a loss is not felt', () => {
  it.each([
    'simple-shuffle',
    'least-busy',
    'usage-based-routing-v2',
    'latency-based-routing',
    'cost-based-routing',
  ] as const)(
    '%s: a group that just lost one of two deployments serves all of 64 concurrent requests',
    async (strategy) => {
      for (const warm of [true, false]) {
        const world = worldOf({ deployments: [at('a'), at('b')], routing: { strategy } });
        world.transport.latencyMs = 20;
        if (warm) await offer(world, 200, 1);
        world.transport.behaviour = (host) => (host === 'a' ? 'refused' : 200);
        const running = burst(world, 64);
        for (let step = 0; step < 20; step++) await world.clock.pass(10);
        expect(served(await running)).toBe(64);
      }
    },
  );

  it('of 1,000 requests a second for half a minute none fails when one of two deployments dies, and few are sent twice', async () => {
    const world = worldOf({ deployments: [at('a'), at('b')] });
    world.transport.latencyMs = 20;
    await offer(world, 1_000, 1);
    const before = world.transport.calls.length;
    world.transport.behaviour = (host) => (host === 'a' ? 'refused' : 200);
    expect(served(await offer(world, 1_000, 29))).toBe(29_000);
    expect(world.transport.calls.length - before).toBeLessThan(29_000 * 1.01);
  });

  it('the one of three deployments that still answers serves everybody, although only one of the dead may be ejected', async () => {
    const world = worldOf({ deployments: [at('a'), at('b'), at('c')] });
    world.transport.latencyMs = 20;
    await offer(world, 200, 1);
    world.transport.behaviour = (host) => (host === 'c' ? 200 : 500);
    const results = await offer(world, 200, 20);
    expect(served(results)).toBe(4_000);
  });
});

describe('attempts', () => {
  it('never exceed the policy: one and the retries for each group, whatever happens and whatever the client asks for', async () => {
    const fate = fc.constantFrom<Fate>(200, 400, 401, 404, 408, 409, 413, 429, 500, 503, 'refused');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(4),
        fc.option(fc.nat(5), { nil: undefined }),
        fc.nat(3),
        fc.constantFrom('simple-shuffle', 'least-busy', 'usage-based-routing-v2'),
        async (fates, size, numRetries, asked, maxFallbacks, strategy) => {
          const groups = ['chat', 'second', 'third'];
          const world = worldOf({
            deployments: groups.flatMap((modelGroup) =>
              Array.from({ length: size }, (_, index) => at(`${modelGroup}-${index}`, { modelGroup })),
            ),
            recovery: { numRetries, maxFallbacks, fallbacks: new Map([['chat', ['second', 'third', 'chat']]]) },
            routing: { strategy },
          });
          world.transport.behaviour = (_host, call) => fates[(call - 1) % fates.length] ?? 500;
          const result = await world.ask({
            overrides: { disableFallbacks: false, ...(asked === undefined ? {} : { numRetries: asked }) },
          });
          const perGroup = 1 + (asked ?? numRetries);
          expect(result.attempts).toBe(world.transport.calls.length);
          expect(result.fallbacks).toBeLessThanOrEqual(Math.min(maxFallbacks, 2));
          expect(result.attempts).toBeLessThanOrEqual(perGroup * (1 + result.fallbacks));
          for (const group of groups) {
            expect(world.transport.calls.filter(({ host }) => host.startsWith(group)).length).toBeLessThanOrEqual(
              perGroup,
            );
          }
          for (const { id } of world.router.directory.all()) expect(world.load.of(id).inFlight).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('go to a higher order only when every lower one has failed this request or is out', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }), async (orders) => {
        const world = worldOf({
          deployments: orders.map((order, index) => at(`d${index}`, { order })),
          recovery: { numRetries: orders.length - 1 },
        });
        world.transport.behaviour = () => 500;
        await world.ask();
        const tried = world.transport.calls.map(({ host }) => orders[Number(host.slice(1))] ?? -1);
        expect(tried).toEqual(orders.toSorted((a, b) => a - b));
      }),
    );
  });

  it.each([new ClientGone(), new DeadlineExceeded(1)])(
    'that end because of "$message" keep no deployment busy',
    async (reason) => {
      const world = worldOf({ deployments: [at('a')] });
      world.transport.behaviour = () => 'hangs';
      const controller = new AbortController();
      const running = world.ask({}, controller.signal);
      await turn();
      expect(world.load.of('a').inFlight).toBe(1);
      controller.abort(reason);
      expect(await running).toMatchObject({ last: reason, attempts: 1 });
      expect(world.load.of('a').inFlight).toBe(0);
    },
  );

  it('keep their deployment busy until the answer is released, once', async () => {
    const world = worldOf({ deployments: [at('a')] });
    world.transport.latencyMs = 10;
    const running = world.ask();
    await turn();
    expect(world.load.of('a').inFlight).toBe(1);
    await world.clock.pass(10);
    const reached = await running;
    if (!(reached instanceof NotReached)) reached.release();
    expect(world.load.of('a').inFlight).toBe(0);
  });
});

describe('a deployment without room', () => {
  it('gets no more than its max_parallel_requests at once; the others are refused with 429 and not retried', async () => {
    const world = worldOf({ deployments: [at('a', { maxParallelRequests: 3 })] });
    world.transport.latencyMs = 10;
    const running = burst(world, 10);
    await world.clock.pass(10);
    const results = await running;
    expect(world.transport.calls).toHaveLength(3);
    expect(served(results)).toBe(3);
    const refused = results.filter((result) => result instanceof NotReached);
    for (const one of refused) expect(one).toMatchObject({ last: { kind: 'rate-limit', status: 429 }, attempts: 0 });
    expect(world.budget.retries).toBe(0);
  });

  it('tells when to come back: limits of a minute end with it', async () => {
    const world = worldOf({ deployments: [at('a', { rpm: 1 })], routing: { strategy: 'usage-based-routing-v2' } });
    await world.clock.pass(48_000);
    await world.ask();
    const message = 'No deployments available for selected model, Try again in 12 seconds. Passed model=chat';
    expect(await world.ask()).toMatchObject({ last: { status: 429, message, retryAfterSeconds: 12 } });
    await world.clock.pass(12_000);
    expect(served([await world.ask()])).toBe(1);
  });

  it('hands its requests to a fallback without a retry', async () => {
    const world = worldOf({
      deployments: [at('a', { rpm: 1 }), at('b', { modelGroup: 'spare' })],
      recovery: { fallbacks: new Map([['chat', ['spare']]]) },
      routing: { strategy: 'usage-based-routing-v2' },
    });
    const results = [await world.ask(), await world.ask(), await world.ask()];
    expect(results.map((result) => result.deployment?.id)).toEqual(['a', 'b', 'b']);
    expect(world.budget.retries).toBe(0);
  });
});

describe('the wait before a retry', () => {
  it('passes on the injected clock: the only deployment is asked again when it is over, and not before', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 1, retryAfterSeconds: 30 } });
    world.transport.behaviour = (_host, call) => (call === 1 ? 500 : 200);
    const running = world.ask();
    await turn();
    await world.clock.pass(29_999);
    expect(world.transport.calls).toHaveLength(1);
    await world.clock.pass(1);
    expect(await running).toMatchObject({ attempts: 2 });
  });

  it('ends when the client leaves, and nobody is asked again', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 1, retryAfterSeconds: 30 } });
    world.transport.behaviour = () => 500;
    const controller = new AbortController();
    const running = world.ask({}, controller.signal);
    await turn();
    controller.abort(new ClientGone());
    // Nothing was under way, and the attempt before it was refused.
    expect(await running).toMatchObject({ last: controller.signal.reason, attempts: 1, mayBeBilled: false });
    expect(world.transport.calls).toHaveLength(1);
  });
});

it('a deployment that always fails gets no more than its failures and its probes, whatever weight it has (PR #34836)', async () => {
  const world = worldOf({
    deployments: [at('bad', { weight: 200 }), at('good', { weight: 1 })],
    recovery: { numRetries: 2 },
    cooldown: { cooldownSeconds: 1 },
  });
  world.transport.behaviour = (host) => (host === 'bad' ? 500 : 200);
  const results = await offer(world, 100, 5);
  expect(served(results)).toBe(500);
  // Five failures in a row take it out, then one probe for each second.
  expect(world.transport.countOf('bad')).toBeLessThanOrEqual(5 + 5);
});
describe('the time that is spent in waiting', () => {
  it('is that for upstreams and between attempts', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 1, retryAfterSeconds: 30 } });
    world.transport.behaviour = (_host, call) => (call === 1 ? 500 : 200);
    world.transport.latencyMs = 100;
    const running = world.ask();
    for (const step of [100, 30_000, 100]) {
      await turn();
      await world.clock.pass(step);
    }
    expect(await running).toMatchObject({ waitedMs: 30_200, maxRetries: 1 });
  });
});

describe('whether a failed request may have cost something', () => {
  it.each<[string, Behaviour, boolean]>([
    ['refused by everybody: no', () => 500, false],
    ['the last refuses, but one before it never answered: unknown', (_host, call) => (call === 1 ? 'lost' : 400), true],
    ['nobody could be connected to: no', () => 'refused', false],
  ])('%s', async (_case, behaviour, mayBeBilled) => {
    const world = worldOf({ deployments: [at('a'), at('b')], recovery: { numRetries: 1 } });
    world.transport.behaviour = behaviour;
    expect(await world.ask()).toMatchObject({ mayBeBilled });
  });

  it.each([
    [{}, true],
    [{ mock: { everyAttempt: { is: 'timeout' } } } as const, false],
  ])(
    'the time was over while an answer was awaited: only of a provider that was asked (%j)',
    async (over, expected) => {
      const world = worldOf({ deployments: [at('a')] });
      world.transport.behaviour = () => 'hangs';
      const controller = new AbortController();
      const running = world.ask(over, controller.signal);
      await turn();
      controller.abort(new DeadlineExceeded(1));
      expect(await running).toMatchObject({ mayBeBilled: expected });
    },
  );
});
