import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { hashKey, NotWriter, newKey, StoreUnavailable } from '../../../gateway/domain/keys.ts';
import type { ResolvedKey } from '../../../gateway/domain/resolve-key.ts';
import { IdentityStore } from '../../../gateway/stores/identity.ts';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../../runbooks/lab/postgres.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { keyRow, openTestStore, type TestStore, testActor } from '../../support/identity.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
let database: TestDatabase;
const opened: TestStore[] = [];

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(async () => {
  await Promise.all(opened.map(({ pool }) => pool.end()));
  await database.drop();
});

/** As another process has it. */
function open(groups?: ReadonlyMap<string, readonly string[]>, url = database.url): TestStore {
  const store = openTestStore(url, groups);
  opened.push(store);
  return store;
}

/** A key with all it can belong to, under names of its own. */
async function family(name: string, over: object = {}) {
  const { insert } = open();
  const id = { budgetId: `b-${name}`, organizationId: `o-${name}`, teamId: `t-${name}`, userId: `u-${name}` };
  await insert('budget', { budgetId: id.budgetId, limits: { maxMicros: 9, duration: '30d' } });
  await insert('organization', {
    organizationId: id.organizationId,
    limits: { maxMicros: 100 },
    models: ['gpt-4o', 'small'],
  });
  await insert('user', { userId: id.userId, limits: { maxMicros: 50 }, models: ['never-looked-at'] });
  await insert('team', {
    teamId: id.teamId,
    organizationId: id.organizationId,
    budgetId: id.budgetId,
    models: ['small', 'group'],
  });
  await insert('member', { teamId: id.teamId, userId: id.userId, limits: { requestsPerMinute: 7 } });
  const secret = newKey();
  await insert(
    'key',
    keyRow(secret, { teamId: id.teamId, userId: id.userId, limits: { tokensPerMinute: 5 }, ...over }),
  );
  return { ...id, secret, keyHash: hashKey(secret) };
}

const found = async (store: IdentityStore, keyHash: string): Promise<ResolvedKey> => {
  const key = await store.find(keyHash);
  if (key === undefined) throw new Error('unknown key');
  return key;
};

describe('a key in the database', () => {
  it('is nowhere but in its hash: no column of any row, and no line of the audit log, holds it', async () => {
    const key = newKey();
    await open().insert('key', keyRow(key, { keyAlias: 'hidden', metadata: { team: 'a' } }));
    const rows = await query(
      database.url,
      `SELECT k::text AS row FROM api_key k WHERE key_alias = 'hidden' UNION ALL SELECT a::text FROM audit_log a`,
    );
    expect(JSON.stringify(rows)).toContain(hashKey(key));
    expect(JSON.stringify(rows)).not.toContain(key.slice(0, -4));
  });

  it('is made once, and one that was ended stays so', async () => {
    const { insert, plane } = open();
    const key = newKey();
    await insert('key', keyRow(key, { keyAlias: 'once' }));
    await expect(insert('key', keyRow(key))).rejects.toThrow('exists already');
    await expect(insert('key', keyRow(newKey(), { keyAlias: 'once' }))).rejects.toThrow('exists already');
    await plane.write(testActor, async (writer) => ({ rows: await writer.remove('key', { keyHash: hashKey(key) }) }));
    await expect(insert('key', keyRow(key))).rejects.toThrow('exists already');
    // Its alias is free.
    await insert('key', keyRow(newKey(), { keyAlias: 'once' }));
  });

  it('of an administrator is noticed, until it is deleted', async () => {
    const own = await migratedDatabase();
    const { store, plane, insert, pool } = openTestStore(own.url);
    expect(await store.hasAdmin()).toBe(false);
    const key = newKey();
    await insert('key', keyRow(key, { role: 'admin' }));
    expect(await store.hasAdmin()).toBe(true);
    await plane.write(testActor, async (writer) => ({ rows: await writer.remove('key', { keyHash: hashKey(key) }) }));
    expect(await store.hasAdmin()).toBe(false);
    await pool.end();
    await own.drop();
  });

  it('that the version before has written is a key like any other', async () => {
    const keyHash = hashKey(newKey());
    await query(
      database.url,
      `INSERT INTO api_key (key_hash, key_name, models) VALUES ('${keyHash}', 'sk-...', '{m}')`,
    );
    expect((await found(open().store, keyHash)).caller).toMatchObject({ keyHash, keyId: keyHash, models: ['m'] });
  });
});

