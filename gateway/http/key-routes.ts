/** Making and ending keys: the part of LiteLLM's management API that a first team needs. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Refusal } from '../domain/errors.ts';
import { hashKey, type KeyAdministration, masked, newKey, StoreUnavailable } from '../domain/keys.ts';
import { requireAdmin } from './authentication.ts';

const durationSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

const generateBody = z.strictObject({
  key_alias: z.string().min(1).max(100).optional(),
  /** Model groups; empty or absent = all. */
  models: z.array(z.string().min(1)).default([]),
  /** How long the key is valid: `30s`, `15m`, `24h`, `30d`; absent = for ever. */
  duration: z
    .string()
    .regex(/^[1-9]\d{0,6}[smhd]$/, 'write for example 30s, 15m, 24h or 30d')
    .optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  /** An own value instead of a random one. */
  key: z.string().startsWith('sk-').min(20).optional(),
});

const deleteBody = z.strictObject({ keys: z.array(z.string().min(1)).min(1).max(1_000) });

export function registerKeyRoutes(app: FastifyInstance, store: KeyAdministration | undefined): void {
  app.post('/key/generate', async (request, reply) => {
    requireAdmin(request.caller);
    const body = read(generateBody, request.body);
    const key = body.key ?? newKey();
    const expiresAtMs = body.duration === undefined ? undefined : Date.now() + toSeconds(body.duration) * 1000;
    const made = await withStore(store, (keys) =>
      keys.insert({
        keyHash: hashKey(key),
        keyName: masked(key),
        role: 'caller',
        models: body.models,
        createdBy: request.caller.keyAlias ?? request.caller.keyHash,
        ...(body.key_alias === undefined ? {} : { keyAlias: body.key_alias }),
        ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
        ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
      }),
    );
    if (!made) throw invalid('key_alias', 'this key or this key_alias exists already; choose another');
    return reply.send({
      key,
      token: hashKey(key),
      token_id: hashKey(key),
      key_name: masked(key),
      key_alias: body.key_alias ?? null,
      models: body.models,
      expires: expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString(),
      metadata: body.metadata ?? {},
    });
  });

  app.post('/key/delete', async (request, reply) => {
    requireAdmin(request.caller);
    const { keys } = read(deleteBody, request.body);
    const hashes = keys.map((key) => (key.startsWith('sk-') ? hashKey(key) : key));
    const deleted = await withStore(store, (known) => known.remove(hashes));
    if (deleted.length === 0)
      throw new Refusal({ status: 404, type: 'invalid_request_error', message: 'None of these keys exists' });
    return reply.send({ deleted_keys: deleted });
  });
}

const toSeconds = (duration: string): number =>
  Number(duration.slice(0, -1)) * (durationSeconds[duration.slice(-1)] ?? 0);

/** Checks a body against its schema; all faults at once. */
function read<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(parseJson(body));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw invalid(parsed.error.issues[0]?.path.join('.') ?? null, faults.join('; '));
}

function parseJson(body: unknown): unknown {
  if (!(body instanceof Buffer)) return {};
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid(null, 'The body is not valid JSON');
    throw error;
  }
}

async function withStore<T>(
  store: KeyAdministration | undefined,
  act: (store: KeyAdministration) => Promise<T>,
): Promise<T> {
  try {
    if (store !== undefined) return await act(store);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
  throw new Refusal({
    status: 503,
    type: 'no_db_connection',
    message:
      store === undefined
        ? 'This needs a database; set DATABASE_URL'
        : 'The database cannot be reached. Nothing was changed',
    ...(store === undefined ? {} : { retryAfterSeconds: 5 }),
  });
}

const invalid = (param: string | null, message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message, ...(param === null ? {} : { param }) });
