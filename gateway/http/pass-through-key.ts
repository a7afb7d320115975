/** The key of this gateway on a pass-through path, where other credentials may stand beside it. */
import type { IncomingHttpHeaders } from 'node:http';
import { hashKey, StoreUnavailable } from '../domain/keys.ts';
import type { PassThroughEndpoint } from '../domain/pass-through.ts';
import { credentialHeaders } from '../pipeline/pass-through.ts';
import { type AuthenticationOptions, readKey } from './authentication.ts';

/** LiteLLM's own header comes first: it leaves the others to the target. Clients of Gemini may write it into the query. */
export function readPassThroughKey(
  headers: IncomingHttpHeaders,
  url: string,
  endpoint: PassThroughEndpoint,
): string | undefined {
  const own = headers['x-litellm-api-key'];
  if (typeof own === 'string' && own !== '') return withoutScheme(own);
  const key = readKey(headers);
  if (key !== undefined || endpoint.providerRoute?.provider !== 'gemini') return key;
  const at = url.indexOf('?');
  return at === -1 ? undefined : (new URLSearchParams(url.slice(at)).get('key') ?? undefined);
}

/**
 * Every key of this gateway in headers that may go on, the one that was used included: none of them may reach the
 * target. One that cannot be checked now counts as ours.
 */
export async function keysOfGateway(
  headers: IncomingHttpHeaders,
  used: string | undefined,
  endpoint: PassThroughEndpoint,
  { masterKeyHash, directory }: AuthenticationOptions,
): Promise<string[]> {
  const keys = used === undefined ? [] : [used];
  const names = credentialHeaders.flatMap((name) => [
    ...(endpoint.forwardHeaders && endpoint.providerRoute === undefined ? [name] : []),
    `x-pass-${name}`,
  ]);
  for (const name of names) {
    const value = headers[name];
    if (typeof value !== 'string') continue;
    const token = withoutScheme(value);
    if (token === '' || keys.includes(token)) continue;
    const hash = hashKey(token);
    if (hash === masterKeyHash || (await isKnown(hash, directory))) keys.push(token);
  }
  return keys;
}

async function isKnown(hash: string, directory: AuthenticationOptions['directory']): Promise<boolean> {
  try {
    return (await directory?.find(hash)) !== undefined;
  } catch (error) {
    if (error instanceof StoreUnavailable) return true;
    throw error;
  }
}

const withoutScheme = (value: string): string => value.replace(/^bearer /i, '').trim();
