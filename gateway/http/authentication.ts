/** Finds the key in a request and puts the caller on it, before the body is read. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refusal } from '../domain/errors.ts';
import { hashKey, type KeyDirectory } from '../domain/keys.ts';
import type { Caller } from '../domain/request.ts';
import { mayCall, type RouteGroup } from '../domain/routes.ts';
import { findCaller } from '../pipeline/authenticate.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The verified caller; only on routes behind `requireKey`. */
    caller: Caller;
  }
}

export interface AuthenticationOptions {
  readonly masterKeyHash: string | undefined;
  readonly directory: KeyDirectory | undefined;
  /** Who everybody is, when requests need no key. */
  readonly anonymous?: Caller;
}

/** Headers that may carry the key besides Authorization, as in LiteLLM. */
const keyHeaders = [
  'x-litellm-api-key',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'ocp-apim-subscription-key',
] as const;

export function readKey(headers: IncomingHttpHeaders): string | undefined {
  const bearer = headers.authorization;
  if (bearer !== undefined) return /^bearer /i.test(bearer) ? bearer.slice(7).trim() : bearer;
  for (const name of keyHeaders) {
    const value = headers[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

/** Every route registered on this instance afterwards needs a valid key. */
export function requireKey(app: FastifyInstance, options: AuthenticationOptions): void {
  app.decorateRequest('caller');
  const admit = (request: FastifyRequest, caller: Caller): void => {
    request.caller = caller;
    // Only then, since Fastify makes the options anew each time they are asked for.
    if (caller.allowedRoutes !== undefined) {
      const { url, config } = request.routeOptions;
      requireRoute(caller, url ?? '', config.routeGroups ?? modelRoutes);
    }
  };
  const admitLater = async (request: FastifyRequest, found: Promise<Caller>, done: Done): Promise<void> => {
    try {
      admit(request, await found);
    } catch (error) {
      done(asError(error));
      return;
    }
    done();
  };
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      const found = callerOnConnection(request.raw, options);
      // Nearly always from memory, and then a promise would only cost.
      if (found instanceof Promise) {
        void admitLater(request, found, done);
        return;
      }
      admit(request, found);
    } catch (error) {
      done(asError(error));
      return;
    }
    done();
  });
}

/** A promise only for a key that is not known here yet. @throws Refusal, as the promise does. */
export const callerOnConnection = (
  { headers, socket }: IncomingMessage,
  { anonymous, masterKeyHash, directory }: AuthenticationOptions,
): Caller | Promise<Caller> =>
  anonymous ?? findCaller(readKey(headers), masterKeyHash, directory, Date.now(), (key) => hashOn(socket, key));

type Done = (error?: Error) => void;

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** A connection nearly always brings the same key again; it is remembered for as long as its owner is connected. */
const lastKeys = new WeakMap<object, { readonly key: string; readonly hash: string }>();

function hashOn(connection: object, key: string): string {
  const last = lastKeys.get(connection);
  if (last?.key === key) return last.hash;
  const hash = hashKey(key);
  lastKeys.set(connection, { key, hash });
  return hash;
}

/** @throws Refusal 403 for a route that the key's `allowed_routes` does not name. */
export function requireRoute(caller: Caller, path: string, groups: readonly RouteGroup[]): void {
  if (caller.allowedRoutes === undefined || mayCall(caller.allowedRoutes, path, groups)) return;
  throw new Refusal({
    status: 403,
    type: 'auth_error',
    message: `This key may not call ${path}. It may call: ${caller.allowedRoutes.slice(0, 20).join(', ')}`,
  });
}

/** Of a route that says nothing else. */
export const modelRoutes: readonly RouteGroup[] = ['llm_api_routes'];
