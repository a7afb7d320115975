import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashKey } from '../../../../gateway/domain/keys.ts';
import { freePort } from '../../../../runbooks/lab/free-port.ts';
import { configFor, masterKey, migratedDatabase } from '../../../support/gateway.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { query } from '../../../support/query.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { type WiredGateway, wireGateway } from '../../../support/wired-gateway.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
let gateway: WiredGateway;

const config = `
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_base: "http://127.0.0.1:9", api_key: sk-upstream}
    model_info: {access_groups: [beta]}
  - model_name: small
    litellm_params: {model: openai/small, api_base: "http://127.0.0.1:9", api_key: sk-upstream}
litellm_settings:
  default_key_generate_params: {metadata: {from: default}, rpm_limit: 60}
  upperbound_key_generate_params: {max_budget: 100, duration: 90d, tpm_limit: 5000}
  max_internal_user_budget: 25
  internal_user_budget_duration: 30d
`;

beforeAll(async () => {
  database = await migratedDatabase();
  gateway = await wireGateway({
    databaseUrl: database.url,
    dataDirectory: directory,
    config,
    environment: { LITELLM_SALT_KEY: 'a-salt-key-of-the-tests' },
  });
});
afterAll(async () => {
  await gateway.close();
  await database.drop();
});

const accounts = async (like: string) =>
  query(
    database.url,
    `SELECT id, max_micros::text AS max, window_length::text AS length FROM account WHERE id LIKE '${like}' ORDER BY id`,
  );
const modelsOf = async (key: string): Promise<string[]> => {
  const { data } = await gateway.ok('/v1/models', undefined, key);
  return Array.isArray(data) ? data.map(({ id }: { id: string }) => id) : [];
};
const makeKey = async (body: object): Promise<string> => String((await gateway.ok('/key/generate', body))['key']);

describe('the operator’s settings for keys', () => {
  it('fill in what is not stated, bound what is, and name what is beyond', async () => {
    expect(await gateway.ok('/key/generate', {})).toMatchObject({
      metadata: { from: 'default' },
      rpm_limit: 60,
      max_budget: 100,
      tpm_limit: 5000,
    });
    expect(await gateway.ok('/key/generate', { rpm_limit: 5, max_budget: 7 })).toMatchObject({
      rpm_limit: 5,
      max_budget: 7,
    });
    // Null does not take the bound away.
    expect(await gateway.ok('/key/generate', { max_budget: null })).toMatchObject({ max_budget: 100 });
    for (const [field, value] of Object.entries({ max_budget: 101, tpm_limit: 5001, duration: '91d' })) {
      expect(await gateway.call('/key/generate', { [field]: value })).toMatchObject({
        status: 400,
        body: { error: { param: field } },
      });
    }
  });

  it('give users that are made without a budget theirs', async () => {
    expect(await gateway.ok('/user/new', { user_id: 'budgeted' })).toMatchObject({
      max_budget: 25,
      budget_duration: '30d',
    });
    expect(await gateway.ok('/user/new', { user_id: 'richer', max_budget: 50 })).toMatchObject({ max_budget: 50 });
    expect(await accounts('m:user:budgeted')).toEqual([{ id: 'm:user:budgeted', max: '25000000', length: '1 mon' }]);
  });
});

