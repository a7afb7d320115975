/** The description of every route, made from the schemas that check the requests. */
import { z } from 'zod';
import { operationNames, specOf } from '../domain/operation.ts';
import type { RouteDocument } from './management/route.ts';

export interface RegisteredRoute {
  readonly method: string;
  /** As it was registered: `/key/:key/regenerate`, `/v1/models/*`. */
  readonly url: string;
  readonly document: RouteDocument | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const chatExample = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello!' }] };
const modelName = z.string().describe('a model group; GET /v1/models lists those of the key');

/** Bodies of requests to models are read by the provider; what is said here is what the gateway itself asks for. */
const modelDocuments: Readonly<Record<string, RouteDocument>> = {
  ...Object.fromEntries(
    operationNames.map((name) => {
      const { path, required } = specOf(name);
      const members = Object.fromEntries(
        Object.entries(required).map(([member, forms]) => [
          member,
          forms.includes('list') ? z.union([z.string(), z.array(z.unknown())]) : z.string(),
        ]),
      );
      const messages = name === 'chat' ? { messages: z.array(z.looseObject({ role: z.string() })).min(1) } : {};
      const body = z.looseObject({ model: modelName, ...messages, ...members });
      const document = { tag: 'models', summary: `OpenAI's ${path}`, body };
      return [path, name === 'chat' ? { ...document, example: chatExample } : document];
    }),
  ),
  '/responses': {
    tag: 'models',
    summary: "OpenAI's /responses",
    body: z.looseObject({ model: modelName, input: z.union([z.string(), z.array(z.unknown())]) }),
    example: { model: 'gpt-4o', input: 'Hello!' },
  },
  '/completions': {
    tag: 'models',
    summary: "OpenAI's /completions",
    body: z.looseObject({ model: modelName, prompt: z.union([z.string(), z.array(z.unknown())]) }),
    example: { model: 'gpt-4o', prompt: 'Hello' },
  },
  '/messages': {
    tag: 'models',
    summary: "Anthropic's /v1/messages",
    body: z.looseObject({ model: modelName, max_tokens: z.int().min(1), messages: z.array(z.unknown()).min(1) }),
    example: { ...chatExample, max_tokens: 100 },
  },
  '/messages/count_tokens': {
    tag: 'models',
    summary:
      "Anthropic's /v1/messages/count_tokens. x-holdfast-counted-by in the answer says who counted: provider, or estimate where no deployment of the model is Anthropic's or none of them answered",
    body: z.looseObject({ model: modelName, messages: z.array(z.unknown()).min(1) }),
  },
  '/models': { tag: 'models', summary: 'Model groups that the key may use' },
  '/models/*': { tag: 'models', summary: 'One model group' },
};

function documentOf({ url, document }: RegisteredRoute): RouteDocument {
  if (document !== undefined) return document;
  const ofModel = modelDocuments[url.replace(/^\/v1(?=\/)/, '')];
  if (ofModel !== undefined) return ofModel;
  if (/^\/(health|metrics)/.test(url)) return { tag: 'health', summary: `Health and metrics: ${url}`, public: true };
  if (url === '/openapi.json') return { tag: 'health', summary: 'This document', public: true };
  return { tag: 'other', summary: url };
}

/** OpenAPI 3.1. */
export function buildOpenApi(routes: readonly RegisteredRoute[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = toPath(route.url);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: toOperation(route, path) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast', version, description: "OpenAI's and Anthropic's APIs, and LiteLLM's management API." },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    tags: [...new Set(routes.map((route) => documentOf(route).tag))].toSorted().map((name) => ({ name })),
    paths: Object.fromEntries(Object.entries(paths).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A key, or the master key' } },
      schemas: { Error: toJsonSchema(errorSchema) },
      responses: {
        Error: {
          description: 'The gateway or a provider says no',
          content: json({ $ref: '#/components/schemas/Error' }),
        },
      },
    },
  };
}

const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string().nullable(),
    param: z.string().nullable(),
    code: z.string().describe('the status, as text'),
  }),
});

/** `/key/:key/regenerate` and `/models/*` as OpenAPI writes them. */
const toPath = (url: string): string => url.replace(/:(\w+)/g, '{$1}').replace('*', '{path}');

function toOperation(route: RegisteredRoute, path: string): Json {
  const document = documentOf(route);
  const body = document.body === undefined ? undefined : toJsonSchema(document.body);
  return {
    operationId: `${route.method.toLowerCase()}${path.replace(/[^a-zA-Z0-9]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    tags: [document.tag],
    summary: document.summary,
    ...(document.description === undefined ? {} : { description: document.description }),
    ...(document.public === true ? { security: [] } : {}),
    parameters: [...pathParameters(path), ...queryParameters(document.query)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body, document.example) } }),
    responses: {
      200: { description: 'Done', content: json({}, document.answerExample) },
      default: { $ref: '#/components/responses/Error' },
    },
  };
}

const json = (schema: Json, example?: unknown): Json => ({
  'application/json': { schema, ...(example === undefined ? {} : { example }) },
});

const pathParameters = (path: string): Json[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (!(query instanceof z.ZodObject)) return [];
  return Object.entries<z.ZodType>(query.shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: !schema.safeParse(undefined).success,
    schema: toJsonSchema(schema),
  }));
}

function toJsonSchema(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
}
