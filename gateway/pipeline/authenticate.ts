/** From a key to a caller, and which model groups it may use. */
import { Refusal } from '../domain/errors.ts';
import { hashKey, type KeyDirectory, masked, StoreUnavailable } from '../domain/keys.ts';
import { listAllows } from '../domain/model-access.ts';
import type { Caller, ModelRequest, ModelScope } from '../domain/request.ts';
import type { ResolvedKey } from '../domain/resolve-key.ts';

const unknownKeyHelp = 'check that it was copied whole, or ask an administrator for a new one';

/**
 * A promise only for a key that is not known here yet.
 * @param key as the client sent it, without "Bearer".
 * @param masterKeyHash hash of the configured master key, if there is one.
 * @param hash of a key, for those who know it already.
 * @throws Refusal, as the promise does.
 */
export function findCaller(
  key: string | undefined,
  masterKeyHash: string | undefined,
  directory: KeyDirectory | undefined,
  nowMs: number,
  hash: (key: string) => string = hashKey,
): Caller | Promise<Caller> {
  if (key === undefined || key === '') {
    throw refuse('auth_error', 'No api key passed in. Send it as "Authorization: Bearer sk-..."');
  }
  const keyHash = hash(key);
  if (keyHash === masterKeyHash) return masterCaller(keyHash);
  if (directory === undefined) throw refuse('token_not_found_in_db', `Invalid key ${masked(key)}: ${unknownKeyHelp}`);
  let found: ReturnType<KeyDirectory['find']>;
  try {
    found = directory.find(keyHash);
  } catch (error) {
    return unchecked(error);
  }
  if (!(found instanceof Promise)) return callerOf(found, key, nowMs);
  return found.then((known) => callerOf(known, key, nowMs), unchecked);
}

/** The same, always as a promise. */
export async function authenticate(...given: Parameters<typeof findCaller>): Promise<Caller> {
  return findCaller(...given);
}

/** Saying 401 here would make clients throw away a key that may be good. */
function unchecked(error: unknown): never {
  if (!(error instanceof StoreUnavailable)) throw error;
  throw new Refusal({
    status: 503,
    type: 'no_db_connection',
    message: 'The key could not be checked because the database cannot be reached. Try again shortly',
    retryAfterSeconds: 5,
  });
}

function callerOf(known: ResolvedKey | undefined, key: string, nowMs: number): Caller {
  if (known === undefined) throw refuse('token_not_found_in_db', `Invalid key ${masked(key)}: ${unknownKeyHelp}`);
  if (known.refused !== undefined) throw refuse('auth_error', `${known.refused}. Ask an administrator`);
  if (known.expiresAtMs !== undefined && known.expiresAtMs <= nowMs) {
    throw refuse('expired_key', `Expired key: it was valid until ${new Date(known.expiresAtMs).toISOString()}`);
  }
  return known.caller;
}

let lastMaster: Caller | undefined;
/** One object, since others keep what they work out for a caller beside it. */
function masterCaller(keyHash: string): Caller {
  if (lastMaster?.keyHash !== keyHash) lastMaster = { keyHash, keyAlias: 'master key', role: 'admin', models: [] };
  return lastMaster;
}

/** Whether a caller may use a model group: every list that binds it must let the group through. */
export function mayUseModel(caller: Caller, model: string): boolean {
  return listAllows(caller.models, model) && forbidding(caller, model) === undefined;
}

const forbidding = (caller: Caller, model: string): ModelScope | undefined =>
  caller.modelScopes?.find(({ models }) => !listAllows(models, model));

/** @throws Refusal 403 that names the list which does not let the model group through. */
export function requireModel(caller: Caller, model: string): void {
  if (mayUseModel(caller, model)) return;
  const shown = model.slice(0, 100);
  if (!listAllows(caller.models, model)) {
    throw denied('key', `This key may not use the model "${shown}". It may use: ${listed(caller.models)}`);
  }
  const scope = forbidding(caller, model);
  if (scope === undefined) return;
  const { level, name, models } = scope;
  throw denied(
    level,
    `The ${level} ${name} of this key may not use the model "${shown}". It may use: ${listed(models)}`,
  );
}

const longestList = 20;
const listed = (models: readonly string[]): string =>
  models.length <= longestList
    ? models.join(', ')
    : `${models.slice(0, longestList).join(', ')} and ${models.length - longestList} more`;

const errorTypes = {
  key: 'key_model_access_denied',
  team: 'team_model_access_denied',
  user: 'user_model_access_denied',
  organization: 'org_model_access_denied',
} as const;

const denied = (level: keyof typeof errorTypes, message: string): Refusal =>
  new Refusal({ status: 403, type: errorTypes[level], message, param: 'model' });

/** What the caller's key decides for each of its requests. The request itself when that is nothing. */
export function underRules(request: ModelRequest, caller: Caller): ModelRequest {
  const { aliases, disableFallbacks, tags, allowedModelRegion } = caller;
  const isFree = aliases === undefined && disableFallbacks !== true && tags === undefined;
  if (isFree && allowedModelRegion === undefined) return request;
  const overrides = disableFallbacks === true ? withoutFallbacks(request.overrides) : request.overrides;
  return {
    ...request,
    model: aliases?.get(request.model) ?? request.model,
    tags: tags === undefined ? request.tags : [...new Set([...request.tags, ...tags])],
    overrides: allowedModelRegion === undefined ? overrides : within(allowedModelRegion, overrides),
  };
}

/** A request may narrow the region of its key, and not leave it. */
const within = (region: string, overrides: ModelRequest['overrides']): ModelRequest['overrides'] => ({
  ...overrides,
  allowedRegions: [region, ...(overrides.allowedRegions ?? [])],
});

const withoutFallbacks = ({
  fallbacks: _fallbacks,
  ...rest
}: ModelRequest['overrides']): ModelRequest['overrides'] => ({
  ...rest,
  disableFallbacks: true,
});

const refuse = (type: string, message: string): Refusal =>
  new Refusal({ status: 401, type, message: `Authentication Error, ${message}` });
