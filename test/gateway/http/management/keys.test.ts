import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashKey } from '../../../../gateway/domain/keys.ts';
import { masterKey, migratedDatabase } from '../../../support/gateway.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { query } from '../../../support/query.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { type WiredGateway, wireGateway } from '../../../support/wired-gateway.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
let gateway: WiredGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  gateway = await wireGateway({ databaseUrl: database.url, dataDirectory: directory });
});
afterAll(async () => {
  await gateway.close();
  await database.drop();
});

const text = (value: unknown): string => {
  if (typeof value !== 'string') throw new Error(`${JSON.stringify(value)} is no text`);
  return value;
};
const newKey = async (body: object = {}, by = masterKey): Promise<string> =>
  text((await gateway.ok('/key/generate', body, by))['key']);
const infoOf = async (key: string): Promise<Record<string, unknown>> => {
  const { info } = await gateway.ok(`/key/info?key=${encodeURIComponent(key)}`);
  if (typeof info !== 'object' || info === null) throw new Error('no info');
  return { ...info };
};
/** Whether a key is let in. */
const statusOf = async (key: string): Promise<number> => (await gateway.call('/v1/models', undefined, key)).status;

describe('/key/generate', () => {
  it("answers in LiteLLM's shape, dollars as they were written, and the value only here", async () => {
    const made = await gateway.ok('/key/generate', {
      key_alias: 'shape',
      models: ['chat'],
      max_budget: 0.1,
      soft_budget: 0.05,
      budget_duration: '30d',
      tpm_limit: 1000,
      rpm_limit: 10,
      max_parallel_requests: 2,
      model_max_budget: { chat: { max_budget: 0.01, budget_duration: '24h' } },
      model_rpm_limit: { chat: 5 },
      budget_limits: [{ budget_duration: '24h', max_budget: 0.02 }],
      metadata: { who: 'me' },
      tags: ['blue'],
      duration: '30d',
    });
    const key = text(made['key']);
    expect(made).toMatchObject({
      key_alias: 'shape',
      key_name: `sk-...${key.slice(-4)}`,
      token: hashKey(key),
      token_id: hashKey(key),
      models: ['chat'],
      max_budget: 0.1,
      soft_budget: 0.05,
      spend: 0,
      budget_duration: '30d',
      tpm_limit: 1000,
      rpm_limit: 10,
      max_parallel_requests: 2,
      model_max_budget: { chat: { max_budget: 0.01, budget_duration: '24h' } },
      model_rpm_limit: { chat: 5 },
      budget_limits: [{ budget_duration: '24h', max_budget: 0.02 }],
      metadata: { who: 'me' },
      blocked: false,
      team_id: null,
      user_id: null,
      litellm_budget_table: null,
    });
    expect(Date.parse(text(made['expires'])) - Date.now()).toBeGreaterThan(29 * 86_400_000);
    const info = await gateway.call(`/key/info?key=${key}`);
    expect(info.body['info']).toMatchObject({ key_alias: 'shape', max_budget: 0.1, rpm_limit: 10 });
    expect(info.text.replaceAll(`"key":"${key}"`, '')).not.toContain(key);
    const accounts = await query(
      database.url,
      `SELECT id, max_micros::text FROM account WHERE id LIKE 'a:key:${hashKey(key)}%' ORDER BY id`,
    );
    expect(accounts).toEqual([
      { id: `a:key:${hashKey(key)}`, max_micros: '100000' },
      { id: `a:key:${hashKey(key)}|24h`, max_micros: '20000' },
      { id: `a:key:${hashKey(key)}|model:chat`, max_micros: '10000' },
    ]);
  });

  it.each<[string, object, RegExp, string | null]>([
    [
      'a misspelt budget',
      { max_budgett: 1 },
      /max_budgett: is not a field of this body \(did you mean max_budget\?\)/,
      'max_budgett',
    ],
    ['a negative budget', { max_budget: -1 }, /max_budget/, 'max_budget'],
    ['a budget as text', { max_budget: '10' }, /max_budget/, 'max_budget'],
    ['no duration', { budget_duration: 'monthly' }, /budget_duration: write a number and s, m, h/, 'budget_duration'],
    ['an own value that is short', { key: 'sk-short' }, /too short/, 'key'],
    ['an own value that is simple', { key: 'sk-aaaaaaaaaaaaaaaaaaaa' }, /too simple/, 'key'],
    ['an own value of another form', { key: 'a-long-enough-but-other-value-123' }, /must start with sk-/, 'key'],
    ['a team that is not there', { team_id: 'nobody' }, /there is no team nobody/, 'team_id'],
    ['a budget that is not there', { budget_id: 'none' }, /there is no budget none/, 'budget_id'],
    ['text that PostgreSQL cannot hold', { key_alias: 'nul \u0000 nul' }, /cannot be stored/, null],
    ['text in metadata that PostgreSQL cannot hold', { metadata: { a: '\u0000' } }, /cannot be stored/, null],
    ['a user id with a slash', { user_id: 'a/b' }, /slashes/, 'user_id'],
  ])('refuses %s with 400 and the name of the field, and makes nothing', async (_case, body, message, param) => {
    const before = await query(database.url, 'SELECT count(*)::int AS n FROM api_key');
    const { status, body: answer } = await gateway.call('/key/generate', body);
    expect(status).toBe(400);
    expect(answer).toMatchObject({ error: { type: 'invalid_request_error', param, code: '400' } });
    expect(JSON.stringify(answer)).toMatch(message);
    expect(await query(database.url, 'SELECT count(*)::int AS n FROM api_key')).toEqual(before);
  });

  it('names all faults at once', async () => {
    const { text: answer } = await gateway.call('/key/generate', { max_budget: -1, rpm_limit: 1.5, modles: [] });
    for (const name of ['max_budget', 'rpm_limit', 'modles']) expect(answer).toContain(name);
  });

  it('keeps fields of LiteLLM that it does not act on, and says so', async () => {
    const { status, headers, body } = await gateway.call('/key/generate', { guardrails: ['pii'], config: null });
    expect(status).toBe(200);
    expect(body['warnings']).toEqual(['guardrails is kept and not acted on']);
    expect(headers['x-holdfast-warnings']).toBe('guardrails is kept and not acted on');
  });

  it('takes an own value of 20 characters, once; the same value or alias again is refused', async () => {
    const key = 'sk-my-own-value-12345';
    expect((await gateway.ok('/key/generate', { key, key_alias: 'own' }))['key']).toBe(key);
    expect(await statusOf(key)).toBe(200);
    expect((await gateway.call('/key/generate', { key })).status).toBe(400);
    expect((await gateway.call('/key/generate', { key_alias: 'own' })).status).toBe(400);
  });

  it('is made once for one Idempotency-Key, and the repetition gets the same key', async () => {
    const headers = { 'idempotency-key': 'attempt-1' };
    const first = await gateway.call('/key/generate', { key_alias: 'idem' }, masterKey, headers);
    const second = await gateway.call('/key/generate', { key_alias: 'idem' }, masterKey, headers);
    expect(second.body).toEqual(first.body);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    const other = await gateway.call('/key/generate', { key_alias: 'other' }, masterKey, headers);
    expect(other.status).toBe(422);
    // Nothing in the database tells the key.
    const rows = await query(database.url, `SELECT encode(answer, 'escape') AS answer FROM idempotent_answer`);
    expect(JSON.stringify(rows)).not.toContain(text(first.body['key']).slice(3, 20));
  });

  it('sent twice at once under one Idempotency-Key makes one key', async () => {
    const send = () => gateway.call('/key/generate', { key_alias: 'twins' }, masterKey, { 'idempotency-key': 'twins' });
    const answers = await Promise.all([send(), send(), send()]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map(({ body }) => body['key'])).size).toBe(1);
  });

  it('a body that is nested without end, too large or no JSON is refused before it is read', async () => {
    expect((await gateway.call('/key/generate', `{"metadata":${'['.repeat(5000)}${']'.repeat(5000)}}`)).status).toBe(
      400,
    );
    expect((await gateway.call('/key/generate', `{"metadata":{"a":"${'x'.repeat(1_100_000)}"}}`)).status).toBe(413);
    expect((await gateway.call('/key/generate', '{"a":')).status).toBe(400);
    expect((await gateway.call('/key/generate', '{"__proto__":{"role":"admin"}}')).status).toBe(400);
  });
});

