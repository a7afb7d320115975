/**
 * Every route of the management API, asked by every role, about its own objects and about those of another tenant:
 * nothing can be reached that should not be. The routes come from the table that registers them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashKey } from '../../../../gateway/domain/keys.ts';
import type { Need } from '../../../../gateway/http/management/actor.ts';
import type { ManagementRoute } from '../../../../gateway/http/management/route.ts';
import { managementRoutes } from '../../../../gateway/http/management/routes.ts';
import { masterKey, migratedDatabase } from '../../../support/gateway.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { query } from '../../../support/query.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { type WiredGateway, wireGateway } from '../../../support/wired-gateway.ts';

let database: TestDatabase;
let gateway: WiredGateway;

/** Two tenants with the same things under names of their own. */
const tenants = ['north', 'south'] as const;
type Tenant = (typeof tenants)[number];
const roles = ['orgAdmin', 'teamAdmin', 'member', 'viewerUser', 'teamKey', 'plainKey', 'llmKey'] as const;
type Role = (typeof roles)[number];
const secrets = new Map<string, string>();
const keyOf = (tenant: Tenant, role: Role | 'viewer'): string => secrets.get(`${tenant}-${role}`) ?? 'sk-missing';

beforeAll(async () => {
  database = await migratedDatabase();
  gateway = await wireGateway({ databaseUrl: database.url, dataDirectory: await temporaryDirectory() });
  const { ok } = gateway;
  for (const tenant of tenants) {
    await ok('/organization/new', { organization_id: `org-${tenant}`, organization_alias: tenant });
    await ok('/budget/new', { budget_id: `budget-${tenant}`, max_budget: 1 });
    await ok('/customer/new', { user_id: `customer-${tenant}` });
    await ok('/model/new', {
      model_name: 'm',
      litellm_params: { model: 'openai/x' },
      model_info: { id: `model-${tenant}` },
    });
    await ok('/team/new', {
      team_id: `team-${tenant}`,
      organization_id: `org-${tenant}`,
      team_alias: `secret-${tenant}`,
    });
    const users = {
      orgAdmin: 'internal_user',
      teamAdmin: 'internal_user',
      member: 'internal_user',
      viewerUser: 'internal_user_viewer',
    };
    for (const [role, userRole] of Object.entries(users)) {
      const made = await ok('/user/new', {
        user_id: `${role}-${tenant}`,
        user_role: userRole,
        key_alias: `${role}-${tenant}`,
      });
      secrets.set(`${tenant}-${role}`, String(made['key']));
    }
    await ok('/organization/member_add', {
      organization_id: `org-${tenant}`,
      member: { role: 'org_admin', user_id: `orgAdmin-${tenant}` },
    });
    await ok('/team/member_add', {
      team_id: `team-${tenant}`,
      member: { role: 'admin', user_id: `teamAdmin-${tenant}` },
    });
    for (const role of ['member', 'viewerUser'])
      await ok('/team/member_add', { team_id: `team-${tenant}`, member: { user_id: `${role}-${tenant}` } });
    for (const [role, body] of Object.entries({
      teamKey: { team_id: `team-${tenant}`, user_id: `member-${tenant}` },
      plainKey: {},
      llmKey: { user_id: `member-${tenant}`, key_type: 'llm_api' },
    })) {
      const made = await ok('/key/generate', { ...body, key_alias: `${role}-${tenant}` });
      secrets.set(`${tenant}-${role}`, String(made['key']));
    }
  }
  const viewer = await ok('/user/new', { user_id: 'viewer', user_role: 'proxy_admin_viewer' });
  secrets.set('north-viewer', String(viewer['key']));
});
afterAll(async () => {
  await gateway.close();
  await database.drop();
});

