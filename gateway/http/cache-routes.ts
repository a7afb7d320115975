/** `/cache/*`: LiteLLM's routes to look after the response cache. Only administrators change anything. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { CacheAdministration } from '../domain/answer-cache.ts';
import { Refusal } from '../domain/errors.ts';
import type { Caller } from '../domain/request.ts';
import type { RouteGroup } from '../domain/routes.ts';

const deleteBody = z.strictObject({
  keys: z
    .array(z.string().regex(/^[0-9a-f]{64}$/))
    .min(1)
    .max(1_000),
});

const management: { readonly routeGroups: readonly RouteGroup[] } = { routeGroups: ['management_routes'] };

/** @param cache undefined = answers are not cached. */
export function registerCacheRoutes(app: FastifyInstance, cache: CacheAdministration | undefined): void {
  app.get('/cache/ping', { config: management }, (_request, reply) =>
    answering(cache, reply, async (opened) => {
      await opened.ping();
      return { status: 'healthy', cache_type: opened.kind, ping_response: true, set_cache_response: 'success' };
    }),
  );

  app.post('/cache/delete', { config: management }, (request, reply) => {
    requireAdmin(request.caller);
    const body = deleteBody.safeParse(parseJson(request.body));
    if (!body.success) throw invalid('keys must be a list of 1 to 1000 keys, as x-litellm-cache-key names them');
    return answering(cache, reply, async (opened) => {
      await opened.remove(body.data.keys);
      return { status: 'success' };
    });
  });

  app.post('/cache/flushall', { config: management }, (request, reply) => {
    requireAdmin(request.caller);
    return answering(cache, reply, async (opened) => ({ status: 'success', removed: await opened.removeAll() }));
  });

  app.get('/cache/redis/info', { config: management }, (request, reply) => {
    requireAdmin(request.caller);
    return answering(cache, reply, async (opened) => ({
      cache_type: opened.kind,
      info: (await opened.info()) ?? null,
    }));
  });
}

function requireAdmin(caller: Caller): void {
  if (caller.role === 'admin') return;
  throw new Refusal({
    status: 403,
    type: 'auth_error',
    message: 'Only an administrator may do this; use the master key or an administrator key',
  });
}

/** @throws Refusal 503 when there is no cache, or when Redis does not answer. */
async function answering(
  cache: CacheAdministration | undefined,
  reply: FastifyReply,
  act: (cache: CacheAdministration) => Promise<object>,
): Promise<FastifyReply> {
  if (cache === undefined) throw away('Answers are not cached; set litellm_settings.cache: true');
  let answer: object;
  try {
    answer = await act(cache);
  } catch (error) {
    throw away(`Redis does not answer: ${error instanceof Error ? error.message : String(error)}`);
  }
  return reply.send(answer);
}

const away = (message: string): Refusal => new Refusal({ status: 503, type: 'service_unavailable', message });

function parseJson(body: unknown): unknown {
  if (!(body instanceof Buffer)) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('The body is not valid JSON');
    throw error;
  }
}

const invalid = (message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message, param: 'keys' });