describe('/key/update', () => {
  it('changes what is stated, keeps the rest, and null clears', async () => {
    const key = await newKey({
      key_alias: 'changing',
      max_budget: 5,
      budget_duration: '7d',
      rpm_limit: 3,
      models: ['chat'],
    });
    await gateway.ok('/key/update', { key, max_budget: 7.5 });
    expect(await infoOf(key)).toMatchObject({
      max_budget: 7.5,
      budget_duration: '7d',
      rpm_limit: 3,
      models: ['chat'],
      key_alias: 'changing',
    });
    await gateway.ok('/key/update', { key: hashKey(key), rpm_limit: null, budget_duration: null, models: [] });
    expect(await infoOf(key)).toMatchObject({ max_budget: 7.5, budget_duration: null, rpm_limit: null, models: [] });
  });

  it('an alias of another key is refused, and nothing is changed', async () => {
    await newKey({ key_alias: 'taken' });
    const key = await newKey({ key_alias: 'free' });
    const { status, body } = await gateway.call('/key/update', { key, key_alias: 'taken', max_budget: 1 });
    expect([status, body]).toMatchObject([400, { error: { param: 'key_alias' } }]);
    expect(await infoOf(key)).toMatchObject({ key_alias: 'free', max_budget: null });
  });

  it('of a key that does not exist is 404', async () => {
    expect((await gateway.call('/key/update', { key: 'sk-a-key-that-nobody-knows', max_budget: 1 })).status).toBe(404);
  });

  it('acts on the next request: models, blocking, an end', async () => {
    const key = await newKey();
    expect(await statusOf(key)).toBe(200);
    await gateway.ok('/key/update', { key, blocked: true });
    expect(await statusOf(key)).toBe(401);
    await gateway.ok('/key/unblock', { key });
    expect(await statusOf(key)).toBe(200);
    await gateway.ok('/key/update', { key, models: ['none-of-these'] });
    expect((await gateway.ok('/v1/models', undefined, key))['data']).toEqual([]);
  });
});

