import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../gateway/domain/errors.ts';
import { hashKey, type KeyDirectory, StoreUnavailable } from '../../../gateway/domain/keys.ts';
import type { ResolvedKey } from '../../../gateway/domain/resolve-key.ts';
import { authenticate, mayUseModel, requireModel, underRules } from '../../../gateway/pipeline/authenticate.ts';
import { exampleCaller, exampleRequest } from '../examples.ts';

const now = Date.UTC(2030, 0, 1);
const key = 'sk-a-key-of-somebody-1234';
const master = 'sk-the-master-key-5678';

const keyCaller = { ...exampleCaller, keyHash: hashKey(key) };
const known = (over: Partial<ResolvedKey> = {}): ResolvedKey => ({
  caller: keyCaller,
  refused: undefined,
  expiresAtMs: undefined,
  ...over,
});

const directoryOf = (found: ResolvedKey | undefined): KeyDirectory => ({
  find: (keyHash) => (keyHash === found?.caller.keyHash ? found : undefined),
});

const broken = (error: Error): KeyDirectory => ({
  find: async () => {
    throw error;
  },
});

async function refusalOf(asked: Promise<unknown>): Promise<Refusal> {
  const error: unknown = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Refusal) return error;
  throw new Error('there was no refusal', { cause: error });
}

describe('a key that is refused', () => {
  it.each<[string, string | undefined, KeyDirectory | undefined, number, string, RegExp]>([
    ['no key', undefined, directoryOf(known()), 401, 'auth_error', /No api key passed in/],
    ['an empty key', '', directoryOf(known()), 401, 'auth_error', /No api key passed in/],
    ['an unknown key', 'sk-unknown-to-all', directoryOf(known()), 401, 'token_not_found_in_db', /Invalid key/],
    ['any key but the master key, without a database', key, undefined, 401, 'token_not_found_in_db', /Invalid key/],
    [
      'a key of a blocked team',
      key,
      directoryOf(known({ refused: 'Team is blocked' })),
      401,
      'auth_error',
      /Team is blocked/,
    ],
    ['a blocked key', key, directoryOf(known({ refused: 'Key is blocked' })), 401, 'auth_error', /blocked/],
    [
      'an expired key',
      key,
      directoryOf(known({ expiresAtMs: now - 1 })),
      401,
      'expired_key',
      /Expired key: it was valid until 2029-12-31T23:59:59\.999Z/,
    ],
    [
      'a key in the millisecond it expires',
      key,
      directoryOf(known({ expiresAtMs: now })),
      401,
      'expired_key',
      /Expired/,
    ],
    [
      'a blocked administrator',
      key,
      directoryOf(known({ refused: 'Key is blocked', caller: { ...keyCaller, role: 'admin' } })),
      401,
      'auth_error',
      /block/,
    ],
  ])('%s', async (_case, given, directory, status, type, message) => {
    const refusal = await refusalOf(authenticate(given, hashKey(master), directory, now));
    expect(refusal).toMatchObject({ status, type });
    expect(refusal.message).toMatch(message);
    expect(refusal.message).toMatch(/^Authentication Error, /);
  });

  it('shows at most its last four characters', async () => {
    for (const secret of ['sk-1', 'sk-short', 'sk-0123456', 'sk-a-long-and-secret-key-wxyz']) {
      const { message } = await refusalOf(authenticate(secret, undefined, undefined, now));
      expect(message).not.toContain(secret);
      for (let start = 3; start + 5 <= secret.length; start++) {
        expect(message).not.toContain(secret.slice(start, start + 5));
      }
    }
  });

  it('is 503 and not 401 when the database cannot be asked, and says when to come back', async () => {
    const refusal = await refusalOf(authenticate(key, undefined, broken(new StoreUnavailable(new Error('gone'))), now));
    expect(refusal).toMatchObject({ status: 503, type: 'no_db_connection', retryAfterSeconds: 5 });
  });
});

