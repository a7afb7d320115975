import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../gateway/domain/errors.ts';
import { hashKey, type KeyDirectory, type KeyRecord, StoreUnavailable } from '../../../gateway/domain/keys.ts';
import { authenticate, mayUseModel } from '../../../gateway/pipeline/authenticate.ts';
import { exampleCaller } from '../examples.ts';

const now = Date.UTC(2030, 0, 1);
const key = 'sk-a-key-of-somebody-1234';
const master = 'sk-the-master-key-5678';

const record = (over: Partial<KeyRecord> = {}): KeyRecord => ({
  keyHash: hashKey(key),
  keyAlias: undefined,
  role: 'caller',
  models: [],
  blocked: false,
  expiresAtMs: undefined,
  ...over,
});

const directoryOf = (found: KeyRecord | undefined): KeyDirectory => ({
  find: (keyHash) => (keyHash === found?.keyHash ? found : undefined),
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
    ['no key', undefined, directoryOf(record()), 401, 'auth_error', /No api key passed in/],
    ['an empty key', '', directoryOf(record()), 401, 'auth_error', /No api key passed in/],
    ['an unknown key', 'sk-unknown-to-all', directoryOf(record()), 401, 'token_not_found_in_db', /Invalid key/],
    ['any key but the master key, without a database', key, undefined, 401, 'token_not_found_in_db', /Invalid key/],
    ['a blocked key', key, directoryOf(record({ blocked: true })), 401, 'auth_error', /blocked/],
    [
      'an expired key',
      key,
      directoryOf(record({ expiresAtMs: now - 1 })),
      401,
      'expired_key',
      /Expired key: it was valid until 2029-12-31T23:59:59\.999Z/,
    ],
    [
      'a key in the millisecond it expires',
      key,
      directoryOf(record({ expiresAtMs: now })),
      401,
      'expired_key',
      /Expired/,
    ],
    ['a blocked administrator', key, directoryOf(record({ blocked: true, role: 'admin' })), 401, 'auth_error', /block/],
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
    const caller = await authenticate(master, hashKey(master), directory, now);
    expect(caller).toEqual({ keyHash: hashKey(master), keyAlias: 'master key', role: 'admin', models: [] });
  });

  it('a known key brings its role, its alias and its models', async () => {
    const known = record({ keyAlias: 'team-a', models: ['gpt-4o'], expiresAtMs: now + 1 });
    expect(await authenticate(key, hashKey(master), directoryOf(known), now)).toEqual({
      keyHash: hashKey(key),
      keyAlias: 'team-a',
      role: 'caller',
      models: ['gpt-4o'],
    });
    expect(await authenticate(key, undefined, { find: async () => record() }, now)).toEqual({
      keyHash: hashKey(key),
      role: 'caller',
      models: [],
    });
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
