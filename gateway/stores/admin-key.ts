/** The first administrator's key: made when nobody could sign in otherwise, shown once, stored as a hash. */
import { hashKey, masked, newKey } from '../domain/keys.ts';
import { ControlPlane } from './control-plane.ts';
import { IdentityStore } from './identity.ts';
import { openPool } from './postgres.ts';

/** @returns the new key, or undefined when an administrator exists and `another` is false. */
export async function makeAdminKey(url: string, another: boolean): Promise<string | undefined> {
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  try {
    const store = new IdentityStore(pool);
    if (!another && (await store.hasAdmin())) return undefined;
    const key = newKey();
    const keyHash = hashKey(key);
    await new ControlPlane(pool, store).write(
      { name: 'holdfast start', keyHash: '', userId: undefined },
      async (writer) => {
        const row = { keyHash, keyName: masked(key), role: 'admin', createdBy: 'holdfast start' } as const;
        await writer.insert('key', row);
        return {};
      },
    );
    return key;
  } finally {
    await pool.end();
  }
}
