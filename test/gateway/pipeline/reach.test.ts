import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reached } from '../../../gateway/domain/answer.ts';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { ClientGone, DeadlineExceeded, type UpstreamError } from '../../../gateway/domain/errors.ts';
import type { CooldownSettings, RecoverySettings, RoutingSettings } from '../../../gateway/domain/recovery.ts';
import type { ModelRequest } from '../../../gateway/domain/request.ts';
import { NotReached } from '../../../gateway/pipeline/not-reached.ts';
import { reach } from '../../../gateway/pipeline/reach.ts';
import type { UpstreamCall } from '../../../gateway/providers/adapter.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { type Reply, type Timers, Transport } from '../../../gateway/providers/transport.ts';
import { LoadBook } from '../../../gateway/routing/load.ts';
import { RetryBudget } from '../../../gateway/routing/retry-budget.ts';
import { Router } from '../../../gateway/routing/router.ts';
import { cooldownSettings, exampleDeployment, exampleRequest, recovery, routingSettings } from '../examples.ts';

/** What an upstream does with a call: a status, or a connection that fails. */
type Fate = number | 'refused' | 'lost' | 'hangs';
type Behaviour = (host: string, call: number) => Fate;

/** Sends nothing: answers at once or after a while of the simulated time. */
class FakeTransport extends Transport {
  /** Host and model of each call, oldest first. */
  readonly calls: { readonly host: string; readonly model: unknown }[] = [];
  /** Bodies of these calls. */
  readonly bodies: unknown[] = [];
  behaviour: Behaviour = () => 200;
  latencyMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override async send(call: UpstreamCall, _timers: Timers, signal: AbortSignal): Promise<Reply> {
    const { host } = new URL(call.origin);
    const body: unknown = JSON.parse(call.body.toString());
    const model: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'model') : undefined;
    this.calls.push({ host, model });
    this.bodies.push(body);
    const fate = this.behaviour(host, this.calls.length);
    if (this.latencyMs > 0) await this.#clock.wait(this.latencyMs);
    if (fate === 'hangs') {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(asError(signal.reason)));
      });
    }
    if (fate === 'lost') throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    if (fate === 'refused') throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    return {
      kind: 'whole',
      response: { status: fate, contentType: 'application/json', headers: {}, body: bodyOf(fate) },
    };
  }

  countOf(host: string): number {
    return this.calls.filter((call) => call.host === host).length;
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
const fine = Buffer.from('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}');
const tooLong = Buffer.from('{"error":{"message":"too long","code":"context_length_exceeded"}}');
const wrong = Buffer.from('{"error":{"message":"no"}}');
const bodyOf = (status: number): Buffer => (status < 300 ? fine : status === 413 ? tooLong : wrong);

/** Time that passes only when a test says so. */
class Clock {
  ms = 6_000_000;
  #sleepers: { readonly dueMs: number; readonly wake: () => void }[] = [];
  readonly now = (): number => this.ms;

  wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake, reject) => {
      this.#sleepers.push({ dueMs: this.ms + milliseconds, wake });
      signal?.addEventListener('abort', () => reject(asError(signal.reason)));
    });
  }

  async pass(milliseconds: number): Promise<void> {
    this.ms += milliseconds;
    const due = this.#sleepers.filter(({ dueMs }) => dueMs <= this.ms);
    this.#sleepers = this.#sleepers.filter(({ dueMs }) => dueMs > this.ms);
    for (const { wake } of due) wake();
    await turn();
  }
}

/** Notes which groups it keeps numbers for. */
class WatchedBudget extends RetryBudget {
  readonly groups = new Set<string>();
  retries = 0;

  override countRequest(group: string): void {
    this.groups.add(group);
    super.countRequest(group);
  }

  override countRetry(group: string): void {
    this.groups.add(group);
    this.retries++;
    super.countRetry(group);
  }
}

interface World {
  readonly clock: Clock;
  readonly transport: FakeTransport;
  readonly router: Router;
  readonly load: LoadBook;
  readonly budget: WatchedBudget;
  readonly cooled: Deployment[];
  /** Sends one; a failure comes back as a value. */
  ask(over?: Partial<ModelRequest>, signal?: AbortSignal): Promise<Reached | NotReached>;
}

