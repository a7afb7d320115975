import { describe, expect, it } from 'vitest';
import type { Reservation } from '../../../gateway/domain/admission.ts';
import type { Reached } from '../../../gateway/domain/answer.ts';
import type { AnswerCache } from '../../../gateway/domain/answer-cache.ts';
import { ClientGone, DeadlineExceeded, Refusal } from '../../../gateway/domain/errors.ts';
import type { JsonObject, ModelRequest } from '../../../gateway/domain/request.ts';
import type { SpendEvent, SpendIntent } from '../../../gateway/domain/spend.ts';
import { makeEstimator } from '../../../gateway/pipeline/estimate.ts';
import { NotReached } from '../../../gateway/pipeline/not-reached.ts';
import { type ServeDependencies, type Served, serve } from '../../../gateway/pipeline/serve.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { type Reply, Transport } from '../../../gateway/providers/transport.ts';
import { LoadBook } from '../../../gateway/routing/load.ts';
import { RetryBudget } from '../../../gateway/routing/retry-budget.ts';
import { Router } from '../../../gateway/routing/router.ts';
import {
  cooldownSettings,
  exampleCaller,
  exampleDeployment,
  exampleGroup,
  exampleRequest,
  recovery,
  routingSettings,
} from '../examples.ts';

const fine = Buffer.from('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}');
const prices = { inputCostPerToken: 0.001, outputCostPerToken: 0.002 };

class FakeTransport extends Transport {
  readonly bodies: unknown[] = [];
  readonly #send: () => Promise<Reply>;
  constructor(send: () => Promise<Reply>) {
    super();
    this.#send = send;
  }
  override send(call: { readonly body: Buffer }): Promise<Reply> {
    this.bodies.push(JSON.parse(call.body.toString()));
    return this.#send();
  }
}

const answers =
  (status: number, body = fine) =>
  async (): Promise<Reply> => ({
    kind: 'whole',
    response: { status, contentType: 'application/json', headers: {}, body },
  });

interface Asked {
  readonly over?: Partial<ServeDependencies>;
  readonly request?: ModelRequest;
  readonly signal?: AbortSignal;
  readonly maxOutputTokens?: number;
}

/** @returns the outcome, and every settlement of what was set aside, in order. */
async function ask(send: () => Promise<Reply>, asked: Asked = {}) {
  const settled: [cost: number | null, tokens: number | null][] = [];
  const reservation: Reservation = {
    reservedMicros: 1,
    accounts: [],
    maxOutputTokens: asked.maxOutputTokens,
    settle: (cost, tokens) => settled.push([cost, tokens]),
    headers: () => undefined,
  };
  const now = (): number => performance.now();
  const load = new LoadBook({ now, latencyTtlSeconds: 60 });
  const transport = new FakeTransport(send);
  const dependencies: ServeDependencies = {
    router: new Router({
      groups: exampleGroup(exampleDeployment('one', { prices })),
      aliases: new Map(),
      cooldown: cooldownSettings(),
      routing: routingSettings(),
      load,
      random: () => 0,
      now,
    }),
    load,
    retries: new RetryBudget(now),
    transport,
    sign: (call) => Promise.resolve(call),
    adapterFor: () => openAIAdapter,
    recovery: recovery({ numRetries: 0 }),
    random: () => 0,
    now,
    wait: () => Promise.resolve(),
    clientsMayMock: false,
    onAttempt: () => undefined,
    admission: { admit: () => reservation },
    estimate: () => ({ micros: 1, tokens: 1 }),
    hasRoom: () => true,
    onBegin: () => undefined,
    onDoubt: () => undefined,
    onSettled: () => undefined,
    whenWritten: () => undefined,
    ...asked.over,
  };
  const signal = asked.signal ?? new AbortController().signal;
  let outcome: Served | Error;
  try {
    outcome = await serve(asked.request ?? exampleRequest(), exampleCaller, now() + 1_000, signal, dependencies);
  } catch (error) {
    const last = error instanceof NotReached ? error.last : error;
    outcome = last instanceof Error ? last : new Error(String(last));
  }
  return { outcome, settled, bodies: transport.bodies };
}

