/** The first administrator's key: made when nobody could sign in otherwise, shown once, stored as a hash. */
import { hashKey, masked, newKey } from '../domain/keys.ts';
import { KeyStore } from './keys.ts';
import { openPool } from './postgres.ts';

/** @returns the new key, or undefined when an administrator exists and `another` is false. */
export async function makeAdminKey(url: string, another: boolean): Promise<string | undefined> {
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  try {
    const store = new KeyStore(pool);
    if (!another && (await store.hasAdmin())) return undefined;
    const key = newKey();
    await store.insert({
      keyHash: hashKey(key),
      keyName: masked(key),
      role: 'admin',
      models: [],
      createdBy: 'holdfast start',
    });
    return key;
  } finally {
    await pool.end();
  }
}
