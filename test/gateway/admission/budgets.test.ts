import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Reservation } from '../../../gateway/domain/admission.ts';
import { Refusal } from '../../../gateway/domain/errors.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { type PostgresServer, startPostgres } from '../../../runbooks/lab/postgres.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import {
  type AtEnd,
  type Instance,
  type InstanceOptions,
  isAdmitted,
  Ledger,
  limited,
  scope,
  startInstance,
} from './instances.ts';

let database: TestDatabase;
let serial = 0;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

const start = (options: InstanceOptions = {}, atEnd?: AtEnd) =>
  startInstance({ databaseUrl: database.url, ...options }, atEnd);
const fresh = (): string => `case-${serial++}`;

/** A key with a budget, and its account. */
async function key(maxMicros: number, window = 'NULL, NULL', url = database.url) {
  const made = scope('key', fresh(), { maxMicros });
  await put(made.account, maxMicros, window, url);
  return made;
}

const put = (account: string, maxMicros: number, window = 'NULL, NULL', url = database.url) =>
  query(url, `SELECT put_account('${account}', ${maxMicros}, ${window})`);

async function counters(account: string, url = database.url) {
  const [row] = await query(
    url,
    `SELECT max_micros::int AS max, spent_micros::int AS spent, leased_micros::int AS leased FROM account WHERE id = '${account}'`,
  );
  return row;
}

const many = (count: number): undefined[] => Array.from({ length: count }, () => undefined);

