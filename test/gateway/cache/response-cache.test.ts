import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { ResponseCache } from '../../../gateway/cache/response-cache.ts';
import type { ChunkConsumer, ChunkSource, Reached } from '../../../gateway/domain/answer.ts';
import { type CacheStore, LeftWaiting, type StoreLook } from '../../../gateway/domain/answer-cache.ts';
import type { CacheSettings } from '../../../gateway/domain/cache-settings.ts';
import { ClientGone } from '../../../gateway/domain/errors.ts';
import type { Caller, JsonObject } from '../../../gateway/domain/request.ts';
import { exampleCaller, exampleDeployment, exampleRequest } from '../examples.ts';
import { cacheSettings } from './cache-settings.ts';

/** One call that a test answers itself. */
interface Call {
  readonly signal: AbortSignal;
  readonly resolve: (reached: Reached) => void;
  readonly reject: (error: Error) => void;
}

const deployment = exampleDeployment('one');
const usage = { promptTokens: 3, completionTokens: 4 };
let released = 0;
const whole = (text: string, over: Partial<Reached> = {}): Reached => ({
  answer: { kind: 'whole', status: 200, contentType: 'application/json', body: Buffer.from(text), usage },
  deployment,
  attempts: 1,
  fallbacks: 0,
  maxRetries: 0,
  waitedMs: 0,
  release: () => released++,
  ...over,
});