describe('/team/*', () => {
  it('a team’s keys may use what the team may: all of it, a part, an access group', async () => {
    const team = await gateway.ok('/team/new', {
      team_id: 'models',
      team_alias: 'Models',
      models: ['beta'],
      max_budget: 10,
      budget_duration: '24h',
    });
    expect(team).toMatchObject({
      team_id: 'models',
      models: ['beta'],
      max_budget: 10,
      spend: 0,
      blocked: false,
      members_with_roles: [],
    });
    expect(await accounts('t:team:models')).toEqual([{ id: 't:team:models', max: '10000000', length: '24:00:00' }]);
    const [all, stated, beyond] = [
      await makeKey({ team_id: 'models' }),
      await makeKey({ team_id: 'models', models: ['all-team-models'] }),
      await makeKey({ team_id: 'models', models: ['small'] }),
    ];
    expect([await modelsOf(all), await modelsOf(stated), await modelsOf(beyond)]).toEqual([['gpt-4o'], ['gpt-4o'], []]);
    const refused = await gateway.call(
      '/v1/chat/completions',
      { model: 'small', messages: [{ role: 'user', content: 'x' }] },
      all,
    );
    expect(refused).toMatchObject({
      status: 403,
      body: { error: { type: 'team_model_access_denied', param: 'model' } },
    });
    await gateway.ok('/team/model/add', { team_id: 'models', models: ['small'] });
    expect(await modelsOf(all)).toEqual(['gpt-4o', 'small']);
    await gateway.ok('/team/model/delete', { team_id: 'models', models: ['beta'] });
    expect(await modelsOf(all)).toEqual(['small']);
    // An empty list would open everything.
    expect(await gateway.call('/team/model/delete', { team_id: 'models', models: ['small'] })).toMatchObject({
      status: 400,
    });
  });

  it('blocking a team refuses its keys at once; deleting it ends them', async () => {
    await gateway.ok('/team/new', { team_id: 'blocked' });
    const key = await makeKey({ team_id: 'blocked' });
    const status = async () => (await gateway.call('/v1/models', undefined, key)).status;
    expect(await status()).toBe(200);
    await gateway.ok('/team/block', { team_id: 'blocked' });
    expect(await status()).toBe(401);
    await gateway.ok('/team/unblock', { team_id: 'blocked' });
    expect(await status()).toBe(200);
    expect(await gateway.ok('/team/delete', { team_ids: ['blocked'] })).toEqual({
      deleted_teams: ['blocked'],
      deleted_keys: 1,
    });
    expect(await status()).toBe(401);
    expect((await gateway.call('/team/info?team_id=blocked')).status).toBe(404);
    // The id is free; nothing of the old team comes back with it.
    expect(await gateway.ok('/team/new', { team_id: 'blocked' })).toMatchObject({
      blocked: false,
      members_with_roles: [],
    });
    expect(await status()).toBe(401);
  });

  it('members have a share of their own, by id or by address', async () => {
    await gateway.ok('/team/new', { team_id: 'shares', members_with_roles: [{ role: 'admin', user_id: 'lead' }] });
    const added = await gateway.ok('/team/member_add', {
      team_id: 'shares',
      member: [{ user_id: 'one' }, { user_email: 'two@example.com' }],
      max_budget_in_team: 1.5,
      budget_duration: '7d',
    });
    expect(added).toMatchObject({
      updated_team_memberships: [{ user_id: 'one', role: 'user', max_budget_in_team: 1.5, spend: 0 }, { role: 'user' }],
    });
    expect(await accounts('b:member:shares/one')).toEqual(
      [{ id: 'b:member:shares/one', max: '1500000', length: '7 days' }].map((row) => ({ ...row, length: '168:00:00' })),
    );
    await gateway.ok('/team/member_update', {
      team_id: 'shares',
      user_email: 'TWO@example.com',
      role: 'admin',
      max_budget_in_team: null,
    });
    const info = await gateway.ok('/team/info?team_id=shares');
    expect(info['team_info']).toMatchObject({
      members_with_roles: expect.arrayContaining([
        { user_id: 'lead', role: 'admin' },
        { user_id: 'one', role: 'user' },
      ]),
    });
    await gateway.ok('/team/member_delete', { team_id: 'shares', user_id: 'one' });
    expect(await gateway.call('/team/member_delete', { team_id: 'shares', user_id: 'one' })).toMatchObject({
      status: 404,
    });
  });

  it('lists in pages, those of a user or of an organization', async () => {
    await gateway.ok('/organization/new', { organization_id: 'listing', organization_alias: 'Listing' });
    for (const name of ['l1', 'l2', 'l3']) await gateway.ok('/team/new', { team_id: name, organization_id: 'listing' });
    expect(await gateway.ok('/team/list?organization_id=listing&page_size=2')).toMatchObject({
      0: { team_id: 'l3' },
      1: { team_id: 'l2' },
    });
    expect(await gateway.ok('/team/list?organization_id=listing&page_size=2&page=2')).toMatchObject({
      0: { team_id: 'l1' },
    });
    expect(Object.keys(await gateway.ok('/team/list?user_id=nobody-at-all'))).toEqual([]);
  });
});