describe('what a key belongs to', () => {
  it('comes with it in one question, and binds it level by level: the team and the member instead of the user', async () => {
    const { keyHash, teamId, userId, organizationId } = await family('whole');
    const { store, asked } = open(new Map([['group', ['gpt-4o', 'large']]]));
    const { caller, refused } = await found(store, keyHash);
    expect(asked()).toBe(1);
    expect(refused).toBeUndefined();
    expect(caller).toMatchObject({ keyHash, teamId, userId, organizationId, role: 'caller', models: [] });
    expect(caller.modelScopes).toEqual([
      { level: 'team', name: teamId, models: ['small', 'gpt-4o', 'large'] },
      { level: 'organization', name: organizationId, models: ['gpt-4o', 'small'] },
    ]);
    expect(caller.scopes?.map(({ level, account, budgets, limits }) => ({ level, account, budgets, limits }))).toEqual([
      { level: 'team', account: `t:team:${teamId}`, budgets: [{ id: `t:team:${teamId}`, maxMicros: 9 }], limits: {} },
      { level: 'member', account: `b:member:${teamId}/${userId}`, budgets: [], limits: { requestsPerMinute: 7 } },
      {
        level: 'organization',
        account: `y:organization:${organizationId}`,
        budgets: [{ id: `y:organization:${organizationId}`, maxMicros: 100 }],
        limits: {},
      },
      { level: 'key', account: `a:key:${keyHash}`, budgets: [], limits: { tokensPerMinute: 5 } },
    ]);
    expect(store.find(keyHash)).not.toBeInstanceOf(Promise);
    expect(asked()).toBe(1);
  });

  it('a personal key has its user instead', async () => {
    const { keyHash, userId } = await family('personal', { teamId: undefined });
    const { caller } = await found(open().store, keyHash);
    expect(caller.scopes?.map(({ level }) => level)).toEqual(['user', 'key']);
    expect(caller.modelScopes).toEqual([{ level: 'user', name: userId, models: ['never-looked-at'] }]);
  });

  it.each(['team', 'user', 'organization'] as const)(
    'a %s that is blocked refuses its keys, one that is gone, too',
    async (kind) => {
      const made = await family(`gone-${kind}`);
      const { store } = open();
      await found(store, made.keyHash);
      await store.poll();
      const table = { team: 'team', user: 'gateway_user', organization: 'organization' }[kind];
      const where = `${kind}_id = '${{ team: made.teamId, user: made.userId, organization: made.organizationId }[kind]}'`;
      const change = async (set: string): Promise<void> => {
        await query(database.url, `UPDATE ${table} SET ${set} WHERE ${where}`);
        await store.poll();
      };
      await change('blocked = true');
      expect((await found(store, made.keyHash)).refused).toMatch(/is blocked/);
      await change('blocked = false');
      expect((await found(store, made.keyHash)).refused).toBeUndefined();
      await change('deleted_at = now()');
      expect((await found(store, made.keyHash)).refused).toMatch(/does not exist any more/);
      // Also in a process that has never seen it alive.
      expect((await found(open().store, made.keyHash)).refused).toMatch(/does not exist any more/);
    },
  );

  it('an administrating user makes its personal keys administrators, and no key of a team', async () => {
    const { insert } = open();
    await insert('user', { userId: 'boss', userRole: 'proxy_admin' });
    await insert('team', { teamId: 'boss-team' });
    const [personal, ofTeam] = [newKey(), newKey()];
    await insert('key', keyRow(personal, { userId: 'boss' }));
    await insert('key', keyRow(ofTeam, { userId: 'boss', teamId: 'boss-team' }));
    const { store } = open();
    expect((await found(store, hashKey(personal))).caller.role).toBe('admin');
    expect((await found(store, hashKey(ofTeam))).caller.role).toBe('caller');
  });
});

