/** `/openapi.json`, and `/docs`: the same to read and to try out. Served from this process, so it works without a network. */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { buildOpenApi, type RegisteredRoute } from './openapi.ts';

declare module 'fastify' {
  interface FastifyInstance {
    swagger(): object;
  }
}

/** What the page may load: itself. Its styles are in the page. */
const contentPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/** Call before any route is registered: it hears of each. */
export function registerDocsRoutes(app: FastifyInstance, version: string): void {
  const routes: RegisteredRoute[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    if (url.startsWith('/docs')) return;
    for (const one of [method].flat()) {
      if (one !== 'HEAD' && one !== 'OPTIONS') routes.push({ method: one, url, document: config?.document });
    }
  });
  let document: object | undefined;
  // Asked for the first time, all routes are there; they do not change afterwards.
  const openApi = (): object => (document ??= buildOpenApi(routes, version));
  app.decorate('swagger', openApi);
  app.get('/openapi.json', (_request, reply) => reply.type('application/json').send(JSON.stringify(openApi())));
  void app.register(documentSource);
  void app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: contentPolicy,
    uiConfig: { url: '/openapi.json', validatorUrl: null, docExpansion: 'none', persistAuthorization: false },
  });
}

/** The page asks for the plugin that makes documents from Fastify's own schemas; ours come from zod. */
async function documentSource(): Promise<void> {
  await Promise.resolve();
}
Object.assign(documentSource, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('plugin-meta')]: { name: '@fastify/swagger' },
  [Symbol.for('fastify.display-name')]: '@fastify/swagger',
});