interface WorldOptions {
  readonly deployments: readonly Deployment[];
  readonly aliases?: Readonly<Record<string, string>>;
  readonly recovery?: Partial<RecoverySettings>;
  readonly routing?: Partial<RoutingSettings>;
  readonly cooldown?: Partial<CooldownSettings>;
  readonly random?: () => number;
}

function worldOf(options: WorldOptions): World {
  const clock = new Clock();
  const transport = new FakeTransport(clock);
  const routing = routingSettings(options.routing);
  const load = new LoadBook({ now: clock.now, latencyTtlSeconds: routing.latencyTtlSeconds });
  const budget = new WatchedBudget(clock.now);
  const cooled: Deployment[] = [];
  const groups = new Map<string, Deployment[]>();
  for (const one of options.deployments) groups.set(one.modelGroup, [...(groups.get(one.modelGroup) ?? []), one]);
  const router = new Router({
    groups,
    aliases: new Map(Object.entries(options.aliases ?? {}).map(([alias, group]) => [alias, { group, hidden: false }])),
    cooldown: cooldownSettings({ cooldownSeconds: 5, ...options.cooldown }),
    routing,
    load,
    random: Math.random,
    now: clock.now,
    onCooled: (deployment) => cooled.push(deployment),
  });
  const dependencies = {
    router,
    load,
    retries: budget,
    transport,
    sign: (call: UpstreamCall) => Promise.resolve(call),
    adapterFor: () => openAIAdapter,
    recovery: recovery(options.recovery),
    // The exponential wait is drawn between 0 and its ceiling.
    random: options.random ?? (() => 0),
    now: clock.now,
    wait: (milliseconds: number, signal: AbortSignal) => clock.wait(milliseconds, signal),
    onDoubt: () => undefined,
    onAttempt: (_deployment: Deployment, _outcome: 'success' | UpstreamError) => undefined,
  };
  const ask: World['ask'] = async (over = {}, signal = new AbortController().signal) => {
    const request = exampleRequest(
      { model: over.model ?? 'chat', messages: [{ role: 'user', content: 'Hello!' }] },
      over,
    );
    const group = router.directory.resolve(request.model) ?? 'unresolved';
    try {
      const reached = await reach(request, group, clock.ms + 600_000, signal, dependencies);
      reached.release();
      return reached;
    } catch (error) {
      if (error instanceof NotReached) return error;
      throw error;
    }
  };
  return { clock, transport, router, load, budget, cooled, ask };
}

/** `a` is at `http://a`. */
const at = (host: string, over: Partial<Deployment> = {}): Deployment =>
  exampleDeployment(host, { origin: `http://${host}`, ...over });
const served = (results: readonly (Reached | NotReached)[]): number =>
  results.filter((result) => !(result instanceof NotReached)).length;
const burst = (world: World, count: number): Promise<(Reached | NotReached)[]> =>
  Promise.all(Array.from({ length: count }, () => world.ask()));

/** Requests at a steady rate of the simulated time. */
async function offer(world: World, perSecond: number, seconds: number): Promise<(Reached | NotReached)[]> {
  const stepMs = 10;
  const running: Promise<Reached | NotReached>[] = [];
  for (let elapsedMs = 0; elapsedMs < seconds * 1_000; elapsedMs += stepMs) {
    for (let request = 0; request < (perSecond * stepMs) / 1_000; request++) running.push(world.ask());
    await world.clock.pass(stepMs);
  }
  // Those that are still under way, with all the retries they may need.
  for (let step = 0; step < 200; step++) await world.clock.pass(stepMs);
  return Promise.all(running);
}

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