describe('a caller is one object', () => {
  it('until something that its key rests on changes, and not one poll longer', async () => {
    const { keyHash, teamId, userId, budgetId } = await family('stable');
    const { store } = open();
    const { plane, insert } = open();
    await store.poll();
    const first = await found(store, keyHash);
    expect(await found(store, keyHash)).toBe(first);
    // Somebody else's team is none of its affair.
    await insert('team', { teamId: 'another-team' });
    await store.poll();
    expect(await found(store, keyHash)).toBe(first);
    let before = first;
    for (const change of [
      () =>
        plane.write(testActor, async (writer) => ({
          r: await writer.update('team', { teamId }, { models: ['other'] }),
        })),
      () =>
        plane.write(testActor, async (writer) => ({
          r: await writer.update('member', { teamId, userId }, { limits: { requestsPerMinute: 1 } }),
        })),
      () =>
        plane.write(testActor, async (writer) => ({
          r: await writer.update('budget', { budgetId }, { limits: { maxMicros: 1 } }),
        })),
      () =>
        plane.write(testActor, async (writer) => ({
          r: await writer.update('user', { userId }, { userRole: 'internal_user_viewer' }),
        })),
      () =>
        plane.write(testActor, async (writer) => ({ r: await writer.update('key', { keyHash }, { models: ['m'] }) })),
      () => plane.write(testActor, async (writer) => ({ r: await writer.remove('member', { teamId, userId }) })),
    ]) {
      await change();
      await store.poll();
      const after = await found(store, keyHash);
      expect(after).not.toBe(before);
      expect(await found(store, keyHash)).toBe(after);
      before = after;
    }
    expect(before.caller.models).toEqual(['m']);
    expect(before.caller.scopes?.map(({ level }) => level)).toEqual(['team', 'organization', 'key']);
  });

  it('an older row never overrides a newer one, however late it arrives', async () => {
    const { keyHash, teamId } = await family('late');
    const { store } = open();
    await found(store, keyHash);
    const [key, team] = [store.memory.get('key', keyHash), store.memory.get('team', teamId)];
    if (key === undefined || team === undefined) throw new Error('not in memory');
    store.learn('key', { ...key, revision: 5, blocked: true });
    store.learn('key', { ...key, revision: 4, blocked: false });
    store.learn('key', key);
    expect((await found(store, keyHash)).refused).toBe('Key is blocked');
    store.learn('key', { ...key, revision: 6, deleted: true });
    store.learn('key', { ...key, revision: 5 });
    expect(await store.find(keyHash)).toBeUndefined();
    store.learn('team', { ...team, revision: 9, models: ['new'] });
    store.learn('team', { ...team, revision: 8, models: ['old'] });
    expect(store.memory.get('team', teamId)?.models).toEqual(['new']);
  });
});

describe('a customer of a caller', () => {
  it('has a scope when it was made, none otherwise, and is refused when it is blocked', async () => {
    const { insert, plane } = open();
    await insert('endUser', { endUserId: 'customer', limits: { maxMicros: 3 } });
    const { store, asked } = open();
    const scope = await store.endUserScope('customer');
    expect(scope).toMatchObject({ level: 'endUser', account: 'c:end_user:customer', budgets: [{ maxMicros: 3 }] });
    expect(store.endUserScope('customer')).toBe(scope);
    await store.poll();
    const before = asked();
    expect(store.endUserScope('somebody')).toBeUndefined();
    expect(asked()).toBe(before);
    await plane.write(testActor, async (writer) => ({
      r: await writer.update('endUser', { endUserId: 'customer' }, { blocked: true }),
    }));
    await store.poll();
    expect(() => store.endUserScope('customer')).toThrow('User customer is blocked');
  });
});

describe('how often the database is asked', () => {
  it('once for a hundred requests that come together with a key that is new here', async () => {
    const key = newKey();
    await open().insert('key', keyRow(key));
    const { store, asked } = open();
    const answers = await Promise.all(Array.from({ length: 100 }, async () => store.find(hashKey(key))));
    expect(new Set(answers.map((answer) => answer?.caller.keyHash))).toEqual(new Set([hashKey(key)]));
    expect(asked()).toBe(1);
  });

  it('once for a hundred requests with a key that does not exist, and not again for a moment', async () => {
    const { store, asked } = open();
    const unknown = hashKey(newKey());
    await Promise.all(Array.from({ length: 100 }, async () => store.find(unknown)));
    expect(store.find(unknown)).toBeUndefined();
    expect(asked()).toBe(1);
  });

  it('by a flood of invented keys with four questions at a time at most, so that connections are left for others', async () => {
    const { pool, store } = openTestStore(database.url, undefined, 10);
    let busiest = 0;
    pool.on('acquire', () => {
      busiest = Math.max(busiest, pool.totalCount - pool.idleCount);
    });
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, async () => store.find(hashKey(newKey()))));
    await pool.end();
    expect(busiest).toBeLessThanOrEqual(4);
    const turnedAway = outcomes.filter((outcome) => outcome.status === 'rejected');
    // Four inside and five hundred in line; the others are told to come again, and not that their key is wrong.
    expect(turnedAway).toHaveLength(496);
    expect(turnedAway.every((outcome) => outcome.reason instanceof StoreUnavailable)).toBe(true);
  });

  it('not at all for keys that were loaded at the start, with all they belong to', async () => {
    const { keyHash } = await family('preloaded');
    const { store, asked } = open();
    await store.poll();
    const before = asked();
    expect(store.find(keyHash)).toMatchObject({ caller: { keyHash } });
    expect(asked()).toBe(before);
  });
});