describe('a budget', () => {
  it('for 10 requests lets exactly 10 of 200 through, which three processes get at once', async () => {
    const instances = await Promise.all([start(), start(), start()]);
    const own = [await key(10_000)];
    const answers = await Promise.all(
      many(200).map((_, index) => instanceAt(instances, index).ask(own, { micros: 1_000 })),
    );
    expect(answers.filter(isAdmitted)).toHaveLength(10);
    // A burst is a few calls, not one for each request.
    expect(instances.reduce((sum, { admission }) => sum + admission.calls.budgets, 0)).toBeLessThan(12);
  });

  it('is spent to its end by one request after the other, from wherever they come', async () => {
    const instances = await Promise.all([start(), start(), start()]);
    const ledgers = instances.map((instance) => new Ledger(database.url, instance));
    const own = [await key(10_000)];
    let spent = 0;
    for (let index = 0; index < 60; index++) {
      const answer = await instanceAt(instances, index).ask(own, { micros: 1_000 });
      if (!isAdmitted(answer)) break;
      // Half of the estimate; what is left of it is free again.
      answer.settle(500, null);
      await ledgers[index % 3]?.book(500, answer.accounts);
      spent += 500;
    }
    // Others hold less than one request each.
    expect(spent).toBeGreaterThanOrEqual(10_000 - 3 * 1_000);
    expect(spent).toBeLessThanOrEqual(10_000);
  });

  it('sets aside on all levels or on none', async () => {
    const instance = await start();
    const [poor, rich] = [await key(500), scope('team', fresh(), { maxMicros: 1_000_000 })];
    await put(rich.account, 1_000_000);
    const answers = await Promise.all(many(20).map(() => instance.ask([rich, poor], { micros: 1_000 })));
    expect(answers.some(isAdmitted)).toBe(false);
    expect(await instance.ask([rich], { micros: 20_000 })).not.toBeInstanceOf(Refusal);
    await instance.admission.close();
    // Everything but the one that runs is back.
    expect(await counters(rich.account)).toMatchObject({ leased: 20_000 });
    expect(await counters(poor.account)).toMatchObject({ leased: 0 });
  });

  it('counts what a request really cost, more or less than expected', async () => {
    const instance = await start();
    const own = [await key(10_000)];
    const [first, second] = [await instance.ask(own, { micros: 6_000 }), await instance.ask(own, { micros: 6_000 })];
    expect([isAdmitted(first), isAdmitted(second)]).toEqual([true, false]);
    settled(first, 1_000);
    const third = await instance.ask(own, { micros: 9_000 });
    expect(isAdmitted(third)).toBe(true);
    settled(third, 12_000);
    expect(await instance.ask(own, { micros: 1 })).toBeInstanceOf(Refusal);
  });

  it('of one model binds that model alone', async () => {
    const instance = await start();
    const id = fresh();
    const budgets = [{ id: `a:key:${id}|model:gpt`, maxMicros: 1_000 }];
    await put(`a:key:${id}|model:gpt`, 1_000);
    const own = [scope('key', id, { models: { gpt: { budgets } } })];
    expect(await instance.ask(own, { micros: 2_000 }, { group: 'gpt' })).toBeInstanceOf(Refusal);
    expect(isAdmitted(await instance.ask(own, { micros: 2_000 }, { group: 'other' }))).toBe(true);
  });

  it('of several windows holds in each', async () => {
    const instance = await start();
    const id = fresh();
    const budgets = [
      { id: `a:key:${id}|24h`, maxMicros: 1_000 },
      { id: `a:key:${id}|30d`, maxMicros: 1_500 },
    ];
    for (const { id: account, maxMicros } of budgets) await put(account, maxMicros);
    const own = [scope('key', id, { budgets })];
    expect(isAdmitted(await instance.ask(own, { micros: 900 }))).toBe(true);
    expect(await instance.ask(own, { micros: 200 })).toBeInstanceOf(Refusal);
  });

  it('of a customer of the caller binds its requests, also when it has to be looked up', async () => {
    const customer = scope('endUser', fresh(), { maxMicros: 1_000 });
    await put(customer.account, 1_000);
    const instance = await start({
      endUserScope: (id) => (id === 'known' ? customer : id === 'far' ? Promise.resolve(customer) : undefined),
    });
    expect(isAdmitted(await instance.ask([], { micros: 2_000 }))).toBe(true);
    expect(isAdmitted(await instance.ask([], { micros: 2_000 }, { endUser: 'nobody' }))).toBe(true);
    expect(await instance.ask([], { micros: 2_000 }, { endUser: 'known' })).toBeInstanceOf(Refusal);
    expect(await instance.ask([], { micros: 2_000 }, { endUser: 'far' })).toBeInstanceOf(Refusal);
  });

  it('of everything binds callers without a budget of their own, and administrators', async () => {
    const globalScope = scope('global', '', { maxMicros: 1_000 });
    await put(globalScope.account, 1_000);
    const instance = await start({ globalScope });
    expect(await instance.ask([], { micros: 2_000 })).toMatchObject({ status: 429, type: 'budget_exceeded' });
    expect(await instance.ask([], { micros: 2_000 }, { admin: true })).toBeInstanceOf(Refusal);
  });

  it('without a price to compare is not touched, and refuses only when that is configured', async () => {
    const own = [await key(1)];
    const lenient = await start();
    expect(isAdmitted(await lenient.ask(own, { micros: undefined }))).toBe(true);
    const strict = await start({ settings: { unpricedModels: 'refuse' } });
    expect(await strict.ask(own, { micros: undefined })).toMatchObject({ status: 400, param: 'model' });
  });

  it('shortens the output instead of refusing, when that is configured and the client stated no maximum', async () => {
    const own = [await key(1_000)];
    const instance = await start({ settings: { capOutputToBudget: true } });
    const openOutput = { tokens: 500, microsPerToken: 10 };
    const answer = await instance.ask(own, { micros: 5_100, tokens: 600, openOutput });
    expect(answer).toMatchObject({ reservedMicros: 1_000, maxOutputTokens: 90 });
    expect(await instance.ask(own, { micros: 5_100, tokens: 600, openOutput })).toBeInstanceOf(Refusal);
  });

  it('that is soft refuses nothing and is told once in a window', async () => {
    const instance = await start();
    const ledger = new Ledger(database.url, instance);
    const own = [scope('key', fresh(), { maxMicros: 100_000, softMicros: 1_000 })];
    const account = own[0]?.account ?? '';
    await put(account, 100_000);
    for (let count = 0; count < 5; count++) {
      const answer = await instance.ask(own, { micros: 30_000 });
      settled(answer, 700);
      await ledger.book(700, [account]);
    }
    expect(instance.softAlerts).toEqual([{ account, spent: 1_400, soft: 1_000 }]);
  });
});