describe('names', () => {
  const wild = at('wild', { modelGroup: 'openai/*', model: '*' });

  it('a pattern’s deployment is called with what the client put in the place of the star', async () => {
    const world = worldOf({ deployments: [wild] });
    await world.ask({ model: 'openai/gpt-4o' });
    expect(world.transport.calls).toEqual([{ host: 'wild', model: 'gpt-4o' }]);
  });

  it('a fallback that a pattern fits is called with the fallback’s name, not with the star', async () => {
    const world = worldOf({
      deployments: [at('a'), wild],
      recovery: { numRetries: 0, fallbacks: new Map([['chat', ['openai/gpt-4o-mini']]]) },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    await world.ask();
    expect(world.transport.calls.at(-1)).toEqual({ host: 'wild', model: 'gpt-4o-mini' });
  });

  it('a fallback list may be stored under the name the client asks for, an alias or a name that a pattern fits', async () => {
    const world = worldOf({
      deployments: [at('a'), wild, at('spare', { modelGroup: 'spare' })],
      aliases: { cheap: 'chat' },
      recovery: {
        numRetries: 0,
        fallbacks: new Map([
          ['openai/gpt-4o', ['spare']],
          ['cheap', ['spare']],
        ]),
      },
    });
    world.transport.behaviour = (host) => (host === 'spare' ? 200 : 500);
    for (const model of ['openai/gpt-4o', 'cheap']) {
      expect((await world.ask({ model })).deployment?.id).toBe('spare');
    }
    expect(await world.ask({ model: 'openai/o3' })).toBeInstanceOf(NotReached);
    expect(await world.ask({ model: 'chat' })).toBeInstanceOf(NotReached);
  });

  it('a fallback list under a name without a provider holds for the name with it, unless that has its own', async () => {
    const world = worldOf({
      deployments: [wild, at('spare', { modelGroup: 'spare' }), at('own', { modelGroup: 'own' })],
      recovery: {
        numRetries: 0,
        fallbacks: new Map([
          ['o3', ['spare']],
          ['gpt-4o', ['spare']],
          ['openai/gpt-4o', ['own']],
        ]),
      },
    });
    world.transport.behaviour = (host) => (host === 'spare' || host === 'own' ? 200 : 500);
    expect((await world.ask({ model: 'openai/o3' })).deployment?.id).toBe('spare');
    expect((await world.ask({ model: 'openai/gpt-4o' })).deployment?.id).toBe('own');
  });

  it('a name that a client makes up for a pattern and that is not found takes no deployment out of rotation', async () => {
    const twin = at('twin', { modelGroup: 'openai/*', model: '*' });
    const world = worldOf({ deployments: [wild, twin] });
    world.transport.behaviour = () => 404;
    for (let request = 0; request < 10; request++) await world.ask({ model: `openai/invented-${request}` });
    expect(world.cooled).toEqual([]);
    world.transport.behaviour = () => 401;
    await world.ask({ model: 'openai/gpt-4o' });
    // Told by its configured name: a name of the client's would make a metric for each that anybody invents.
    expect(world.cooled).toMatchObject([{ model: '*' }]);
  });

  it('fallbacks that a client makes up take no memory', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 0 } });
    world.transport.behaviour = () => 500;
    for (let request = 0; request < 50; request++) {
      await world.ask({ overrides: { disableFallbacks: false, fallbacks: [{ model: `invented-${request}` }] } });
    }
    expect([...world.budget.groups]).toEqual(['chat']);
  });

  it('an alias and its group share one retry budget', async () => {
    const world = worldOf({ deployments: [at('a')], aliases: { cheap: 'chat' } });
    await world.ask({ model: 'cheap' });
    await world.ask();
    expect([...world.budget.groups]).toEqual(['chat']);
  });
});