describe('an answer that is in memory', () => {
  const kept = exampleDeployment('one', { prices });
  const recalled = (): Reached => ({
    answer: { kind: 'whole', status: 200, contentType: 'application/json', body: fine, usage: undefined },
    deployment: kept,
    attempts: 0,
    fallbacks: 0,
    maxRetries: 0,
    waitedMs: 0,
    release: () => undefined,
    cache: { key: 'key', isHit: () => true },
  });
  const cache = (): AnswerCache => ({ recall: recalled, answer: () => Promise.resolve(recalled()) });

  it('is given without anything being written down before, since nobody bills it', async () => {
    const begun: string[] = [];
    const ended: SpendEvent[] = [];
    const over = {
      cache: cache(),
      onBegin: ({ requestId }: SpendIntent): undefined => void begun.push(requestId),
      onSettled: (event: SpendEvent) => void ended.push(event),
    };
    const { outcome, bodies } = await ask(answers(200), { over });
    if (outcome instanceof Error) throw outcome;
    outcome.settlement.settle('finished', 200, undefined);
    expect(begun).toEqual([]);
    expect(bodies).toEqual([]);
    expect(ended).toMatchObject([{ cacheHit: true, costMicros: 0n, attempts: 0 }]);
  });

  it('is asked for like any other while room to write down its end may be missing', async () => {
    const full = new Refusal({ status: 503, type: 'service_unavailable_error', message: 'full' });
    const onBegin = (): never => {
      throw full;
    };
    const { outcome, settled } = await ask(answers(200), { over: { cache: cache(), hasRoom: () => false, onBegin } });
    expect(outcome).toBe(full);
    expect(settled).toEqual([[0, 0]]);
  });
});

const full = new Refusal({ status: 503, type: 'service_unavailable_error', message: 'full', retryAfterSeconds: 5 });

it.each<[string, () => Promise<void>]>([
  [
    'at once',
    () => {
      throw full;
    },
  ],
  ['with others of its turn', () => Promise.reject(full)],
])(
  'a request that cannot be written down is refused %s, before any upstream is called, and nothing stays set aside',
  async (_when, onBegin) => {
    const over = { onBegin };
    const { outcome, settled, bodies } = await ask(answers(200), { over });
    expect(outcome).toBe(full);
    expect(settled).toEqual([[0, 0]]);
    expect(bodies).toEqual([]);
  },
);

it.each<[string, () => Promise<Reply>, string]>([
  ['an answer', answers(200), 'finished'],
  ['a failure', answers(500, Buffer.from('{}')), 'failed'],
  ['a fault of the gateway', () => Promise.reject(new TypeError('a fault')), 'failed'],
])('what begins is written down before the upstream is called and ends once, with %s', async (_case, send, ending) => {
  const told: string[] = [];
  const over = {
    onBegin: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      told.push('begun');
    },
    onSettled: (event: { readonly ending: string }) => void told.push(event.ending),
  };
  const called = (): Promise<Reply> => {
    told.push('called');
    return send();
  };
  const { outcome } = await ask(called, { over });
  if (!(outcome instanceof Error))
    outcome.settlement.settle('finished', 200, { usage: { promptTokens: 3, completionTokens: 4 } });
  expect(told).toEqual(['begun', 'called', ending]);
});