/** An upstream's stream that a test plays. */
class Source implements ChunkSource {
  consumer: ChunkConsumer | undefined;
  aborted: Error | undefined;
  paused = false;
  start(consumer: ChunkConsumer): void {
    this.consumer = consumer;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  abort(reason: Error): void {
    this.aborted = reason;
  }
  usage() {
    return usage;
  }
  unreportedTokens() {
    return 0;
  }
  say(text: string): void {
    this.consumer?.chunk(Buffer.from(text));
  }
}
const stream = (source: Source): Reached => ({
  ...whole(''),
  answer: { kind: 'stream', contentType: 'text/event-stream', chunks: source },
});

let calls: Call[];
let clock: number;
beforeEach(() => {
  calls = [];
  clock = 1_000_000;
  released = 0;
});

function open(settings: Partial<CacheSettings> = {}, store?: CacheStore) {
  let known = true;
  const cache = new ResponseCache({
    settings: cacheSettings(settings),
    store,
    findDeployment: (id) => (known && id === deployment.id ? deployment : undefined),
    now: () => performance.now(),
    wallNow: () => clock,
    newToken: () => 'token',
  });
  const ask = (body: JsonObject = {}, caller: Partial<Caller> = {}) => {
    const leave = new AbortController();
    const answer = cache.answer({
      request: exampleRequest({ model: 'chat', messages: [], ...body }),
      caller: { ...exampleCaller, ...caller },
      group: 'chat',
      deadlineMs: performance.now() + 10_000,
      signal: leave.signal,
      ask: (signal) =>
        new Promise((resolve, reject) => {
          calls.push({ signal, resolve, reject });
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    });
    // Looked at later, if at all.
    answer.catch(() => undefined);
    return { answer, leave: () => leave.abort(new ClientGone()) };
  };
  return {
    ask,
    cache,
    forgetDeployment: () => {
      known = false;
    },
  };
}

const bodyOf = ({ answer }: Reached): string => (answer.kind === 'whole' ? answer.body.toString() : 'a stream');

/** Reads a stream to what has come of it. */
function listen({ answer }: Reached) {
  const heard = { text: '', ending: undefined as string | undefined };
  if (answer.kind !== 'stream') throw new Error('not a stream');
  answer.chunks.start({
    chunk: (bytes) => {
      heard.text += bytes.toString();
    },
    finished: () => {
      heard.ending = 'finished';
    },
    broken: (error) => {
      heard.ending = error.name;
    },
  });
  return { heard, chunks: answer.chunks };
}

async function kept(opened: ReturnType<typeof open>, body: JsonObject = {}, reached = whole('answer')): Promise<void> {
  const { answer } = opened.ask(body);
  await turn();
  calls.pop()?.resolve(reached);
  await answer;
}

describe('an answer that was kept', () => {
  it('is recalled without a promise; what is not kept, or may not be read, is not', async () => {
    const opened = open();
    await kept(opened);
    const recall = (body: JsonObject) => {
      const request = exampleRequest({ model: 'chat', messages: [], ...body });
      return opened.cache.recall({ request, caller: exampleCaller, group: 'chat' });
    };
    const recalled = recall({});
    if (recalled === undefined) throw new Error('nothing was recalled');
    expect(bodyOf(recalled)).toBe('answer');
    expect(recalled.cache?.isHit()).toBe(true);
    expect(recall({ temperature: 0.5 })).toBeUndefined();
    expect(recall({ cache: { 'no-cache': true } })).toBeUndefined();
    expect(recall({ cache: 'not an object' })).toBeUndefined();
  });

  it('is given again without a call, marked as a hit with its key', async () => {
    const opened = open();
    await kept(opened);
    const again = await opened.ask().answer;
    expect(calls).toHaveLength(0);
    expect(bodyOf(again)).toBe('answer');
    expect(again).toMatchObject({ deployment: { id: 'one' }, attempts: 0 });
    expect(again.cache?.isHit()).toBe(true);
    expect(again.cache?.key).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each<[string, JsonObject, Partial<Caller>]>([
    ['another question', { temperature: 1 }, {}],
    ['another tenant', {}, { keyHash: 'b'.repeat(64) }],
    ['a stream', { stream: true }, {}],
    ['no-cache', { cache: { 'no-cache': true } }, {}],
    ['another namespace', { cache: { namespace: 'n' } }, {}],
  ])('is not given to %s', async (_, body, caller) => {
    const opened = open();
    await kept(opened);
    opened.ask(body, caller);
    await turn();
    expect(calls).toHaveLength(1);
  });

  it('is not given when it is too old: for itself, or for who asks', async () => {
    const opened = open({ ttlSeconds: 100 });
    await kept(opened);
    clock += 50_000;
    opened.ask({ cache: { 's-maxage': 49 } });
    await turn();
    expect(calls).toHaveLength(1);
    await opened.ask({ cache: { 's-maxage': 51 } }).answer;
    clock += 50_000;
    opened.ask({ cache: { 'no-coalesce': true } });
    await turn();
    expect(calls).toHaveLength(2);
  });

  it('is not given when the deployment that gave it is no longer configured', async () => {
    const opened = open();
    await kept(opened);
    opened.forgetDeployment();
    opened.ask();
    await turn();
    expect(calls).toHaveLength(1);
  });

  it.each<[string, JsonObject, Reached]>([
    ['no-store', { cache: { 'no-store': true } }, whole('x')],
    ['an emergency answer of another group', {}, whole('x', { fallbacks: 1 })],
    ['an answer that is too large', {}, whole('x'.repeat(100_001))],
    ['an empty answer', {}, whole('')],
  ])('%s is not kept', async (_, body, reached) => {
    const opened = open();
    await kept(opened, body, reached);
    opened.ask();
    await turn();
    expect(calls).toHaveLength(1);
  });

  it('makes room for newer ones within its bytes', async () => {
    const opened = open({ maxMemoryBytes: 250_000, maxAnswerBytes: 100_000 });
    for (const serial of [1, 2, 3]) await kept(opened, { serial }, whole('x'.repeat(90_000)));
    opened.ask({ serial: 1 });
    await opened.ask({ serial: 3 }).answer;
    await turn();
    expect(calls).toHaveLength(1);
  });
});

describe('requests that ask the same at once', () => {
  it('are one call; one of them pays, and the deployment is let go once', async () => {
    const { ask } = open();
    const asked = Array.from({ length: 5 }, () => ask());
    await turn();
    expect(calls).toHaveLength(1);
    calls[0]?.resolve(whole('answer'));
    const answers = await Promise.all(asked.map(({ answer }) => answer));
    expect(answers.map(bodyOf)).toEqual(Array.from({ length: 5 }, () => 'answer'));
    expect(answers.map(({ cache }) => cache?.isHit())).toEqual([false, true, true, true, true]);
    expect(answers.map(({ attempts }) => attempts)).toEqual([1, 0, 0, 0, 0]);
    for (const { release } of answers) release();
    expect(released).toBe(1);
  });

  it.each([
    ['when they say no-coalesce', { cache: { 'no-coalesce': true } }, {}],
    ['when the configuration says so', {}, { coalesce: false }],
  ])('are calls of their own %s', async (_, body, settings) => {
    const { ask } = open(settings);
    ask(body);
    ask(body);
    await turn();
    expect(calls).toHaveLength(2);
  });

  it('go on when the first client leaves; the next one pays', async () => {
    const { ask } = open();
    const [first, second, third] = [ask(), ask(), ask()];
    await turn();
    first.leave();
    await expect(first.answer).rejects.toBeInstanceOf(LeftWaiting);
    expect(calls[0]?.signal.aborted).toBe(false);
    calls[0]?.resolve(whole('answer'));
    const [two, three] = await Promise.all([second.answer, third.answer]);
    expect([two.cache?.isHit(), three.cache?.isHit()]).toEqual([false, true]);
  });

  it('end the call when the last of them leaves, who hears what the call says', async () => {
    const { ask } = open();
    const [first, second] = [ask(), ask()];
    await turn();
    first.leave();
    second.leave();
    expect(calls[0]?.signal.aborted).toBe(true);
    await expect(second.answer).rejects.toBeInstanceOf(ClientGone);
    // Nobody joins what is being ended.
    ask();
    await turn();
    expect(calls).toHaveLength(2);
  });

  it('a failure is one request’s; the others ask once more together, then each alone', async () => {
    const { ask } = open();
    const asked = [ask(), ask(), ask(), ask()];
    await turn();
    calls[0]?.reject(new Error('first'));
    await expect(asked[0]?.answer).rejects.toThrow('first');
    await turn();
    expect(calls).toHaveLength(2);
    calls[1]?.reject(new Error('second'));
    await turn();
    await turn();
    expect(calls).toHaveLength(4);
    for (const call of calls.slice(2)) call.resolve(whole('at last'));
    const outcomes = await Promise.allSettled(asked.map(({ answer }) => answer));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled']);
  });
});

describe('a stream', () => {
  it('is heard by all who ask while it runs, from its beginning, and afterwards at once', async () => {
    const { ask } = open();
    const source = new Source();
    const one = ask({ stream: true });
    await turn();
    calls[0]?.resolve(stream(source));
    const first = await one.answer;
    const { heard } = listen(first);
    source.say('a');
    const late = await ask({ stream: true }).answer;
    const { heard: heardLate } = listen(late);
    source.say('b');
    expect([heard.text, heardLate.text]).toEqual(['ab', 'ab']);
    source.consumer?.finished();
    expect([heard.ending, heardLate.ending]).toEqual(['finished', 'finished']);
    expect([first.cache?.isHit(), late.cache?.isHit()]).toEqual([false, true]);
    const { heard: replayed } = listen(await ask({ stream: true }).answer);
    expect(replayed).toEqual({ text: 'ab', ending: 'finished' });
    expect(calls).toHaveLength(1);
    expect(released).toBe(1);
  });

  it('that breaks is broken for all, and not kept', async () => {
    const { ask } = open();
    const source = new Source();
    const asked = [ask({ stream: true }), ask({ stream: true })];
    await turn();
    calls[0]?.resolve(stream(source));
    const [one, two] = (await Promise.all(asked.map(({ answer }) => answer))).map(listen);
    source.say('a');
    source.consumer?.broken(new TypeError('cut'));
    expect([one?.heard.ending, two?.heard.ending]).toEqual(['TypeError', 'TypeError']);
    ask({ stream: true });
    await turn();
    expect(calls).toHaveLength(2);
  });

  it('goes on for the others when the first client leaves, who is told and pays nothing', async () => {
    const { ask } = open();
    const source = new Source();
    const asked = [ask({ stream: true }), ask({ stream: true })];
    await turn();
    calls[0]?.resolve(stream(source));
    const answers = await Promise.all(asked.map(({ answer }) => answer));
    const [one, two] = answers.map(listen);
    source.say('a');
    asked[0]?.leave();
    expect(one?.heard.ending).toBe('ClientGone');
    expect(source.aborted).toBeUndefined();
    source.say('b');
    source.consumer?.finished();
    expect(two?.heard).toEqual({ text: 'ab', ending: 'finished' });
    expect(answers.map(({ cache }) => cache?.isHit())).toEqual([true, false]);
    asked[1]?.leave();
  });

  it('is let go when its last reader leaves, who pays', async () => {
    const { ask } = open();
    const source = new Source();
    const asked = [ask({ stream: true }), ask({ stream: true })];
    await turn();
    calls[0]?.resolve(stream(source));
    const answers = await Promise.all(asked.map(({ answer }) => answer));
    answers.map(listen);
    asked[1]?.leave();
    asked[0]?.leave();
    expect(source.aborted).toBeInstanceOf(ClientGone);
    expect(answers.map(({ cache }) => cache?.isHit())).toEqual([false, true]);
    expect(released).toBe(1);
  });

  it('of a client that left before it began to read ends for that client', async () => {
    const { ask } = open();
    const asked = ask({ stream: true });
    await turn();
    const source = new Source();
    calls[0]?.resolve(stream(source));
    const reached = await asked.answer;
    asked.leave();
    expect(listen(reached).heard.ending).toBe('ClientGone');
    expect(source.aborted).toBeInstanceOf(ClientGone);
  });

  it('that is too large is passed on, not kept, and holds no more memory than the slowest reader needs', async () => {
    const { ask } = open({ maxAnswerBytes: 1_000 });
    const source = new Source();
    const asked = [ask({ stream: true }), ask({ stream: true })];
    await turn();
    calls[0]?.resolve(stream(source));
    const [fast, slow] = (await Promise.all(asked.map(({ answer }) => answer))).map(listen);
    slow?.chunks.pause();
    const piece = 'x'.repeat(100_000);
    for (let count = 0; count < 30 && !source.paused; count++) source.say(piece);
    // About a megabyte for the slow one, and then the upstream has to wait.
    expect(source.paused).toBe(true);
    expect(fast?.heard.text.length).toBeLessThan(1_300_000);
    slow?.chunks.resume();
    expect(source.paused).toBe(false);
    source.consumer?.finished();
    expect(slow?.heard.text.length).toBe(fast?.heard.text.length);
    expect([fast?.heard.ending, slow?.heard.ending]).toEqual(['finished', 'finished']);
    ask({ stream: true });
    await turn();
    expect(calls).toHaveLength(2);
  });
});

describe('a store that processes share', () => {
  class Store implements CacheStore {
    looks: StoreLook[] = [];
    readonly entries = new Map<string, Buffer>();
    unlocked = 0;
    async look(key: string): Promise<StoreLook> {
      const bytes = this.entries.get(key);
      return bytes === undefined ? (this.looks.shift() ?? { is: 'yours' }) : { is: 'found', bytes };
    }
    keep(key: string, bytes: Buffer): void {
      this.entries.set(key, bytes);
    }
    unlock(): void {
      this.unlocked++;
    }
  }

  it('answers another process, and one that asks while the first is asking waits for it', async () => {
    const store = new Store();
    const [here, there] = [open({}, store), open({}, store)];
    const first = here.ask();
    await turn();
    store.looks = [{ is: 'awaited' }, { is: 'awaited' }];
    const second = there.ask();
    await turn();
    calls[0]?.resolve(whole('answer'));
    await first.answer;
    const shared = await second.answer;
    expect([bodyOf(shared), shared.cache?.isHit()]).toEqual(['answer', true]);
    expect(calls).toHaveLength(1);
  });

  it('with bytes that are no entry is as empty', async () => {
    const store = new Store();
    const opened = open({}, store);
    await kept(opened);
    for (const key of store.entries.keys()) store.entries.set(key, Buffer.from('nonsense'));
    opened.cache.forget();
    opened.ask();
    await turn();
    expect(calls).toHaveLength(1);
  });

  it.each<StoreLook['is']>(['away', 'yours'])(
    'that is %s costs nothing but the look; a failure frees the lock',
    async (is) => {
      const store = new Store();
      store.looks = [is === 'away' ? { is } : { is: 'yours' }];
      const { ask } = open({}, store);
      const { answer } = ask();
      await turn();
      calls[0]?.reject(new Error('no'));
      await expect(answer).rejects.toThrow('no');
      expect(store.unlocked).toBe(1);
    },
  );

  it('a client that leaves while it waits for another process has asked nobody', async () => {
    const store = new Store();
    store.looks = Array.from({ length: 100 }, () => ({ is: 'awaited' as const }));
    const { ask } = open({}, store);
    const { answer, leave } = ask();
    await turn();
    leave();
    await expect(answer).rejects.toBeInstanceOf(LeftWaiting);
    expect(calls).toHaveLength(0);
  });
});