describe('a fallback', () => {
  const hosts = (world: World): string[] => world.transport.calls.map(({ host }) => host);
  const naming = (...names: string[]) => ({
    overrides: { disableFallbacks: false, fallbacks: names.map((model) => ({ model })) },
  });

  it.each([
    ['an alias of the group that failed', 'cheap'],
    ['the id of the deployment that failed', 'a'],
    ['the model string of the deployment that failed', 'openai/upstream-model'],
  ])('that names %s is passed over: nobody is asked twice for the same', async (_case, name) => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare', model: 'other' })],
      aliases: { cheap: 'chat' },
      recovery: { numRetries: 0 },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    const result = await world.ask(naming(name, 'spare'));
    expect(hosts(world)).toEqual(['a', 'b']);
    expect(result).toMatchObject({ fallbacks: 1 });
    // The same from a config.
    const configured = worldOf({
      deployments: [at('a')],
      aliases: { cheap: 'chat' },
      recovery: { numRetries: 0, fallbacks: new Map([['chat', [name]]]) },
    });
    configured.transport.behaviour = () => 500;
    await configured.ask();
    expect(hosts(configured)).toEqual(['a']);
  });

  it('that names a deployment which this request has not tried is asked, although its group failed', async () => {
    const world = worldOf({ deployments: [at('a', { order: 1 }), at('b', { order: 2 })], recovery: { numRetries: 0 } });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    expect(await world.ask(naming('b'))).toMatchObject({ fallbacks: 1, deployment: { id: 'b' } });
  });

  it('that shares a deployment with the group that failed asks the others first', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare', model: 'upstream-model', weight: 0 })],
      recovery: { numRetries: 0 },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    for (let request = 0; request < 20; request++) {
      expect(await world.ask(naming('openai/upstream-model'))).toMatchObject({ deployment: { id: 'b' } });
    }
  });

  it('to another model of the same pattern is asked, and one to the same model is not', async () => {
    const wild = at('wild', { modelGroup: 'openai/*', model: '*' });
    const world = worldOf({ deployments: [wild], aliases: { mini: 'openai/gpt-mini' }, recovery: { numRetries: 0 } });
    world.transport.behaviour = () => 500;
    await world.ask({ model: 'openai/gpt-mini', ...naming('mini', 'openai/gpt-large', 'openai/gpt-large') });
    expect(world.transport.calls.map(({ model }) => model)).toEqual(['gpt-mini', 'gpt-large']);
  });

  it('that names a cooling deployment by its id is asked all the same', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' }), at('c', { modelGroup: 'spare' })],
      recovery: { numRetries: 0 },
    });
    world.router.adopt('b', 60_000);
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    expect(await world.ask(naming('b'))).toMatchObject({ deployment: { id: 'b' } });
  });

  it('as an object changes the members it names and no other, and the next one starts from the client’s own request', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' }), at('c', { modelGroup: 'last' })],
      recovery: { numRetries: 0 },
    });
    world.transport.behaviour = (host) => (host === 'c' ? 200 : 500);
    const shorter = [{ role: 'user', content: 'Hi' }];
    const result = await world.ask({
      overrides: {
        disableFallbacks: false,
        fallbacks: [{ model: 'spare', members: { messages: shorter, temperature: 0 } }, { model: 'last' }],
      },
    });
    const messages = [{ role: 'user', content: 'Hello!' }];
    expect(world.transport.bodies).toEqual([
      { model: 'upstream-model', messages },
      { model: 'upstream-model', messages: shorter, temperature: 0 },
      { model: 'upstream-model', messages },
    ]);
    expect(result).toMatchObject({ fallbacks: 2, deployment: { id: 'c' } });
  });

  it('as an object may send a shorter prompt to the same model, once', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 2 } });
    world.transport.behaviour = () => 413;
    const shorter = { model: 'chat', members: { messages: [{ role: 'user', content: 'Hi' }] } };
    await world.ask({ overrides: { disableFallbacks: false, fallbacks: [shorter, { model: 'chat' }] } });
    expect(world.transport.calls).toHaveLength(2);
  });

  it('that fails is taken out of rotation like any other deployment (PR #34416)', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' }), at('c', { modelGroup: 'spare' })],
      recovery: { numRetries: 0, fallbacks: new Map([['chat', ['spare']]]) },
      routing: { strategy: 'least-busy' },
    });
    world.transport.behaviour = (host) => (host === 'c' ? 200 : 401);
    for (let request = 0; request < 10; request++) await world.ask();
    expect(world.cooled.map(({ id }) => id)).toContain('b');
  });

  it('is not asked with disable_fallbacks, and no more than max_fallbacks are', async () => {
    const groups = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6', 'g7'];
    const world = worldOf({
      deployments: ['chat', ...groups].map((modelGroup) => at(modelGroup, { modelGroup })),
      recovery: { numRetries: 0, fallbacks: new Map([['chat', groups]]) },
    });
    world.transport.behaviour = () => 500;
    await world.ask();
    expect(hosts(world)).toEqual(['chat', 'g1', 'g2', 'g3', 'g4', 'g5']);
    await world.ask({ overrides: { disableFallbacks: true, fallbacks: [{ model: 'g1' }] } });
    expect(hosts(world).slice(6)).toEqual(['chat']);
  });

  it('that failed too: its own error is the one the client gets', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' })],
      recovery: { numRetries: 0, fallbacks: new Map([['chat', ['spare']]]) },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 404);
    expect(await world.ask()).toMatchObject({ last: { status: 404 }, deployment: { id: 'b' } });
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

