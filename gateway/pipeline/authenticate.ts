/** From a key to a caller. */
import { Refusal } from '../domain/errors.ts';
import { hashKey, type KeyDirectory, type KeyRecord, masked, StoreUnavailable } from '../domain/keys.ts';
import type { Caller } from '../domain/request.ts';

const unknownKeyHelp = 'check that it was copied whole, or ask an administrator for a new one';

/**
 * @param key as the client sent it, without "Bearer".
 * @param masterKeyHash hash of the configured master key, if there is one.
 */
export async function authenticate(
  key: string | undefined,
  masterKeyHash: string | undefined,
  directory: KeyDirectory | undefined,
  nowMs: number,
): Promise<Caller> {
  if (key === undefined || key === '') {
    throw refuse('auth_error', 'No api key passed in. Send it as "Authorization: Bearer sk-..."');
  }
  const keyHash = hashKey(key);
  if (keyHash === masterKeyHash) return { keyHash, keyAlias: 'master key', role: 'admin', models: [] };
  if (directory === undefined) throw refuse('token_not_found_in_db', `Invalid key ${masked(key)}: ${unknownKeyHelp}`);
  const found = directory.find(keyHash);
  let record: KeyRecord | undefined;
  try {
    record = found instanceof Promise ? await found : found;
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    // Saying 401 here would make clients throw away a key that may be good.
    throw new Refusal({
      status: 503,
      type: 'no_db_connection',
      message: 'The key could not be checked because the database cannot be reached. Try again shortly',
      retryAfterSeconds: 5,
    });
  }
  if (record === undefined) throw refuse('token_not_found_in_db', `Invalid key ${masked(key)}: ${unknownKeyHelp}`);
  if (record.blocked) throw refuse('auth_error', 'Key is blocked. Ask an administrator to unblock it');
  if (record.expiresAtMs !== undefined && record.expiresAtMs <= nowMs) {
    throw refuse('expired_key', `Expired key: it was valid until ${new Date(record.expiresAtMs).toISOString()}`);
  }
  const { keyAlias, role, models } = record;
  return keyAlias === undefined ? { keyHash, role, models } : { keyHash, keyAlias, role, models };
}

/** Whether a caller may use a model group. A pattern such as `openai/*` stands for everything below it. */
export function mayUseModel(caller: Caller, model: string): boolean {
  return (
    caller.models.length === 0 ||
    caller.models.some(
      (allowed) =>
        allowed === model ||
        allowed === '*' ||
        allowed === 'all-proxy-models' ||
        (allowed.endsWith('*') && model.startsWith(allowed.slice(0, -1))),
    )
  );
}

const refuse = (type: string, message: string): Refusal =>
  new Refusal({ status: 401, type, message: `Authentication Error, ${message}` });
