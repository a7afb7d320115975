/** A route of the management API as data: who may call it, what it takes, and its work inside one transaction. */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Refusal } from '../../domain/errors.ts';
import type { KeyPolicy } from '../../domain/key-policy.ts';
import { NotWriter, type NotWriterReason, OutcomeUnknown, StoreUnavailable } from '../../domain/keys.ts';
import {
  IdempotencyConflict,
  type IdentityReader,
  type IdentityWriter,
  type Management,
  RecordConflict,
  type Rows,
} from '../../domain/management.ts';
import type { AccessGroups } from '../../domain/model-access.ts';
import type { RegionDesk } from '../../domain/region.ts';
import type { PriceEntry } from '../../domain/repricing.ts';
import type { RouteGroup } from '../../domain/routes.ts';
import { readKey } from '../authentication.ts';
import { invalid, meets, type Need, type Principal, principalOf } from './actor.ts';
import { answerSeal } from './answer-seal.ts';
import { checkDepth, closest } from './body-checks.ts';
import { throughWriter } from './through-writer.ts';

/** A deployment as it is stored. */
export type ModelDefinition = Pick<Rows['model'], 'modelId' | 'modelName' | 'params' | 'info'>;

export interface ManagementOptions {
  /** Undefined without a database. */
  readonly management: Management | undefined;
  readonly policy: KeyPolicy;
  readonly accessGroups: AccessGroups;
  /** Seals secrets of model definitions; undefined = no key to do so. */
  readonly sealSecret: ((secret: string) => string) | undefined;
  /** By the prices that are known now. */
  readonly priceEntry: PriceEntry;
  /** What keeps a model definition from being called; its secrets are sealed. */
  readonly modelFaults: (model: ModelDefinition) => readonly string[];
}

/** What a route's work gets to know of a request. */
export interface Asked<Body, Query> {
  readonly body: Body;
  readonly query: Query;
  readonly principal: Principal;
  readonly nowMs: number;
  readonly options: ManagementOptions;
  /** What the body had of fields that are kept and not acted on. */
  readonly extra: Readonly<Record<string, unknown>>;
}

interface RouteWords<Body extends z.ZodType, Query extends z.ZodType> {
  readonly method: 'GET' | 'POST';
  /** The first is the one that is documented. */
  readonly paths: readonly [string, ...string[]];
  readonly tag: string;
  readonly summary: string;
  readonly needs: Need;
  readonly body?: Body;
  readonly query?: Query;
  /** LiteLLM's fields that are accepted, kept and not acted on; the answer says so. */
  readonly inert?: readonly string[];
  readonly example?: Readonly<Record<string, unknown>>;
  readonly answerExample?: unknown;
}

export type RouteSpec<Body extends z.ZodType, Query extends z.ZodType> = RouteWords<Body, Query> &
  (
    | { readonly read: (reader: IdentityReader, asked: Asked<z.output<Body>, z.output<Query>>) => Promise<object> }
    | { readonly write: (writer: IdentityWriter, asked: Asked<z.output<Body>, z.output<Query>>) => Promise<object> }
  );

/** A route whose body and query are its own affair. */
export interface ManagementRoute extends RouteWords<z.ZodType, z.ZodType> {
  readonly changes: boolean;
  readonly groups: readonly RouteGroup[];
  answer(request: FastifyRequest, reply: FastifyReply, options: ManagementOptions): Promise<FastifyReply>;
}

export interface RouteDocument {
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly body?: z.ZodType;
  readonly query?: z.ZodType;
  readonly example?: unknown;
  readonly answerExample?: unknown;
  readonly public?: true;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** For `/openapi.json`. */
    document?: RouteDocument;
    /** For `allowed_routes` of keys; absent = LiteLLM's `llm_api_routes`. */
    routeGroups?: readonly RouteGroup[];
  }
}

const nothing = z.strictObject({});
const largestBodyBytes = 1_048_576;
const longestIdempotencyKey = 200;