describe('what a client pretends', () => {
  const failing = (kind: 'rate-limit' | 'timeout'): Partial<ModelRequest> =>
    kind === 'rate-limit' ? { mock: { firstAttempt: { is: kind } } } : { mock: { everyAttempt: { is: kind } } };

  it('is sent to nobody, and says nothing about a deployment: none is cooled, measured or counted', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 0 }, cooldown: { allowedFails: 0 } });
    for (let request = 0; request < 20; request++) {
      const content = request % 2 === 0 ? 'Hi' : 'litellm.InternalServerError';
      await world.ask({ mock: { everyAttempt: { is: 'answer', content } } });
    }
    expect(world.transport.calls).toEqual([]);
    expect(world.cooled).toEqual([]);
    expect(world.load.of('a')).toMatchObject({ inFlight: 0, secondsPerToken: undefined });
  });

  it('mock_testing_fallbacks: nobody of the group is asked, its fallback is, for real', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' })],
      recovery: { fallbacks: new Map([['chat', ['spare']]]) },
    });
    expect(await world.ask({ mock: { groupFails: 'unavailable' } })).toMatchObject({
      deployment: { id: 'b' },
      attempts: 1,
      fallbacks: 1,
    });
    expect(world.transport.calls.map(({ host }) => host)).toEqual(['b']);
  });

  it.each([
    ['context-window', 'long'],
    ['content-policy', 'free'],
  ] as const)('a mock %s failure goes to its own list', async (groupFails, id) => {
    const world = worldOf({
      deployments: [at('a'), at('long', { modelGroup: 'long' }), at('free', { modelGroup: 'free' })],
      recovery: {
        contextWindowFallbacks: new Map([['chat', ['long']]]),
        contentPolicyFallbacks: new Map([['chat', ['free']]]),
      },
    });
    expect(await world.ask({ mock: { groupFails } })).toMatchObject({ deployment: { id } });
  });

  it('mock_testing_fallbacks without a fallback is the pretended error, and costs nothing', async () => {
    const world = worldOf({ deployments: [at('a')] });
    const failed = await world.ask({ mock: { groupFails: 'unavailable' } });
    expect(failed).toMatchObject({ attempts: 0, last: { status: 500, mayBeBilled: false } });
    expect(world.transport.calls).toEqual([]);
  });

  it('mock_testing_rate_limit_error: the first attempt fails, the retry is real', async () => {
    const world = worldOf({ deployments: [at('a'), at('b')], recovery: { numRetries: 2 } });
    expect(await world.ask(failing('rate-limit'))).toMatchObject({ attempts: 2, fallbacks: 0 });
    expect(world.transport.calls).toHaveLength(1);
    expect(world.cooled).toEqual([]);
  });

  it('mock_timeout: each attempt takes its whole time on the injected clock and fails', async () => {
    const world = worldOf({ deployments: [at('a', { timeoutSeconds: 7 })], recovery: { numRetries: 0 } });
    const running = world.ask(failing('timeout'));
    await turn();
    let ended = false;
    void running.then(() => {
      ended = true;
    });
    await world.clock.pass(6_999);
    expect(ended).toBe(false);
    await world.clock.pass(1);
    expect(await running).toMatchObject({ last: { kind: 'timeout', status: 408 } });
    expect(world.transport.calls).toEqual([]);
  });

  it('mock_response of a deployment is an attempt like any other: its failures cool it', async () => {
    const mock = { is: 'answer', content: 'litellm.RateLimitError' } as const;
    const world = worldOf({ deployments: [at('a', { mock, order: 1 }), at('b', { order: 2 })] });
    expect(await world.ask()).toMatchObject({ deployment: { id: 'b' }, attempts: 2 });
    expect(world.cooled.map(({ id }) => id)).toEqual(['a']);
  });
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