describe('/user/*', () => {
  it('makes a user with a key, changes it, and ends both', async () => {
    const made = await gateway.ok('/user/new', {
      user_id: 'ada',
      user_email: 'Ada@example.com',
      user_role: 'internal_user',
      models: ['small'],
      max_budget: 3,
    });
    expect(made).toMatchObject({
      user_id: 'ada',
      user_email: 'Ada@example.com',
      user_role: 'internal_user',
      max_budget: 3,
      spend: 0,
    });
    const key = String(made['key']);
    expect(await modelsOf(key)).toEqual(['small']);
    await gateway.ok('/user/update', { user_email: 'ada@example.com', models: [] });
    expect(await modelsOf(key)).toEqual(['gpt-4o', 'small']);
    expect(await gateway.call('/user/new', { user_id: 'ada' })).toMatchObject({ status: 400 });
    expect(await gateway.call('/user/new', { user_id: 'eve', user_email: 'ADA@example.com' })).toMatchObject({
      status: 400,
      body: { error: { param: 'user_email' } },
    });
    await gateway.ok('/user/update', { user_id: 'ada', blocked: true });
    expect((await gateway.call('/v1/models', undefined, key)).status).toBe(401);
    expect(await gateway.ok('/user/delete', { user_ids: ['ada'] })).toEqual({
      deleted_users: ['ada'],
      deleted_keys: 1,
    });
    expect((await gateway.call('/user/info?user_id=ada')).status).toBe(404);
    expect(await gateway.ok('/user/new', { user_id: 'ada', auto_create_key: false })).toMatchObject({
      key: null,
      blocked: false,
      user_email: null,
    });
  });

  it('finds users by a part of their address; a wildcard in it is text', async () => {
    for (const name of ['per_cent', 'perXcent'])
      await gateway.ok('/user/new', { user_id: name, user_email: `${name}@example.com`, auto_create_key: false });
    expect(await gateway.ok('/user/list?user_email=per_c')).toMatchObject({
      total: 1,
      users: [{ user_id: 'per_cent' }],
    });
    expect(await gateway.ok('/user/list?user_email=%25')).toMatchObject({ total: 0 });
    expect(await gateway.ok('/user/list?role=proxy_admin')).toMatchObject({ total: 0, page: 1, page_size: 25 });
  });

  it('an administrating user is one from the next request on, and none any more when that ends', async () => {
    const made = await gateway.ok('/user/new', { user_id: 'chief', user_role: 'proxy_admin' });
    const key = String(made['key']);
    expect((await gateway.call('/user/list', undefined, key)).status).toBe(200);
    await gateway.ok('/user/update', { user_id: 'chief', user_role: 'internal_user' });
    expect((await gateway.call('/user/list', undefined, key)).status).toBe(403);
    const [line] = await query(
      database.url,
      `SELECT actor_user, change FROM audit_log WHERE object_kind = 'user' AND object_id = 'chief' ORDER BY seq DESC LIMIT 1`,
    );
    expect(line).toMatchObject({ change: { userRole: ['proxy_admin', 'internal_user'] } });
  });
});