it('what a snapshot knew and the database has not is forgotten once the database is heard: it was restored to before that', async () => {
  const { keyHash } = await family('made-after-the-backup');
  const before = open();
  await before.store.poll();
  const { content, whole } = before.store.known();
  await query(database.url, `ALTER TABLE api_key DISABLE TRIGGER USER`);
  await query(database.url, `DELETE FROM api_key WHERE key_hash = '${keyHash}'`);
  await query(database.url, `ALTER TABLE api_key ENABLE TRIGGER USER`);
  const { store } = open();
  store.memory.restore(content, whole);
  expect(store.find(keyHash)).toMatchObject({ caller: { keyHash } });
  await store.poll();
  expect(await store.find(keyHash)).toBeUndefined();
});

describe('a poll sees what other processes did', () => {
  it.each([
    ['deleted', `deleted_at = now()`, undefined],
    ['blocked', 'blocked = true', { refused: 'Key is blocked' }],
    ['given an end', `expires_at = '2030-01-01Z'`, { expiresAtMs: Date.UTC(2030, 0, 1) }],
  ])('a key that was %s', async (_case, change, expected) => {
    const { store, insert } = open();
    const key = newKey();
    await insert('key', keyRow(key));
    await store.poll();
    await query(database.url, `UPDATE api_key SET ${change} WHERE key_hash = '${hashKey(key)}'`);
    expect(store.find(hashKey(key))).toMatchObject({ refused: undefined });
    expect(await store.poll()).toBe(true);
    const after = await store.find(hashKey(key));
    if (expected === undefined) expect(after).toBeUndefined();
    else expect(after).toMatchObject(expected);
  });

  it('a new key that was asked for in vain a moment ago', async () => {
    const { store } = open();
    await store.poll();
    const key = newKey();
    expect(await store.find(hashKey(key))).toBeUndefined();
    await open().insert('key', keyRow(key));
    await store.poll();
    expect(store.find(hashKey(key))).toMatchObject({ caller: { keyHash: hashKey(key) } });
  });

  it('says whether anything changed, also when nothing ever was there', async () => {
    const own = await migratedDatabase();
    const { store, insert, pool } = openTestStore(own.url);
    expect(await store.poll()).toBe(false);
    await insert('key', keyRow(newKey()));
    expect(await store.poll()).toBe(true);
    expect(await store.poll()).toBe(false);
    await pool.end();
    await own.drop();
  });

  it('reads a change that was committed late, but no change for ever', async () => {
    const { store } = open();
    await store.poll();
    const [late, old] = [hashKey(newKey()), hashKey(newKey())];
    for (const [keyHash, seconds] of [
      [late, 5],
      [old, 60],
    ] as const) {
      await query(
        database.url,
        `INSERT INTO api_key (key_hash, key_name, updated_at)
         VALUES ('${keyHash}', 'x', clock_timestamp() - interval '${seconds} seconds')`,
      );
    }
    await store.poll();
    expect(store.memory.get('key', late)).toBeDefined();
    expect(store.memory.get('key', old)).toBeUndefined();
  });
});