describe('a refusal', () => {
  it.each([400, 422, 429] as const)("has the configured status %d and LiteLLM's words", async (status) => {
    const instance = await start({ settings: { budgetExceededStatus: status } });
    const ledger = new Ledger(database.url, instance);
    const own = scope('key', fresh(), { maxMicros: 10_000, name: 'sk-...wxyz' });
    await put(own.account, 10_000);
    const answer = await instance.ask([own], { micros: 9_500 });
    settled(answer, 9_500);
    await ledger.book(9_500, [own.account]);
    const refusal = await instance.ask([own], { micros: 1_000 });
    expect(refusal).toMatchObject({ status, type: 'budget_exceeded' });
    expect(refusal).toMatchObject({
      message: expect.stringMatching(
        /^Budget has been exceeded! Current cost: 0\.0095, Max budget: 0\.01\. Key: sk-\.\.\.wxyz; this request may cost up to 0\.001/,
      ),
    });
  });

  it('names the first level that fails in the order team, member, user, customer, everything, organization, key', async () => {
    const instance = await start();
    const levels = ['key', 'organization', 'user', 'member', 'team'] as const;
    const scopes = await Promise.all(
      levels.map(async (level) => {
        const made = scope(level, fresh(), { maxMicros: 10 });
        await put(made.account, 10);
        return made;
      }),
    );
    const names = ['Key', 'Organization', 'User', 'Team member', 'Team'];
    for (let count = 1; count <= levels.length; count++) {
      const refusal = await instance.ask(scopes.slice(0, count), { micros: 100 });
      expect(refusal).toMatchObject({ message: expect.stringContaining(`. ${names[count - 1]}: `) });
    }
  });

  it('is remembered for a moment, so that a client in a loop is no load for the database, and ends when there is money', async () => {
    const instance = await start();
    const own = await key(10);
    const before = instance.admission.calls.budgets;
    for (let count = 0; count < 500; count++) await instance.ask([own], { micros: 100 });
    expect(instance.admission.calls.budgets - before).toBeLessThan(20);
    await put(own.account, 10_000);
    await until(async () => isAdmitted(await instance.ask([own], { micros: 100 })));
  });
});

describe('slices', () => {
  it('are given back at the end, everything of them', async () => {
    const instance = await start();
    const own = [await key(1_000_000)];
    const answer = await instance.ask(own, { micros: 1_000 });
    settled(answer, 400);
    await new Ledger(database.url, instance).book(400, [own[0]?.account ?? '']);
    await instance.admission.close();
    expect(await counters(own[0]?.account ?? '')).toEqual({ max: 1_000_000, spent: 400, leased: 0 });
  });

  // These mostly wait, and so do it at the same time.
  it.concurrent('are given back within seconds when the budget is nearly used up, so that others can use them', async ({
    onTestFinished: atEnd,
  }) => {
    const [one, two] = await Promise.all([start({}, atEnd), start({}, atEnd)]);
    const own = [await key(1_000)];
    const answer = await one.ask(own, { micros: 1_000 });
    settled(answer, 0);
    expect(await two.ask(own, { micros: 1_000 })).toBeInstanceOf(Refusal);
    await until(async () => isAdmitted(await two.ask(own, { micros: 1_000 })));
  });

  it.concurrent('carry a busy process without a call on the path', async ({ onTestFinished: atEnd }) => {
    const instance = await start({}, atEnd);
    const own = [await key(1_000_000_000)];
    for (let second = 0; second < 2; second++) {
      for (let count = 0; count < 100; count++) settled(await instance.ask(own, { micros: 1_000 }), 900);
      await new Promise((resolve) => setTimeout(resolve, 1_100));
    }
    const before = instance.admission.calls.budgets;
    for (let count = 0; count < 1_000; count++) settled(await instance.ask(own, { micros: 1_000 }), 900);
    expect(instance.admission.calls.budgets - before).toBeLessThanOrEqual(2);
  });

  it.concurrent('of a log that was closed from outside are not used any more; the process goes on under a new one', async ({
    onTestFinished: atEnd,
  }) => {
    const instance = await start({}, atEnd);
    const own = await key(10_000);
    settled(await instance.ask([own], { micros: 5_000 }), 0);
    const { logId } = instance.siblings;
    await query(database.url, `SELECT abandon_log('${logId}')`);
    expect(await counters(own.account)).toMatchObject({ leased: 0 });
    // A call tells; the heartbeat brings the new log.
    await until(async () => isAdmitted(await instance.ask([own], { micros: 9_000 })));
    expect(instance.siblings.logId).not.toBe(logId);
    expect(await counters(own.account)).toMatchObject({ leased: 9_000 });
  });

  it.concurrent('are not used after twelve hours without the database, by either clock', async ({
    onTestFinished: atEnd,
  }) => {
    for (const clock of ['now', 'wallNow'] as const) {
      let aheadMs = 0;
      const real = clock === 'now' ? () => performance.now() : Date.now;
      const instance = await start({ [clock]: () => real() + aheadMs }, atEnd);
      const own = await key(100_000);
      settled(await instance.ask([own], { micros: 50_000 }), 0);
      const before = instance.admission.calls.budgets;
      expect(isAdmitted(await instance.ask([own], { micros: 10 }))).toBe(true);
      expect(instance.admission.calls.budgets).toBe(before);
      aheadMs = 13 * 3_600_000;
      await until(async () => {
        await instance.ask([own], { micros: 10 });
        return instance.admission.calls.budgets > before;
      }, 3_000);
    }
  });
});