describe('/budget/*', () => {
  it('holds for everybody who has it, and a change for all of them at once', async () => {
    await gateway.ok('/budget/new', { budget_id: 'shared', max_budget: 2, budget_duration: '24h', tpm_limit: 9 });
    const key = await makeKey({ budget_id: 'shared', max_budget: 1 });
    await gateway.ok('/customer/new', { user_id: 'sharing', budget_id: 'shared' });
    await gateway.ok('/team/new', { team_id: 'sharing', budget_id: 'shared' });
    const all = async () => [
      ...(await accounts('c:end_user:sharing')),
      ...(await accounts('t:team:sharing')),
      ...(await accounts(`a:key:${hashKey(key)}`)),
    ];
    expect((await all()).map(({ max }) => max)).toEqual(['2000000', '2000000', '1000000']);
    await gateway.ok('/budget/update', { budget_id: 'shared', max_budget: 4 });
    // What the key states itself wins.
    expect((await all()).map(({ max }) => max)).toEqual(['4000000', '4000000', '1000000']);
    expect(await gateway.ok('/customer/info?end_user_id=sharing')).toMatchObject({
      litellm_budget_table: { budget_id: 'shared', max_budget: 4, tpm_limit: 9 },
    });
    expect(await gateway.ok('/budget/info', { budgets: ['shared'] })).toMatchObject({ 0: { max_budget: 4 } });
    expect(await gateway.ok('/budget/settings?budget_id=shared')).toMatchObject({
      0: { field_name: 'max_budget', field_value: 4 },
    });
    // Whoever has it would be without limits.
    expect(await gateway.call('/budget/delete', { id: 'shared' })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('still have budget shared') } },
    });
    await gateway.ok('/budget/new', { budget_id: 'unused' });
    await gateway.ok('/budget/delete', { id: 'unused' });
    expect(await gateway.call('/budget/update', { budget_id: 'unused', max_budget: 1 })).toMatchObject({ status: 404 });
  });

  it('the window of a budget ends where people expect it', async () => {
    const ends = async (budget_duration: string): Promise<string> => {
      const key = await makeKey({ max_budget: 1, budget_duration });
      const [row] = await query(
        database.url,
        `SELECT to_char(window_end AT TIME ZONE 'UTC', 'ID HH24:MI DD') AS at FROM account WHERE id = 'a:key:${hashKey(key)}'`,
      );
      return String(row?.['at']);
    };
    expect(await ends('24h')).toMatch(/^\d 00:00/);
    expect(await ends('7d')).toMatch(/^7 00:00/);
    expect(await ends('30d')).toMatch(/00:00 01$/);
  });
});

describe('/customer/* and /organization/*', () => {
  it('customers can be blocked before anybody has made them, under both names of the route', async () => {
    await gateway.ok('/end_user/block', { user_ids: ['unknown-before'] });
    expect(await gateway.ok('/customer/info?end_user_id=unknown-before')).toMatchObject({
      user_id: 'unknown-before',
      blocked: true,
    });
    await gateway.ok('/customer/unblock', { user_ids: ['unknown-before'] });
    expect(await gateway.ok('/end_user/delete', { user_ids: ['unknown-before'] })).toMatchObject({
      deleted_customers: ['unknown-before'],
    });
  });

  it('an organization binds the keys of its teams, and stays while it has some', async () => {
    await gateway.ok('/organization/new', {
      organization_id: 'acme',
      organization_alias: 'ACME',
      models: ['small'],
      max_budget: 500,
    });
    await gateway.ok('/team/new', { team_id: 'acme-team', organization_id: 'acme' });
    const key = await makeKey({ team_id: 'acme-team' });
    expect(await modelsOf(key)).toEqual(['small']);
    expect(await gateway.call('/organization/delete', { organization_ids: ['acme'] })).toMatchObject({ status: 400 });
    await gateway.ok('/organization/update', { organization_id: 'acme', blocked: true });
    expect((await gateway.call('/v1/models', undefined, key)).status).toBe(401);
    await gateway.ok('/team/delete', { team_ids: ['acme-team'] });
    await gateway.ok('/organization/delete', { organization_ids: ['acme'] });
    expect((await gateway.call('/organization/info?organization_id=acme')).status).toBe(404);
  });
});