/** A request that is whole, about the things of one tenant. */
function requestAbout(route: ManagementRoute, tenant: Tenant): { path: string; body: object | undefined } {
  const path = route.paths[0].replace(':key', 'x');
  const key = hashKey(keyOf(tenant, 'member'));
  const own = { team_id: `team-${tenant}`, organization_id: `org-${tenant}` };
  const fresh = `fresh-${tenant}-${Math.random().toString(36).slice(2)}`;
  const bodies: Readonly<Record<string, object>> = {
    '/key/generate': { user_id: `member-${tenant}` },
    '/key/update': { key, metadata: { touched: true } },
    '/key/delete': { keys: [hashKey(keyOf(tenant, 'plainKey'))] },
    '/key/block': { key },
    '/key/unblock': { key },
    '/key/regenerate': { key: hashKey(keyOf(tenant, 'plainKey')) },
    '/key/health': {},
    '/team/new': { team_id: fresh, organization_id: `org-${tenant}` },
    '/team/update': { team_id: `team-${tenant}`, max_budget: 1_000 },
    '/team/delete': { team_ids: [`team-${tenant}`] },
    '/team/block': { team_id: `team-${tenant}` },
    '/team/unblock': { team_id: `team-${tenant}` },
    '/team/model/add': { team_id: `team-${tenant}`, models: ['x'] },
    '/team/model/delete': { team_id: `team-${tenant}`, models: ['x'] },
    '/team/member_add': { team_id: `team-${tenant}`, member: { user_id: `orgAdmin-${tenant}` } },
    '/team/member_update': { team_id: `team-${tenant}`, user_id: `member-${tenant}`, role: 'admin' },
    '/team/member_delete': { team_id: `team-${tenant}`, user_id: `member-${tenant}` },
    '/user/new': { user_id: fresh },
    '/user/update': { user_id: `member-${tenant}`, user_role: 'proxy_admin' },
    '/user/delete': { user_ids: [`member-${tenant}`] },
    '/organization/new': { organization_id: fresh, organization_alias: 'x' },
    '/organization/update': { organization_id: `org-${tenant}`, max_budget: 1 },
    '/organization/delete': { organization_ids: [`org-${tenant}`] },
    '/organization/member_add': {
      organization_id: `org-${tenant}`,
      member: { user_id: `member-${tenant}`, role: 'org_admin' },
    },
    '/organization/member_delete': { organization_id: `org-${tenant}`, user_id: `orgAdmin-${tenant}` },
    '/customer/new': { user_id: fresh },
    '/customer/update': { user_id: `customer-${tenant}`, blocked: true },
    '/customer/delete': { user_ids: [`customer-${tenant}`] },
    '/customer/block': { user_ids: [`customer-${tenant}`] },
    '/customer/unblock': { user_ids: [`customer-${tenant}`] },
    '/budget/new': { budget_id: fresh },
    '/budget/update': { budget_id: `budget-${tenant}`, max_budget: 1_000 },
    '/budget/delete': { id: `budget-${tenant}` },
    '/budget/info': { budgets: [`budget-${tenant}`] },
    '/model/new': { model_name: 'x', litellm_params: { model: 'openai/x' } },
    '/model/update': { model_id: `model-${tenant}`, model_name: 'other' },
    '/model/delete': { id: `model-${tenant}` },
    '/global/spend/reset': {},
    '/spend/reprice': {},
  };
  const queries: Readonly<Record<string, string>> = {
    '/key/info': `key=${key}`,
    '/key/list': `team_id=team-${tenant}&return_full_object=true`,
    '/team/info': `team_id=team-${tenant}`,
    '/team/list': `organization_id=org-${tenant}`,
    '/user/info': `user_id=member-${tenant}`,
    '/user/list': '',
    '/organization/info': `organization_id=org-${tenant}`,
    '/organization/list': '',
    '/customer/info': `end_user_id=customer-${tenant}`,
    '/customer/list': '',
    '/budget/list': '',
    '/budget/settings': `budget_id=budget-${tenant}`,
    '/model/definitions': '',
    '/spend/logs': `user_id=member-${tenant}`,
    '/spend/keys': `user_id=member-${tenant}`.replace(/.*/, ''),
    '/spend/users': `user_id=member-${tenant}`,
    '/spend/teams': '',
    '/spend/tags': '',
    '/global/spend/report': 'start_date=2030-01-01&end_date=2030-01-02',
    '/audit': '',
    '/audit/verify': '',
  };
  if (route.method === 'POST') {
    const body = bodies[route.paths[0]];
    if (body === undefined) throw new Error(`the matrix has no body for ${route.paths[0]}: add one`);
    return { path, body: route.paths[0] === '/team/new' ? { ...body, team_alias: own.team_id } : body };
  }
  const search = queries[route.paths[0]];
  if (search === undefined) throw new Error(`the matrix has no query for ${route.paths[0]}: add one`);
  return { path: `${path}?${search}`, body: undefined };
}