describe('what was set aside for a request', () => {
  it('is settled with its answer, with its cost and its tokens, once', async () => {
    const { outcome, settled } = await ask(answers(200));
    if (outcome instanceof Error) throw outcome;
    expect(settled).toEqual([]);
    outcome.settlement.settle('finished', 200, { usage: { promptTokens: 3, completionTokens: 4 } });
    outcome.settlement.settle('broken', 200, undefined);
    expect(settled).toEqual([[11_000, 7]]);
  });

  it.each([
    ['the upstream says no', answers(400, Buffer.from('{"error":{"message":"no"}}')), [0, 0]],
    ['the upstream fails', answers(500, Buffer.from('{}')), [0, 0]],
    ['the connection breaks in the middle, which may be billed', () => Promise.reject(reset()), [null, null]],
    [
      'the connection is refused',
      () => Promise.reject(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })),
      [0, 0],
    ],
  ])('is settled once when %s', async (_case, send, expected) => {
    const { outcome, settled } = await ask(send);
    expect(outcome).toBeInstanceOf(Error);
    expect(settled).toEqual([expected]);
  });

  it.each([
    ['the client leaves', new ClientGone()],
    ['the time is over', new DeadlineExceeded(1)],
  ])('is settled once, as perhaps billed, when %s', async (_case, reason) => {
    const controller = new AbortController();
    const send = () => {
      controller.abort(reason);
      return Promise.reject(reason);
    };
    const { outcome, settled } = await ask(send, { signal: controller.signal });
    expect(outcome).toBe(reason);
    expect(settled).toEqual([[null, null]]);
  });

  it.each([
    [
      'an adapter cannot express the request',
      new Refusal({ status: 400, type: 'invalid_request_error', message: 'no' }),
      [0, 0],
    ],
    ['an adapter has a fault', new TypeError('a fault'), [null, null]],
  ])('is settled once when %s', async (_case, error, expected) => {
    const adapter = {
      ...openAIAdapter,
      toUpstream: () => {
        throw error;
      },
    };
    const { outcome, settled } = await ask(answers(200), { over: { adapterFor: () => adapter } });
    expect(outcome).toBe(error);
    expect(settled).toEqual([expected]);
  });

  it('is settled once when there is no such adapter at all', async () => {
    const missing = () => {
      throw new Error('no adapter');
    };
    const { outcome, settled } = await ask(answers(200), { over: { adapterFor: missing } });
    expect(outcome).toBeInstanceOf(Error);
    expect(settled).toHaveLength(1);
  });

  it('is nothing when the request is refused: by its model, or by admission itself', async () => {
    const unknown = await ask(answers(200), { request: exampleRequest(undefined, { model: 'unknown' }) });
    expect(unknown.outcome).toMatchObject({ status: 400 });
    const no = new Refusal({ status: 429, type: 'budget_exceeded', message: 'no' });
    const refused = await ask(answers(200), { over: { admission: { admit: () => Promise.reject(no) } } });
    expect(refused.outcome).toBe(no);
    expect([...unknown.settled, ...refused.settled, ...refused.bodies]).toEqual([]);
  });

  it('is given back whole when a mock answered: it costs nothing and uses no token', async () => {
    const mock = { everyAttempt: { is: 'answer', content: 'Hi' } } as const;
    const { outcome, settled, bodies } = await ask(answers(200), {
      request: exampleRequest(undefined, { mock }),
      over: { clientsMayMock: true },
    });
    if (outcome instanceof Error) throw outcome;
    const { answer, settlement } = outcome;
    expect(answer.mocked).toBe(true);
    settlement.settle('finished', 200, undefined, answer.mocked !== true);
    expect([settled, bodies]).toEqual([[[0, 0]], []]);
  });

  it('is nothing for a key that may not use test hooks', async () => {
    const mock = { everyAttempt: { is: 'answer', content: 'Hi' } } as const;
    const { outcome, settled } = await ask(answers(200), { request: exampleRequest(undefined, { mock }) });
    expect(outcome).toMatchObject({ status: 403 });
    expect(settled).toEqual([]);
  });

  it('may bound the output: the upstream is told', async () => {
    const { bodies } = await ask(answers(200), { maxOutputTokens: 42 });
    expect(bodies).toMatchObject([{ max_tokens: 42 }]);
  });
});

const reset = (): Error => Object.assign(new Error('reset'), { code: 'ECONNRESET' });

describe('what is set aside for fallbacks that change the request', () => {
  const group = exampleGroup(exampleDeployment('one', { prices }));
  const now = (): number => 0;
  const { directory } = new Router({
    groups: group,
    aliases: new Map(),
    cooldown: cooldownSettings(),
    routing: routingSettings(),
    load: new LoadBook({ now, latencyTtlSeconds: 60 }),
    random: () => 0,
    now,
  });
  const estimate = makeEstimator({ directory, recovery: recovery(), defaultOutputTokens: 100 });
  const asking = (members?: JsonObject, more: JsonObject = {}) => {
    const body = { model: 'chat', messages: [], ...more, fallbacks: [{ model: 'chat', ...members }] };
    const fallbacks = [members === undefined ? { model: 'chat' } : { model: 'chat', members }];
    return estimate(exampleRequest(body, { overrides: { disableFallbacks: false, fallbacks } }), 'chat');
  };

  it('is the most that any of them may use: its prompt, its maximum, its choices', () => {
    const plain = asking(undefined, { max_tokens: 10 }).tokens;
    const longer = [{ role: 'user', content: 'x'.repeat(3_000) }];
    expect(asking({ messages: longer }, { max_tokens: 10 }).tokens).toBeGreaterThanOrEqual(plain + 1_000);
    expect(asking({ max_tokens: 5_000 }, { max_tokens: 10 }).tokens).toBeGreaterThanOrEqual(plain + 4_990);
    expect(asking({ n: 5 }, { max_tokens: 10 }).tokens).toBeGreaterThanOrEqual(plain + 40);
  });

  it('cannot be reduced by a bound on the output, which theirs would not keep', () => {
    expect(asking().openOutput).toBeDefined();
    expect(asking({ max_tokens: 5_000 }).openOutput).toBeUndefined();
  });
});