describe('/model/*', () => {
  it('stores a deployment with its secrets sealed, and shows none of them', async () => {
    const made = await gateway.call('/model/new', {
      model_name: 'stored',
      litellm_params: {
        model: 'openai/gpt-4o',
        api_key: 'sk-provider-secret-value',
        api_base: 'os.environ/BASE',
        extra_headers: { Authorization: 'Bearer provider-secret-too', 'x-team': 'blue' },
        input_cost_per_token: 0.1,
      },
      model_info: { id: 'stored-1' },
    });
    expect(made).toMatchObject({
      status: 200,
      body: {
        model_id: 'stored-1',
        litellm_params: {
          api_key: '(sealed)',
          api_base: 'os.environ/BASE',
          extra_headers: { Authorization: '(sealed)', 'x-team': 'blue' },
        },
      },
    });
    await gateway.ok('/model/update', { model_info: { id: 'stored-1' }, litellm_params: { rpm: 5 } });
    expect(await gateway.ok('/model/definitions')).toMatchObject({
      data: [{ model_name: 'stored', litellm_params: { rpm: 5, api_key: '(sealed)' } }],
    });
    const everything = JSON.stringify(
      await query(database.url, 'SELECT m::text, a::text FROM model_definition m, audit_log a'),
    );
    expect(everything).not.toContain('provider-secret');
    await gateway.ok('/model/delete', { id: 'stored-1' });
    expect(await gateway.call('/model/delete', { id: 'stored-1' })).toMatchObject({ status: 404 });
  });
});

describe('/spend/* and /global/spend/*', () => {
  it('tells what the ledger has: by request, day, key, user, team and tag; unpriced is null and not 0', async () => {
    await gateway.ok('/team/new', { team_id: 'spenders', team_alias: 'Spenders' });
    const key = await makeKey({ user_id: 'spender', key_alias: 'spending' });
    const rotated = String((await gateway.ok('/key/regenerate', { key, grace_period: '1h' }))['key']);
    const row = (id: number, hash: string, cost: string, at: string, tags = '{red}') =>
      `('${at.slice(0, 10)}', '018f0000-0000-7000-8000-00000000000${id}', gen_random_uuid(), 1, '${at}', ${cost}, 'finished', '${hash}', 'spender', 'spenders', 'gpt-4o', 'gpt-4o', 10, 5, '${tags}', 'call-${id}')`;
    await query(
      database.url,
      `INSERT INTO spend_entry (day, id, log_id, seq, at, cost_micros, ending, key_hash, user_id, team_id, model_group, model,
         prompt_tokens, completion_tokens, tags, call_id) VALUES
       ${row(1, hashKey(key), '1500000', '2030-01-01T10:00:00Z')}, ${row(2, hashKey(rotated), '250000', '2030-01-02T10:00:00Z')},
       ${row(3, hashKey(key), 'NULL', '2030-01-02T11:00:00Z', '{red,blue}')}`,
    );
    expect(await gateway.ok('/spend/logs?request_id=call-1')).toMatchObject({
      0: { spend: 1.5, user: 'spender', total_tokens: 15, api_key: hashKey(key) },
    });
    // Both values of the key.
    const ofKey = await gateway.ok(`/spend/logs?api_key=${rotated}`);
    expect(Object.values(ofKey)).toMatchObject([{ spend: null }, { spend: 0.25 }, { spend: 1.5 }]);
    expect(Object.keys(await gateway.ok(`/spend/logs?api_key=${rotated}&page_size=2&page=2`))).toHaveLength(1);
    expect(await gateway.ok('/spend/logs?user_id=spender&start_date=2030-01-01&end_date=2030-01-31')).toMatchObject({
      0: { startTime: '2030-01-02', spend: 0.25, users: { spender: 0.25 }, models: { 'gpt-4o': 0.25 } },
      1: { startTime: '2030-01-01', spend: 1.5 },
    });
    expect(await gateway.ok('/spend/users')).toMatchObject({ 0: { user_id: 'spender', spend: 1.75, requests: 3 } });
    expect(await gateway.ok('/spend/keys')).toMatchObject({ 0: { token: hashKey(key), spend: 1.5 } });
    expect(await gateway.ok('/spend/teams')).toMatchObject({ 0: { team_id: 'spenders', total_spend: 1.75 } });
    expect(await gateway.ok('/spend/tags')).toMatchObject({
      0: { individual_request_tag: 'red', log_count: 3, total_spend: 1.75 },
      1: { individual_request_tag: 'blue' },
    });
    expect(
      await gateway.ok('/global/spend/report?start_date=2030-01-01&end_date=2030-01-31&group_by=team'),
    ).toMatchObject({
      0: { group_by_day: '2030-01-02', teams: [{ team_name: 'Spenders', total_spend: 0.25 }] },
      1: {
        group_by_day: '2030-01-01',
        teams: [{ total_spend: 1.5, metadata: [{ model: 'gpt-4o', spend: 1.5, total_tokens: 15 }] }],
      },
    });
    expect(await gateway.call('/global/spend/report?start_date=yesterday&end_date=2030-01-31')).toMatchObject({
      status: 400,
    });
  });

  it('a reset sets every running window to 0 and leaves the ledger', async () => {
    const key = await makeKey({});
    await query(database.url, `UPDATE account SET spent_micros = 5000000 WHERE id = 'a:key:${hashKey(key)}'`);
    const before = await query(database.url, 'SELECT count(*)::int AS n FROM spend_entry');
    expect(await gateway.ok('/global/spend/reset', {})).toEqual({
      message: 'Spend for all API Keys and Teams reset successfully',
      status: 'success',
    });
    expect((await gateway.ok(`/key/info?key=${key}`))['info']).toMatchObject({ spend: 0 });
    expect(await query(database.url, 'SELECT count(*)::int AS n FROM spend_entry')).toEqual(before);
    await gateway.ok('/key/update', { key, spend: 2.5 });
    expect((await gateway.ok(`/key/info?key=${key}`))['info']).toMatchObject({ spend: 2.5 });
  });
});