export function defineRoute<Body extends z.ZodType = typeof nothing, Query extends z.ZodType = typeof nothing>(
  spec: RouteSpec<Body, Query>,
): ManagementRoute {
  return {
    ...spec,
    changes: 'write' in spec,
    groups: spec.method === 'GET' || 'read' in spec ? ['management_routes', 'info_routes'] : ['management_routes'],
    answer: async (request, reply, options) => {
      const principal = principalOf(request.caller);
      if (!meets(principal.role, spec.needs)) throw refuseRole(principal, spec.needs);
      const json = spec.body === undefined ? {} : withParameters(parseJson(request.body), request.params);
      const { known, extra } = setAside(json, spec.inert ?? []);
      const asked: Asked<z.output<Body>, z.output<Query>> = {
        body: check(spec.body, known, 'body'),
        query: check(spec.query, request.query ?? {}, 'query'),
        principal,
        nowMs: Date.now(),
        options,
        extra,
      };
      const { answer, replayed } = await work(spec, asked, request, options);
      if (replayed) void reply.header('idempotent-replayed', 'true');
      const warnings = Object.keys(extra).map((name) => `${name} is kept and not acted on`);
      if (warnings.length > 0) void reply.header('x-holdfast-warnings', warnings.join('; '));
      return reply.type('application/json').send(JSON.stringify(withWarnings(answer, warnings)));
    },
  };
}

async function work<Body extends z.ZodType, Query extends z.ZodType>(
  spec: RouteSpec<Body, Query>,
  asked: Asked<z.output<Body>, z.output<Query>>,
  request: FastifyRequest,
  { management }: ManagementOptions,
): Promise<{ answer: unknown; replayed: boolean }> {
  if (management === undefined) throw unavailable('This needs a database; set DATABASE_URL', undefined);
  try {
    if ('read' in spec) return { answer: await management.read((reader) => spec.read(reader, asked)), replayed: false };
    const idempotency = idempotencyOf(request, spec.paths[0]);
    return await management.write(asked.principal.actor, (writer) => spec.write(writer, asked), idempotency);
  } catch (error) {
    throw toRefusal(error);
  }
}

export function registerManagementRoutes(
  app: FastifyInstance,
  routes: readonly ManagementRoute[],
  options: ManagementOptions,
  desk?: RegionDesk,
): void {
  for (const route of routes) {
    for (const url of route.paths) {
      app.route({
        method: route.method,
        url,
        bodyLimit: largestBodyBytes,
        config: { document: documentOf(route), routeGroups: route.groups },
        handler: (request, reply) => {
          const here = (): Promise<FastifyReply> => route.answer(request, reply, options);
          if (desk === undefined) return here();
          return throughWriter(desk, { changes: route.changes, path: route.paths[0], here }, request, reply);
        },
      });
    }
  }
}

const documentOf = (route: ManagementRoute): RouteDocument => ({
  tag: route.tag,
  summary: route.summary,
  description: `Needs: ${needWords[route.needs]}.${route.inert === undefined ? '' : ` Kept and not acted on: ${route.inert.join(', ')}.`}`,
  ...(route.body === undefined ? {} : { body: route.body }),
  ...(route.query === undefined ? {} : { query: route.query }),
  ...(route.example === undefined ? {} : { example: route.example }),
  ...(route.answerExample === undefined ? {} : { answerExample: route.answerExample }),
});

const needWords: Readonly<Record<Need, string>> = {
  'any-key': 'any valid key; what it shows depends on the key',
  viewer: 'a key of a user; a user sees what belongs to it, an administrator everything',
  member: 'an administrator, or a user who administers what is changed',
  admin: 'the master key or an administrator',
};

function refuseRole({ role }: Principal, need: Need): Refusal {
  const wanted =
    need === 'admin'
      ? 'Only an administrator may do this; use the master key or an administrator key'
      : 'This key may not do this';
  return new Refusal({ status: 403, type: 'auth_error', message: `${wanted}. Your role is ${role}` });
}

/** Checks against a schema; all faults at once. */
function check<Schema extends z.ZodType>(schema: Schema | undefined, value: unknown, name: string): z.output<Schema>;
function check(schema: z.ZodType | undefined, value: unknown, name: string): unknown {
  const parsed = (schema ?? nothing).safeParse(value);
  if (parsed.success) return parsed.data;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const faults = parsed.error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join('.');
    if (issue.code !== 'unrecognized_keys') return [{ path: path || name, message: issue.message }];
    return issue.keys.map((key) => ({
      path: [path, key.slice(0, 100)].filter((step) => step !== '').join('.'),
      message: `is not a field of this ${name}${closest(key, known)}`,
    }));
  });
  throw invalid(faults[0]?.path ?? null, faults.map((fault) => `${fault.path}: ${fault.message}`).join('; '));
}