describe('a limit that changes', () => {
  it('downwards holds for everything that was not handed out yet', async () => {
    const instance = await start();
    const own = await key(10_000);
    expect(isAdmitted(await instance.ask([own], { micros: 4_000 }))).toBe(true);
    await put(own.account, 5_000);
    expect(isAdmitted(await instance.ask([own], { micros: 1_000 }))).toBe(true);
    expect(await instance.ask([own], { micros: 1_000 })).toBeInstanceOf(Refusal);
  });

  it('with its window is whole again when that ends, and not before', async () => {
    const instance = await start();
    const ledger = new Ledger(database.url, instance);
    const own = await key(1_000, `interval '2 seconds', clock_timestamp() + interval '2 seconds'`);
    const startedAt = performance.now();
    const spend = async (): Promise<boolean> => {
      const answer = await instance.ask([own], { micros: 1_000 });
      if (!isAdmitted(answer)) return false;
      answer.settle(1_000, null);
      await ledger.book(1_000, answer.accounts);
      return true;
    };
    expect(await spend()).toBe(true);
    expect(await spend()).toBe(false);
    await until(spend);
    expect(performance.now() - startedAt).toBeGreaterThan(1_500);
    expect(await spend()).toBe(false);
    expect(await counters(own.account)).toMatchObject({ spent: 1_000 });
  });
});