describe('/audit', () => {
  it('has who changed what, and holds no key', async () => {
    const made = await gateway.ok('/user/new', { user_id: 'auditor', user_role: 'proxy_admin' });
    const key = String(made['key']);
    const { key: fresh } = await gateway.ok('/key/generate', { key_alias: 'audited' }, key);
    const answer = await gateway.call(`/audit?object_id=${hashKey(String(fresh))}`);
    expect(answer.body).toMatchObject({
      total: 1,
      audit_logs: [
        {
          action: 'created',
          table_name: 'key',
          changed_by: 'auditor',
          changed_by_api_key: hashKey(key),
          updated_values: { keyAlias: 'audited' },
        },
      ],
    });
    const all = await gateway.call('/audit?page_size=1000');
    for (const secret of [key, String(fresh), masterKey]) expect(all.text).not.toContain(secret.slice(3));
    expect(await gateway.ok('/audit/verify')).toEqual({ intact: true, first_wrong_id: null });
  });
});

describe('without a database that takes changes', () => {
  it.each([
    ['none is configured', undefined, 'no_db_connection', /set DATABASE_URL/],
    ['none can be reached', 'away', 'no_db_connection', /cannot be reached. Nothing was changed/],
    ['it is a replica', 'replica', 'not_writer', /is a replica and takes no changes/],
  ])('%s: 503, a clear word, and nothing half done', async (_case, kind, type, message) => {
    const own = kind === 'replica' ? await migratedDatabase() : undefined;
    if (own !== undefined)
      await query(
        own.url,
        `ALTER DATABASE ${new URL(own.url).pathname.slice(1)} SET default_transaction_read_only = on`,
      );
    const databaseUrl =
      kind === undefined ? undefined : (own?.url ?? `postgresql://nobody@127.0.0.1:${await freePort()}/none`);
    const cut = await wireGateway({
      databaseUrl,
      dataDirectory: directory,
      config: configFor(['http://127.0.0.1:9']),
      unstarted: true,
    });
    for (const [path, body] of [
      ['/key/generate', {}],
      ['/team/new', { team_id: 'x' }],
      ['/global/spend/reset', {}],
    ] as const) {
      const answer = await cut.call(path, body);
      expect(answer).toMatchObject({ status: 503, body: { error: { type, code: '503' } } });
      expect(answer.text).toMatch(message);
      if (kind !== undefined) expect(answer.headers['retry-after']).toBe('5');
    }
    expect((await cut.call('/key/list')).status).toBe(kind === 'replica' ? 200 : 503);
    await cut.close();
    await own?.drop();
  });
});