describe('a key that is let in', () => {
  it('the master key is an administrator, also when the database cannot be asked', async () => {
    const directory = broken(new StoreUnavailable(new Error('gone')));
    const master1 = await authenticate(master, hashKey(master), directory, now);
    expect(master1).toEqual({ keyHash: hashKey(master), keyAlias: 'master key', role: 'admin', models: [] });
    // One object, since others keep what they work out for a caller beside it.
    expect(await authenticate(master, hashKey(master), directory, now)).toBe(master1);
  });

  it('a known key is its caller, the very object, whether it was in memory or not', async () => {
    const found = known({ expiresAtMs: now + 1 });
    expect(await authenticate(key, hashKey(master), directoryOf(found), now)).toBe(keyCaller);
    expect(await authenticate(key, undefined, { find: async () => found }, now)).toBe(keyCaller);
  });

  it('without a master key no key is one, not even an empty or undefined hash', async () => {
    await expect(authenticate('undefined', undefined, undefined, now)).rejects.toThrow(Refusal);
  });

  it('a fault of the directory itself is not hidden as a refusal', async () => {
    await expect(authenticate(key, undefined, broken(new TypeError('a bug')), now)).rejects.toThrow(TypeError);
  });
});

describe('models of a key', () => {
  it.each<[readonly string[], string, boolean]>([
    [[], 'anything', true],
    [['gpt-4o'], 'gpt-4o', true],
    [['gpt-4o'], 'gpt-4o-mini', false],
    [['gpt-4o'], 'GPT-4O', false],
    [['a', 'b'], 'b', true],
    [['*'], 'anything', true],
    [['all-proxy-models'], 'anything', true],
    [['openai/*'], 'openai/gpt-4o', true],
    [['openai/*'], 'openai', false],
    [['openai/*'], 'azure/openai/gpt-4o', false],
    [['gpt-4o'], '', false],
    [['gpt-4o'], 'gpt-4o*', false],
  ])('%j may use %j: %s', (models, model, allowed) => {
    expect(mayUseModel({ ...exampleCaller, models }, model)).toBe(allowed);
  });
});

describe('models of what a key belongs to', () => {
  const bound = {
    ...exampleCaller,
    models: ['gpt-4o', 'o3'],
    modelScopes: [
      { level: 'team', name: 'search', models: ['gpt-*'] },
      { level: 'organization', name: 'acme', models: ['gpt-4o', 'claude'] },
    ],
  } as const;

  it('every list must let a model through', () => {
    expect(mayUseModel(bound, 'gpt-4o')).toBe(true);
    for (const model of ['o3', 'claude', 'gpt-5']) expect(mayUseModel(bound, model)).toBe(false);
  });

  it.each([
    ['gpt-5', 'key_model_access_denied', /This key may not use the model "gpt-5"/],
    ['o3', 'team_model_access_denied', /The team search of this key may not use the model "o3". It may use: gpt-\*/],
  ])('the refusal of %s names the list that refuses', (model, type, message) => {
    const error = thrownBy(() => requireModel(bound, model));
    expect(error).toMatchObject({ status: 403, type, param: 'model' });
    expect(String(error)).toMatch(message);
  });

  it('an organization that does not allow it is named, too', () => {
    const caller = { ...bound, models: [], modelScopes: [bound.modelScopes[1]] };
    expect(thrownBy(() => requireModel(caller, 'o3'))).toMatchObject({ type: 'org_model_access_denied' });
  });
});

function thrownBy(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('rules of a key', () => {
  it('without rules the request stays the same object', () => {
    const request = exampleRequest();
    expect(underRules(request, exampleCaller)).toBe(request);
  });

  it('the region of the key holds beside the one that the request names: it is narrowed, never left', () => {
    const caller = { ...exampleCaller, allowedModelRegion: 'eu' };
    expect(underRules(exampleRequest(), caller).overrides.allowedRegions).toEqual(['eu']);
    const overrides = { disableFallbacks: false, allowedRegions: ['us'] };
    expect(underRules(exampleRequest(undefined, { overrides }), caller).overrides.allowedRegions).toEqual(['eu', 'us']);
  });

  it('an alias is replaced, fallbacks are taken away, tags are added', () => {
    const request = exampleRequest(undefined, {
      model: 'fast',
      tags: ['a'],
      overrides: { disableFallbacks: false, fallbacks: [{ model: 'x' }] },
    });
    const caller = {
      ...exampleCaller,
      aliases: new Map([['fast', 'gpt-4o-mini']]),
      disableFallbacks: true,
      tags: ['a', 'b'],
    };
    expect(underRules(request, caller)).toMatchObject({
      model: 'gpt-4o-mini',
      tags: ['a', 'b'],
      overrides: { disableFallbacks: true },
    });
    expect(underRules(request, caller).overrides.fallbacks).toBeUndefined();
  });
});
