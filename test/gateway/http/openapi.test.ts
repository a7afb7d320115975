import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { managementRoutes } from '../../../gateway/http/management/routes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type WiredGateway, wireGateway } from '../../support/wired-gateway.ts';

const schema = z.record(z.string(), z.unknown());
const operation = z.object({
  operationId: z.string().min(1),
  summary: z.string().min(1),
  tags: z.array(z.string()).length(1),
  parameters: z.array(z.object({ name: z.string(), in: z.enum(['path', 'query']), required: z.boolean(), schema })),
  requestBody: z
    .object({ content: z.record(z.string(), z.object({ schema, example: z.unknown().optional() })) })
    .optional(),
  responses: z.record(z.string(), schema),
});
const documentSchema = z.object({
  openapi: z.literal('3.1.0'),
  info: z.object({ title: z.string(), version: z.string() }),
  paths: z.record(
    z.string().startsWith('/'),
    z
      .record(z.enum(['get', 'post', 'put', 'patch', 'delete']), operation)
      .or(z.partialRecord(z.enum(['get', 'post', 'put', 'patch', 'delete']), operation)),
  ),
  components: z.object({ schemas: schema, responses: schema, securitySchemes: schema }),
});

let gateway: WiredGateway;
let document: z.output<typeof documentSchema>;
let text: string;

/** From Fastify's own tree of routes; it does not print what stands before a star. */
function registeredRoutes(): { routes: string[]; stars: number } {
  const routes: string[] = [];
  let stars = 0;
  const above: string[] = [];
  for (const line of gateway.generation.app.printRoutes({ commonPrefix: false }).split('\n')) {
    const [, indent = '', part = '', methods = ''] = /^(.*?)[├└]── (\S+) \((.*)\)$/.exec(line) ?? [];
    if (part === '') continue;
    const depth = indent.length / 4;
    const url = `${depth === 0 ? '' : (above[depth - 1] ?? '')}${part}`;
    above[depth] = url;
    for (const method of methods.split(', ')) {
      if (method === 'HEAD' || method === 'OPTIONS') continue;
      if (url.endsWith('*')) stars++;
      else routes.push(`${method} ${url.replace(/:(\w+)/g, '{$1}')}`);
    }
  }
  return { routes: routes.filter((route) => !route.includes(' /docs')), stars };
}

beforeAll(async () => {
  gateway = await wireGateway({ databaseUrl: undefined, dataDirectory: await temporaryDirectory() });
  const answer = await gateway.generation.app.inject('/openapi.json');
  text = answer.body;
  document = documentSchema.parse(answer.json());
});
afterAll(() => gateway.close());

describe('/openapi.json', () => {
  it('has every route that is registered, and no other', () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const { routes, stars } = registeredRoutes();
    expect(described.filter((one) => !one.includes('{path}')).toSorted()).toEqual([...new Set(routes)].toSorted());
    // One star is the page's own files.
    expect(described.filter((one) => one.includes('{path}')).length).toBe(stars - 1);
    expect(described).toContain('POST /v1/chat/completions');
    expect(described).toContain('POST /key/{key}/regenerate');
    expect(described.length).toBeGreaterThan(100);
  });

  it('names each operation once, declares the parameters of each path, and refers to nothing that is not there', () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((one) => ({ path, ...one })),
    );
    expect(new Set(operations.map((one) => one.operationId)).size).toBe(operations.length);
    for (const { path, parameters } of operations) {
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.filter((one) => one.in === 'path').map((one) => one.name)).toEqual(wanted);
    }
    for (const [, section = '', name = ''] of text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)) {
      expect(Reflect.get(document.components, section)).toHaveProperty(name);
    }
  });

  it('every example of a body passes the very schema that checks requests', () => {
    const examples = managementRoutes.flatMap(({ body, example, paths }) =>
      example === undefined ? [] : [{ body, example, path: paths[0] }],
    );
    expect(examples.length).toBeGreaterThan(30);
    for (const { body, example, path } of examples) {
      const parameters = path.includes('/regenerate') ? { key: 'sk-x' } : {};
      expect({ path, error: body?.safeParse({ ...example, ...parameters }).error?.message }).toEqual({
        path,
        error: undefined,
      });
    }
  });

  it('says what a field may be', () => {
    const body = document.paths['/key/generate']?.post?.requestBody?.content['application/json']?.schema;
    expect(body).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: { max_budget: { description: /US dollars/ }, key: { type: 'string', minLength: 20 } },
    });
    expect(document.paths['/key/list']?.get?.parameters).toContainEqual({
      name: 'size',
      in: 'query',
      required: false,
      schema: expect.objectContaining({ default: 10, maximum: 100 }),
    });
  });
});

describe('/docs', () => {
  it('is served from this process, scripts and all, and asks nobody else', async () => {
    const { app } = gateway.generation;
    const page = await app.inject('/docs/');
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link);
    expect(links.length).toBeGreaterThan(4);
    for (const link of links) {
      expect(link).toMatch(/^\.?\//);
      const asset = await app.inject(new URL(link, 'http://gateway/docs/').pathname);
      expect([link, asset.statusCode]).toEqual([link, 200]);
    }
    expect((await app.inject('/docs/static/swagger-initializer.js')).body).toContain('/openapi.json');
  });
});
