/** `/config/*`: what the live configuration is, and another one in its place. Only administrators see texts and change anything. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type ConfigAdministration, NotNow, Unusable } from '../domain/config-administration.ts';
import { Refusal } from '../domain/errors.ts';
import type { RegionDesk } from '../domain/region.ts';
import type { RouteGroup } from '../domain/routes.ts';
import { diffLines } from './line-diff.ts';
import { throughWriter } from './management/through-writer.ts';
import { masked } from './mask-config.ts';

interface Guard {
  readonly config: { readonly routeGroups: readonly RouteGroup[] };
}
const info: Guard = { config: { routeGroups: ['management_routes', 'info_routes'] } };
const change: Guard = { config: { routeGroups: ['management_routes'] } };

const largestBytes = 10 * 1024 * 1024;
const versionNumber = z.coerce.bigint('must be the number of a version').positive('must be the number of a version');
const historyQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(1_000).default(20) });
const diffQuery = z.strictObject({ from: versionNumber, to: versionNumber });
const rollbackBody = z.strictObject({ version: versionNumber });
const reloadBody = z.strictObject({ force_sync: z.boolean().default(false) });

/**
 * @param administration undefined where there is none, as in an application without a process around it.
 * @param desk where another region may be the writer: a configuration is stored there, and replicated from there.
 */
export function registerConfigRoutes(
  app: FastifyInstance,
  administration: () => ConfigAdministration | undefined,
  desk?: RegionDesk,
): void {
  const atWriter = (
    path: string,
    request: FastifyRequest,
    reply: FastifyReply,
    here: () => Promise<FastifyReply>,
  ): Promise<FastifyReply> =>
    desk === undefined ? here() : throughWriter(desk, { changes: true, path, here }, request, reply);
  const opened = (): ConfigAdministration => {
    const found = administration();
    if (found === undefined) throw notNow('This gateway has one configuration for its whole life');
    return found;
  };
  for (const path of ['/config/sync/status', '/llmrouter/config/sync/status']) {
    app.get(path, info, (_request, reply) => reply.send(opened().status()));
  }
  for (const path of ['/config/reload', '/llmrouter/reload']) {
    app.post(path, change, async (request, reply) => {
      requireAdmin(request);
      const { force_sync: force } = read(reloadBody, parseJson(request.body));
      return reply.send(await answering(() => opened().reload(force)));
    });
  }
  app.get('/config/history', info, async (request, reply) => {
    requireAdmin(request);
    const { limit } = read(historyQuery, request.query);
    const versions = await answering(() => opened().history(limit));
    return reply.send({ versions: versions.map(shown) });
  });
  app.get('/config/versions/:version', info, async (request, reply) => {
    requireAdmin(request);
    const { version } = read(rollbackBody, request.params);
    const text = await answering(() => opened().textOf(version));
    return reply.type('application/yaml').send(masked(text));
  });
  app.get('/config/diff', info, async (request, reply) => {
    requireAdmin(request);
    const { from, to } = read(diffQuery, request.query);
    const [before, after] = await answering(() => Promise.all([opened().textOf(from), opened().textOf(to)]));
    return reply.send({ from: Number(from), to: Number(to), diff: diffLines(before, after).map(masked) });
  });
  app.post('/config/rollback', change, (request, reply) =>
    atWriter('/config/rollback', request, reply, async () => {
      requireAdmin(request);
      const { version } = read(rollbackBody, parseJson(request.body));
      return reply.send(shown(await answering(() => opened().rollback(version, nameOf(request)))));
    }),
  );
  app.post('/config/push', { ...change, bodyLimit: largestBytes }, (request, reply) =>
    atWriter('/config/push', request, reply, async () => {
      requireAdmin(request);
      const text = request.body instanceof Buffer ? request.body.toString() : '';
      if (text.trim() === '') throw invalid('The body is empty; send the text of a config.yaml');
      return reply.send(shown(await answering(() => opened().push(text, nameOf(request)))));
    }),
  );
}

const shown = (version: Awaited<ReturnType<ConfigAdministration['push']>>) => ({
  version: Number(version.version),
  sha256: version.sha256,
  source: version.source,
  created_by: version.createdBy,
  created_at: version.createdAt.toISOString(),
});

const nameOf = ({ caller }: FastifyRequest): string => caller.keyAlias ?? caller.keyHash.slice(0, 12);

async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unusable) throw invalid(error.message);
    if (error instanceof NotNow) throw notNow(error.message);
    throw error;
  }
}

function requireAdmin({ caller }: FastifyRequest): void {
  if (caller.role === 'admin') return;
  throw new Refusal({
    status: 403,
    type: 'auth_error',
    message: 'Only an administrator may do this; use the master key or an administrator key',
  });
}

function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; '));
}

function parseJson(body: unknown): unknown {
  if (!(body instanceof Buffer) || body.length === 0) return {};
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('The body is not valid JSON');
    throw error;
  }
}

const invalid = (message: string): Refusal => new Refusal({ status: 400, type: 'invalid_request_error', message });
const notNow = (message: string): Refusal =>
  new Refusal({ status: 503, type: 'service_unavailable', message, retryAfterSeconds: 5 });