describe('/key/delete', () => {
  it('ends keys by value, hash and alias, at once', async () => {
    const keys = [await newKey(), await newKey(), await newKey({ key_alias: 'by-alias' })];
    const [one = '', two = '', three = ''] = keys;
    for (const key of keys) expect(await statusOf(key)).toBe(200);
    expect(await gateway.ok('/key/delete', { keys: [one, hashKey(two)] })).toEqual({
      deleted_keys: [hashKey(one), hashKey(two)],
    });
    await gateway.ok('/key/delete', { key_aliases: ['by-alias'] });
    for (const key of [one, two, three]) expect(await statusOf(key)).toBe(401);
    expect((await gateway.call('/key/delete', { keys: [one] })).status).toBe(404);
    // The value is gone for ever, the alias is free.
    expect((await gateway.call('/key/generate', { key: one })).status).toBe(400);
    await newKey({ key_alias: 'by-alias' });
  });
});

describe('/key/regenerate', () => {
  it('gives a new value: the old one ends, alias, limits, budget and spend stay', async () => {
    const old = await newKey({ key_alias: 'rotated', max_budget: 3, models: ['chat'] });
    await query(database.url, `UPDATE account SET spent_micros = 1250000 WHERE id = 'a:key:${hashKey(old)}'`);
    const made = await gateway.ok('/key/regenerate', { key: old });
    const fresh = text(made['key']);
    expect(fresh).not.toBe(old);
    expect(await statusOf(old)).toBe(401);
    expect(await statusOf(fresh)).toBe(200);
    expect(await infoOf(fresh)).toMatchObject({
      key_alias: 'rotated',
      max_budget: 3,
      models: ['chat'],
      spend: 1.25,
      rotation_count: 1,
    });
    expect((await gateway.call('/key/generate', { key: old })).status).toBe(400);
  });

  it('with a grace period both values work, until the old one expires or the key ends', async () => {
    const old = await newKey({ key_alias: 'overlap' });
    const fresh = text((await gateway.ok('/key/regenerate', { key: old, grace_period: '24h' }))['key']);
    expect([await statusOf(old), await statusOf(fresh)]).toEqual([200, 200]);
    // One key: what is changed by one value holds for the other.
    await gateway.ok('/key/block', { key: old });
    expect([await statusOf(old), await statusOf(fresh)]).toEqual([401, 401]);
    await gateway.ok('/key/unblock', { key: fresh });
    await gateway.ok('/key/update', { key: old, models: ['only-this'] });
    for (const key of [old, fresh]) expect((await gateway.ok('/v1/models', undefined, key))['data']).toEqual([]);
    expect(await gateway.ok(`/key/list?key_alias=overlap`)).toMatchObject({ total_count: 1, keys: [hashKey(fresh)] });
    await query(
      database.url,
      `UPDATE api_key SET expires_at = now() - interval '1 s' WHERE key_hash = '${hashKey(old)}'`,
    );
    await gateway.ground.stores.mirror?.refresh();
    expect([await statusOf(old), await statusOf(fresh)]).toEqual([401, 200]);
    const third = text(
      (await gateway.ok('/key/regenerate', { key: fresh, grace_period: '24h', new_key: 'sk-chosen-by-me-0123456' }))[
        'key'
      ],
    );
    expect(third).toBe('sk-chosen-by-me-0123456');
    await gateway.ok('/key/delete', { keys: [third] });
    expect([await statusOf(fresh), await statusOf(third)]).toEqual([401, 401]);
  });

  it('takes the key from the path, too', async () => {
    const key = await newKey();
    expect(text((await gateway.ok(`/key/${hashKey(key)}/regenerate`, {}))['key'])).toMatch(/^sk-/);
  });
});