describe('waiting', () => {
  it('ends when the client leaves, and nothing stays set aside', async () => {
    const instance = await start();
    const own = await key(1_000);
    const client = new AbortController();
    const reason = new Error('gone');
    const answer = instance.ask([own], { micros: 1_000 }, { signal: client.signal });
    client.abort(reason);
    await expect(answer).rejects.toBe(reason);
    expect(isAdmitted(await instance.ask([own], { micros: 1_000 }))).toBe(true);
  });

  it('has a bound in number', async () => {
    const instance = await start({ budgets: { grant: () => new Promise(() => undefined) } });
    const own = await key(1_000);
    const client = new AbortController();
    const waiting = many(5_000).map(() => instance.ask([own], { micros: 1 }, { signal: client.signal }));
    expect(await instance.ask([own], { micros: 1 })).toMatchObject({ status: 503, retryAfterSeconds: 1 });
    client.abort(new Error('over'));
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('a database that is away', () => {
  let directory: string;
  let port: number;
  let server: PostgresServer;
  const startServer = () => startPostgres({ dataDirectory: `${directory}/postgres`, port, settings: { fsync: 'off' } });
  beforeAll(async () => {
    directory = await temporaryDirectory();
    port = await freePort();
    server = await startServer();
    await migrate(server.url());
  });
  afterAll(() => server.stop('immediate'));

  const ends = async (): Promise<void> => {
    server.kill('SIGKILL');
    await server.exited;
    onTestFinished(async () => {
      server = await startServer();
    });
  };

  it('is not noticed by keys without budgets; slices are spent, then 503 with Retry-After; then it is back', async () => {
    const instance = await startInstance({ databaseUrl: server.url() });
    const own = await key(10_000, undefined, server.url());
    settled(await instance.ask([own], { micros: 3_000 }), 0);
    server.kill('SIGKILL');
    await server.exited;
    const answers = [];
    for (let count = 0; count < 4; count++) answers.push(await instance.ask([own], { micros: 1_000 }));
    expect(answers.map(isAdmitted)).toEqual([true, true, true, false]);
    expect(answers[3]).toMatchObject({ status: 503, type: 'service_unavailable', retryAfterSeconds: 5 });
    const calls = instance.admission.calls.budgets;
    for (const scopes of [[], [scope('key', fresh())], [limited(fresh(), { requestsPerMinute: 100 })]]) {
      expect(isAdmitted(await instance.ask(scopes, { micros: 1_000 }))).toBe(true);
    }
    expect(instance.admission.calls.budgets).toBe(calls);
    server = await startServer();
    await until(async () => isAdmitted(await instance.ask([own], { micros: 1_000 })));
  });

  it('with "share" lets each process have its part of what was left', async () => {
    // Processes of other tests are not among the living.
    await query(server.url(), `UPDATE spend_log SET alive_at = '-infinity'`);
    const instances = await Promise.all(
      many(2).map(() => startInstance({ databaseUrl: server.url(), settings: { budgetUnavailable: 'share' } })),
    );
    await until(() => instances.every(({ siblings }) => siblings.live === 2));
    const own = await key(10_000, undefined, server.url());
    for (const instance of instances) settled(await instance.ask([own], { micros: 1_000 }), 1_000);
    await ends();
    let admitted = 0;
    for (let count = 0; count < 40; count++) {
      if (isAdmitted(await instanceAt(instances, count).ask([own], { micros: 1_000 }))) admitted++;
    }
    // 9,000 were left for the first when it asked, 8,000 for the second: 4 each, in whole requests.
    expect(admitted).toBe(8);
  });

  it('with "allow" stops nobody', async () => {
    const instance = await startInstance({ databaseUrl: server.url(), settings: { budgetUnavailable: 'allow' } });
    const own = await key(1_000, undefined, server.url());
    expect(isAdmitted(await instance.ask([own], { micros: 1_000 }))).toBe(true);
    await ends();
    // What the database said last is believed for a moment.
    await until(async () => isAdmitted(await instance.ask([own], { micros: 1_000 })));
    for (let count = 0; count < 20; count++) {
      expect(isAdmitted(await instance.ask([own], { micros: 1_000 }))).toBe(true);
    }
  });

  it('from the start leaves budgets unchecked: 503 from the first request, and everybody else is served', async () => {
    const instance = await startInstance({ databaseUrl: `postgresql://nobody@127.0.0.1:${await freePort()}/none` });
    const own = scope('key', fresh(), { maxMicros: 1_000 });
    expect(await instance.ask([own], { micros: 1 })).toMatchObject({ status: 503 });
    expect(isAdmitted(await instance.ask([], { micros: 1 }))).toBe(true);
  });
});

it('a request that waits for its budget does not keep the process busy, although its limit is used up, too', async () => {
  // Processes of other tests would have their share of the limit.
  const siblings = { logId: randomUUID(), live: 1, rank: 0 };
  const instance = await start({ siblings, settings: { rateWindowMs: 86_400_000 } });
  const own = [scope('key', fresh(), { maxMicros: 10_000, limits: { requestsPerMinute: 1 } })];
  await put(own[0]?.account ?? '', 10_000);
  expect(isAdmitted(await instance.ask(own, { micros: 1_000 }))).toBe(true);
  expect(await instance.ask(own, { micros: 1_000 })).toMatchObject({ status: 429, type: 'rate_limit_error' });
  expect(await instance.ask(own, { micros: 100_000 })).toMatchObject({ status: 429, type: 'budget_exceeded' });
});

it('a budget whose account is missing in the database cannot be checked', async () => {
  const instance = await start();
  expect(await instance.ask([scope('key', fresh(), { maxMicros: 1_000 })], { micros: 1 })).toMatchObject({
    status: 503,
  });
});

function instanceAt(instances: readonly Instance[], index: number): Instance {
  const instance = instances[index % instances.length];
  if (instance === undefined) throw new Error('no instance');
  return instance;
}

function settled(answer: Reservation | Refusal, costMicros: number): void {
  if (answer instanceof Refusal) throw answer;
  answer.settle(costMicros, null);
}