/** Everything that a change would change. */
async function state(): Promise<string> {
  const tables = [
    'api_key',
    'team',
    'team_member',
    'gateway_user',
    'organization',
    'organization_member',
    'end_user',
    'budget',
    'model_definition',
    'account',
    'audit_head',
  ];
  const sums = tables.map(
    (table) =>
      `SELECT '${table}' AS name, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS sum FROM ${table} t`,
  );
  return JSON.stringify(await query(database.url, sums.join(' UNION ALL ')));
}

/** What may be changed in the own tenant. Everything else, and everything of the other tenant, is closed. */
const openInOwn: Readonly<Record<Role, readonly string[]>> = {
  orgAdmin: ['/key/generate', '/key/update', '/key/delete', '/key/block', '/key/unblock', '/key/regenerate', '/team/'],
  teamAdmin: ['/team/member_'],
  member: ['/key/generate', '/key/update', '/key/block'],
  viewerUser: [],
  teamKey: [],
  plainKey: [],
  llmKey: [],
};

const changing = managementRoutes.filter((route) => route.changes);
const reading = managementRoutes.filter((route) => !route.changes);

describe.each(roles)('%s', (role) => {
  it('changes nothing of another tenant, and learns nothing about it', async () => {
    const before = await state();
    const reached: string[] = [];
    for (const route of managementRoutes) {
      const { path, body } = requestAbout(route, 'south');
      const { status, text } = await gateway.call(path, body, keyOf('north', role));
      const tells = /south/.test(text.replaceAll(/"message":"[^"]*"/g, ''));
      const harmless = status === 200 && !route.changes && !tells;
      if (!harmless && status !== 403) reached.push(`${route.paths[0]}: ${status}`);
      if (tells) reached.push(`${route.paths[0]} tells: ${text.slice(0, 200)}`);
    }
    expect(reached).toEqual([]);
    expect(await state()).toBe(before);
  });

  it('gets the same refusal for what is not there as for what is another tenant’s', async () => {
    for (const [path, body] of [
      ['/key/info?key=NAME', undefined],
      ['/team/info?team_id=NAME', undefined],
      ['/user/info?user_id=NAME', undefined],
      ['/organization/info?organization_id=NAME', undefined],
      ['/key/update', { key: 'NAME', max_budget: 1 }],
      ['/key/delete', { keys: ['NAME'] }],
      ['/team/member_add', { team_id: 'NAME', member: { user_id: 'x' } }],
      ['/team/block', { team_id: 'NAME' }],
      ['/key/generate', { team_id: 'NAME' }],
    ] as const) {
      const ask = async (name: string) => {
        const answer = await gateway.call(
          path.replace('NAME', name),
          body === undefined ? undefined : JSON.stringify(body).replace('NAME', name),
          keyOf('north', role),
        );
        return `${answer.status} ${answer.text.replaceAll(name, 'NAME')}`;
      };
      const there =
        path.includes('key') && !path.includes('generate')
          ? hashKey(keyOf('south', 'member'))
          : path.includes('team') || path.includes('generate')
            ? 'team-south'
            : path.includes('user')
              ? 'member-south'
              : 'org-south';
      expect(await ask(there)).toBe(await ask(there.replace(/.$/, 'x')));
    }
  });

  it('changes of its own tenant what is its own affair, and nothing else', async () => {
    const closed = changing.filter((route) => !openInOwn[role].some((path) => route.paths[0].startsWith(path)));
    const before = await state();
    const reached: string[] = [];
    for (const route of closed) {
      const { path, body } = requestAbout(route, 'north');
      const { status } = await gateway.call(path, body, keyOf('north', role));
      if (status !== 403) reached.push(`${route.paths[0]}: ${status}`);
    }
    expect(reached).toEqual([]);
    expect(await state()).toBe(before);
  });
});

describe('an administrating viewer', () => {
  it('sees everything and changes nothing', async () => {
    const before = await state();
    for (const route of managementRoutes) {
      const { path, body } = requestAbout(route, 'south');
      const { status } = await gateway.call(path, body, keyOf('north', 'viewer'));
      expect([route.paths[0], status]).toEqual([route.paths[0], route.changes ? 403 : 200]);
    }
    expect(await state()).toBe(before);
  });
});

describe('without a key', () => {
  it('nothing is open, whatever Host says', async () => {
    for (const route of managementRoutes) {
      const { path, body } = requestAbout(route, 'south');
      for (const headers of [
        {},
        { host: 'localhost' },
        { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'localhost' },
      ]) {
        const response = await gateway.generation.app.inject({
          method: route.method,
          url: path,
          headers,
          payload: JSON.stringify(body),
        });
        expect([path, response.statusCode]).toEqual([path, 401]);
      }
    }
  });

  it.each([
    `' OR '1'='1`,
    `sk-' UNION SELECT * FROM api_key --`,
    `sk-\u0000`,
    `Bearer Bearer`,
    `sk-"; DROP TABLE api_key; --`,
    `sk-${'a'.repeat(5_000)}`,
    '%27%20OR%201=1',
    '$1',
    `sk-\\'`,
  ])('a key made to be SQL is an unknown key: %j', async (key) => {
    const before = await state();
    const response = await gateway.generation.app.inject({ url: '/key/info', headers: { 'x-api-key': key } });
    expect([401, 400]).toContain(response.statusCode);
    const asQuery = await gateway.call(`/key/info?key=${encodeURIComponent(key)}`);
    expect([404, 400]).toContain(asQuery.status);
    expect(await state()).toBe(before);
  });
});

describe('every role, in its own tenant', () => {
  it('the table of routes says deny unless a role meets the need', () => {
    const needs: readonly Need[] = ['any-key', 'viewer', 'member', 'admin'];
    for (const route of managementRoutes) expect(needs).toContain(route.needs);
    // Only these change something without an administrator.
    expect(changing.filter((route) => route.needs !== 'admin').every((route) => route.needs === 'member')).toBe(true);
    expect(reading.filter((route) => route.needs === 'any-key').map((route) => route.paths[0])).toEqual([
      '/key/info',
      '/key/health',
      '/spend/logs',
    ]);
  });

  it('a member sees itself, its keys and its team', async () => {
    const key = keyOf('north', 'member');
    expect(await gateway.ok('/user/info', undefined, key)).toMatchObject({
      user_id: 'member-north',
      teams: [{ team_id: 'team-north' }],
    });
    const team = await gateway.ok('/team/info?team_id=team-north', undefined, key);
    expect(team).toMatchObject({
      team_info: { team_alias: 'secret-north' },
      team_memberships: [{ user_id: 'member-north' }],
    });
    // The key of the team that was made for it, and nobody else's.
    expect(team['keys']).toMatchObject([{ key_alias: 'teamKey-north' }]);
    expect((await gateway.call('/user/info?user_id=teamAdmin-north', undefined, key)).status).toBe(403);
  });

  it('an administrator of a team adds and removes its members and makes its keys', async () => {
    const key = keyOf('north', 'teamAdmin');
    await gateway.ok(
      '/team/member_add',
      { team_id: 'team-north', member: { user_id: 'new-one' }, max_budget_in_team: 2 },
      key,
    );
    const made = await gateway.ok('/key/generate', { team_id: 'team-north', user_id: 'new-one' }, key);
    expect(made).toMatchObject({ team_id: 'team-north', user_id: 'new-one' });
    expect((await gateway.call('/v1/models', undefined, String(made['key']))).status).toBe(200);
    await gateway.ok('/team/member_delete', { team_id: 'team-north', user_id: 'new-one' }, key);
    // Whoever leaves a team leaves its keys.
    expect((await gateway.call('/v1/models', undefined, String(made['key']))).status).toBe(401);
    expect((await gateway.call('/key/generate', { team_id: 'team-north', user_id: 'stranger' }, key)).status).toBe(403);
    expect((await gateway.call('/team/update', { team_id: 'team-north', max_budget: 1e6 }, key)).status).toBe(403);
  });

  it('an administrator of an organization makes teams in it, and in no other', async () => {
    const key = keyOf('north', 'orgAdmin');
    await gateway.ok('/team/new', { team_id: 'second-north', organization_id: 'org-north' }, key);
    expect((await gateway.call('/team/new', { team_id: 'third', organization_id: 'org-south' }, key)).status).toBe(403);
    expect((await gateway.call('/team/new', { team_id: 'third' }, key)).status).toBe(403);
    expect(
      (await gateway.call('/team/update', { team_id: 'second-north', organization_id: 'org-south' }, key)).status,
    ).toBe(403);
    expect(await gateway.ok('/organization/list', undefined, key)).toMatchObject({
      0: { organization_id: 'org-north' },
    });
  });

  it('a user makes keys for itself alone, and cannot undo what an administrator did', async () => {
    const key = keyOf('north', 'member');
    const made = await gateway.ok('/key/generate', { key_alias: 'self-made' }, key);
    expect(made).toMatchObject({ user_id: 'member-north', created_by: 'member-north' });
    const own = String(made['key']);
    expect((await gateway.call('/key/generate', { user_id: 'teamAdmin-north' }, key)).status).toBe(403);
    for (const body of [{ spend: 0 }, { team_id: 'team-north' }, { user_id: 'teamAdmin-north' }]) {
      expect((await gateway.call('/key/update', { key: own, ...body }, key)).status).toBe(403);
    }
    await gateway.ok('/key/block', { key: own }, masterKey);
    expect((await gateway.call('/key/unblock', { key: own }, key)).status).toBe(403);
    expect((await gateway.call('/key/update', { key: own, blocked: false }, key)).status).toBe(403);
    await gateway.ok('/key/delete', { keys: [own] }, key);
  });

  it('a key passes on no more than it has, and cannot give itself more', async () => {
    const { key } = await gateway.ok('/key/generate', {
      user_id: 'member-north',
      models: ['chat'],
      max_budget: 5,
      rpm_limit: 10,
      duration: '1d',
      allowed_routes: ['/key/*'],
    });
    const narrow = { models: ['chat'], max_budget: 5, rpm_limit: 10, duration: '1h', allowed_routes: ['/key/info'] };
    const more: Readonly<Record<string, unknown>> = {
      models: [],
      max_budget: 6,
      rpm_limit: null,
      duration: '2d',
      allowed_routes: ['/spend/*'],
    };
    for (const [field, value] of Object.entries(more)) {
      const { status, body } = await gateway.call('/key/generate', { ...narrow, [field]: value }, String(key));
      expect([field, status, body]).toMatchObject([field, 403, { error: { param: field } }]);
      const itself = await gateway.call('/key/update', { key, [field]: value }, String(key));
      expect([field, itself.status]).toEqual([field, 403]);
    }
    expect(await gateway.ok('/key/generate', narrow, String(key))).toMatchObject({
      max_budget: 5,
      user_id: 'member-north',
    });
  });

  it('a key for models alone calls no management, one for management no model, one for reading changes nothing', async () => {
    const make = async (key_type: string): Promise<string> =>
      String((await gateway.ok('/key/generate', { key_type, user_id: 'member-north' }))['key']);
    const status = async (path: string, key: string, body?: object): Promise<number> =>
      (await gateway.call(path, body, key)).status;
    const [llm, management, reader] = [await make('llm_api'), await make('management'), await make('read_only')];
    expect([
      await status('/v1/models', llm),
      await status('/key/info', llm),
      await status('/key/generate', llm, {}),
    ]).toEqual([200, 403, 403]);
    expect([
      await status('/v1/chat/completions', management, { model: 'chat', messages: [] }),
      await status('/key/info', management),
    ]).toEqual([403, 200]);
    expect([
      await status('/key/info', reader),
      await status('/key/generate', reader, {}),
      await status('/v1/embeddings', reader, {}),
    ]).toEqual([200, 403, 403]);
  });
});