describe('/key/info and /key/list', () => {
  it('a key sees itself without naming itself, and no other: 403, whether that exists or not', async () => {
    const [one, two] = [await newKey({ key_alias: 'mine' }), await newKey({ key_alias: 'yours' })];
    expect((await gateway.ok('/key/info', undefined, one))['info']).toMatchObject({ key_alias: 'mine' });
    for (const other of [two, hashKey(two), 'sk-nobody-has-this-value']) {
      const { status, text: answer } = await gateway.call(`/key/info?key=${other}`, undefined, one);
      expect(status).toBe(403);
      expect(answer).not.toContain('yours');
    }
    expect((await gateway.call('/key/info?key=sk-nobody-has-this-value')).status).toBe(404);
  });

  it('lists in pages, newest first', async () => {
    for (let index = 0; index < 5; index++) await newKey({ key_alias: `page-${index}`, user_id: 'pager' });
    const first = await gateway.ok('/key/list?user_id=pager&size=2&return_full_object=true');
    expect(first).toMatchObject({
      total_count: 5,
      current_page: 1,
      total_pages: 3,
      keys: [{ key_alias: 'page-4' }, { key_alias: 'page-3' }],
    });
    expect(await gateway.ok('/key/list?user_id=pager&size=2&page=3&return_full_object=true')).toMatchObject({
      keys: [{ key_alias: 'page-0' }],
    });
    expect((await gateway.call('/key/list?size=100000')).status).toBe(400);
  });

  it('shows a spend of 0 once the window has passed, before anybody has spent in the new one', async () => {
    const key = await newKey({ max_budget: 1, budget_duration: '24h' });
    const id = `a:key:${hashKey(key)}`;
    await query(database.url, `UPDATE account SET spent_micros = 700000 WHERE id = '${id}'`);
    expect(await infoOf(key)).toMatchObject({ spend: 0.7 });
    await query(database.url, `UPDATE account SET window_end = now() - interval '1 minute' WHERE id = '${id}'`);
    const after = await infoOf(key);
    expect(after).toMatchObject({ spend: 0 });
    expect(Date.parse(text(after['budget_reset_at']))).toBeGreaterThan(Date.now());
  });
});

it('/key/health tells a good key that it is', async () => {
  const key = await newKey({ key_alias: 'healthy' });
  expect(await gateway.ok('/key/health', {}, key)).toMatchObject({ key: 'healthy', key_alias: 'healthy' });
});