describe('a database that cannot be asked', () => {
  it('keeps what is known, and says StoreUnavailable for the rest, at once when nobody listens', async () => {
    const { keyHash } = await family('survivor');
    const earlier = open();
    await earlier.store.poll();
    const { content, whole } = earlier.store.known();
    const { store, insert } = open(undefined, `postgresql://nobody@127.0.0.1:${await freePort()}/none`);
    store.memory.restore(content, whole);
    expect(store.find(keyHash)).toEqual(earlier.store.find(keyHash));
    const at = performance.now();
    await expect(store.find(hashKey('unknown'))).rejects.toThrow(StoreUnavailable);
    await expect(store.poll()).rejects.toThrow(StoreUnavailable);
    await expect(insert('key', keyRow(newKey()))).rejects.toThrow(StoreUnavailable);
    expect(performance.now() - at).toBeLessThan(1_000);
  });

  it('a replica takes no changes and says that it is one; it answers questions', async () => {
    const own = await migratedDatabase();
    await query(own.url, `ALTER DATABASE ${new URL(own.url).pathname.slice(1)} SET default_transaction_read_only = on`);
    const { store, insert, pool } = openTestStore(own.url);
    await expect(insert('key', keyRow(newKey()))).rejects.toThrow(NotWriter);
    expect(await store.find(hashKey('unknown'))).toBeUndefined();
    await pool.end();
    await own.drop();
  });

  it('a server that is frozen: StoreUnavailable within its time-outs, and answers again when it thaws', async () => {
    const server = await startPostgres({
      dataDirectory: join(directory, 'frozen'),
      port: await freePort(),
      settings: { fsync: 'off' },
    });
    onTestFinished(() => server.stop('immediate'));
    const pool = openPool({ url: server.url(), poolSize: 1, onError: () => undefined });
    const store = new IdentityStore(pool);
    // The backend is frozen while its client is connected: nothing but a time-out can tell.
    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const backend = rows[0]?.pid ?? 0;
    process.kill(backend, 'SIGSTOP');
    server.kill('SIGSTOP');
    const at = performance.now();
    await expect(store.find(hashKey('x'))).rejects.toThrow(StoreUnavailable);
    expect(performance.now() - at).toBeLessThan(6_000);
    server.kill('SIGCONT');
    process.kill(backend, 'SIGCONT');
    // There are no tables, so an answer shows as another error than StoreUnavailable.
    await expect(store.find(hashKey('x'))).rejects.toThrow('does not exist');
    await pool.end();
  });
});

describe('the audit log', () => {
  it('has a line for each change, chained; a line that is changed, lost or added shows', async () => {
    const own = await migratedDatabase();
    const { plane, insert, pool } = openTestStore(own.url);
    await insert('team', { teamId: 't', limits: { maxMicros: 5 }, metadata: { note: 'private' } });
    await plane.write(testActor, async (writer) => ({
      r: await writer.update('team', { teamId: 't' }, { limits: { maxMicros: 6 }, metadata: {} }),
    }));
    await plane.write(testActor, async (writer) => ({ r: await writer.remove('team', { teamId: 't' }) }));
    const rows = await query(
      own.url,
      'SELECT action, object_kind, object_id, actor, change FROM audit_log ORDER BY seq',
    );
    expect(rows).toMatchObject([
      { action: 'created', object_kind: 'team', object_id: 't', actor: 'test' },
      {
        action: 'updated',
        change: { limits: [{ maxMicros: 5 }, { maxMicros: 6 }], metadata: ['(not told)', '(not told)'] },
      },
      { action: 'deleted', change: {} },
    ]);
    expect(JSON.stringify(rows)).not.toContain('private');
    const verdict = async () => (await query(own.url, 'SELECT verify_audit()::int AS wrong'))[0]?.['wrong'];
    expect(await verdict()).toBeNull();
    for (const [damage, repair, wrong] of [
      [
        `UPDATE audit_log SET change = '{}' WHERE seq = 2`,
        `UPDATE audit_log SET change = '${JSON.stringify(rows[1]?.['change'])}' WHERE seq = 2`,
        2,
      ],
      [`UPDATE audit_log SET actor = 'x' WHERE seq = 1`, `UPDATE audit_log SET actor = 'test' WHERE seq = 1`, 1],
      [`DELETE FROM audit_log WHERE seq = 3`, undefined, 3],
    ] as const) {
      await query(own.url, damage);
      expect(await verdict()).toBe(wrong);
      if (repair !== undefined) {
        await query(own.url, repair);
        expect(await verdict()).toBeNull();
      }
    }
    await pool.end();
    await own.drop();
  });

  it('a change that fails leaves neither itself nor a line, and is not known in memory', async () => {
    const { plane, store } = open();
    const count = async () => (await query(database.url, 'SELECT count(*)::int AS n FROM audit_log'))[0]?.['n'];
    const before = await count();
    const failed = plane.write(testActor, async (writer) => {
      await writer.insert('team', { teamId: 'half-done' });
      throw new Error('in the middle');
    });
    await expect(failed).rejects.toThrow('in the middle');
    expect(await count()).toBe(before);
    expect(store.memory.get('team', 'half-done')).toBeUndefined();
    expect(await query(database.url, `SELECT 1 FROM team WHERE team_id = 'half-done'`)).toEqual([]);
  });

  it('of many writers at once is one chain', async () => {
    const writers = [open(), open(), open()];
    await Promise.all(
      writers.flatMap((writer, one) =>
        [1, 2, 3, 4, 5].map((n) => writer.insert('team', { teamId: `chain-${one}-${n}` })),
      ),
    );
    expect(await query(database.url, 'SELECT verify_audit() AS wrong')).toEqual([{ wrong: null }]);
  });
});