function setAside(json: unknown, inert: readonly string[]): { known: unknown; extra: Record<string, unknown> } {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return { known: json, extra: {} };
  const entries = Object.entries(json);
  const isInert = ([name, value]: [string, unknown]): boolean => inert.includes(name) && value !== null;
  return {
    known: Object.fromEntries(entries.filter(([name]) => !inert.includes(name))),
    extra: Object.fromEntries(entries.filter(isInert)),
  };
}

/** What stands in the path belongs to the body, as `/key/KEY/regenerate` has it. */
const withParameters = (json: unknown, parameters: unknown): unknown =>
  typeof parameters !== 'object' || typeof json !== 'object' || Array.isArray(json) ? json : { ...json, ...parameters };

function parseJson(body: unknown): unknown {
  if (!(body instanceof Buffer) || body.length === 0) return {};
  const text = body.toString();
  checkDepth(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid(null, 'The body is not valid JSON');
    throw error;
  }
}

/** The answer is sealed with the client's own key, which is nowhere but in its request. */
function idempotencyOf(request: FastifyRequest, route: string) {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || key === '') return undefined;
  if (key.length > longestIdempotencyKey) {
    throw invalid('Idempotency-Key', `Idempotency-Key: at most ${longestIdempotencyKey} characters`);
  }
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  const requestHash = createHash('sha256').update(`${route}\n`).update(body).digest('hex');
  return { key, requestHash, ...answerSeal(readKey(request.headers) ?? '', key) };
}

const withWarnings = (answer: unknown, warnings: readonly string[]): unknown =>
  warnings.length === 0 || typeof answer !== 'object' || answer === null || Array.isArray(answer)
    ? answer
    : { ...answer, warnings };

const unavailable = (message: string, retryAfterSeconds: number | undefined, type = 'no_db_connection'): Refusal =>
  new Refusal({ status: 503, type, message, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) });

function toRefusal(error: unknown): unknown {
  if (error instanceof NotWriter) {
    const type = notWriterTypes[error.reason] ?? 'not_writer';
    return unavailable(`${notWriterWords[error.reason]}. Nothing was changed`, 5, type);
  }
  if (error instanceof StoreUnavailable) return unavailable('The database cannot be reached. Nothing was changed', 5);
  if (error instanceof OutcomeUnknown) {
    return unavailable(
      'The change may stand or not: the connection broke, or the right to write ended, while it was committed. Repeat it with the same Idempotency-Key',
      1,
      'write_outcome_unknown',
    );
  }
  if (error instanceof IdempotencyConflict) {
    const message = 'This Idempotency-Key was used for another request; choose a new one';
    return new Refusal({ status: 422, type: 'invalid_request_error', message, param: 'Idempotency-Key' });
  }
  if (error instanceof RecordConflict) {
    const [param, message] = conflictWords[error.constraint] ?? [
      null,
      'A value cannot be stored, or something it names is not there',
    ];
    return invalid(param, param === null ? message : `${param}: ${message}`);
  }
  return error;
}

const notWriterTypes: Readonly<Partial<Record<NotWriterReason, string>>> = {
  'lease-over': 'writer_fenced',
  'beyond-rpo': 'beyond_rpo',
};

const notWriterWords: Readonly<Record<NotWriterReason, string>> = {
  replica: 'The database of this region is a replica and takes no changes',
  'another-epoch': 'Another region takes changes now, or a switch between regions is under way',
  'lease-over': 'This region has lost the right to take changes, and serves on without it',
  'beyond-rpo':
    'Every replica is farther behind than may be lost (HOLDFAST_REFUSE_BEYOND_RPO_SECONDS), so a failover would lose this change',
};

const conflictWords: Readonly<Record<string, readonly [string, string]>> = {
  api_key_key_alias_key: ['key_alias', 'another key has this alias; choose another'],
  gateway_user_email: ['user_email', 'another user has this address'],
};
