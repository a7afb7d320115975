/** The HTTP application: which routes exist and what stands before them. Processes and signals are `main.ts`'s. */
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { CacheAdministration } from './domain/answer-cache.ts';
import type { ConfigAdministration } from './domain/config-administration.ts';
import { Refusal } from './domain/errors.ts';
import type { PassedPrices, PassThroughEndpoint } from './domain/pass-through.ts';
import type { RegionDesk } from './domain/region.ts';
import { type AuthenticationOptions, requireKey } from './http/authentication.ts';
import { registerCacheRoutes } from './http/cache-routes.ts';
import { registerConfigRoutes } from './http/config-routes.ts';
import { registerCountTokensRoutes } from './http/count-tokens-routes.ts';
import { DirectWay } from './http/direct-way.ts';
import { registerDocsRoutes } from './http/docs-routes.ts';
import { toErrorAnswer } from './http/error-envelope.ts';
import { type HealthRouteOptions, registerHealthRoutes } from './http/health-routes.ts';
import { type ManagementOptions, registerManagementRoutes } from './http/management/route.ts';
import { managementRoutes } from './http/management/routes.ts';
import { registerModelListRoutes } from './http/model-list-routes.ts';
import { type ModelRouteOptions, registerModelRoutes } from './http/model-routes.ts';
import { registerPassThroughRoutes } from './http/pass-through-routes.ts';
import { registerRegionRoutes } from './http/region-routes.ts';
import { registerResponseRoutes } from './http/response-routes.ts';
import { registerStatusRoutes } from './http/status-routes.ts';
import type { Logger } from './telemetry/log.ts';

export interface AppOptions {
  readonly maxRequestBytes: number;
  readonly authentication: AuthenticationOptions;
  readonly models: ModelRouteOptions;
  readonly passThrough: readonly PassThroughEndpoint[];
  readonly passedPrices: PassedPrices;
  readonly health: HealthRouteOptions;
  readonly management: ManagementOptions;
  readonly cache: CacheAdministration | undefined;
  /** Undefined where there is no database. */
  readonly region?: RegionDesk | undefined;
  readonly configuration: () => ConfigAdministration | undefined;
  readonly status: () => Promise<object>;
  readonly logger: Logger;
}

const longestParameter = 1_000;

export interface App {
  readonly fastify: FastifyInstance;
  /** Asked first, once the application is ready. */
  readonly direct: DirectWay;
}

/** Its own server is never opened: the process's listener hands it requests. */
export function buildApp(options: AppOptions): App {
  const app = fastify({
    logger: false,
    bodyLimit: options.maxRequestBytes,
    return503OnClosing: false,
    // Ids of answers hold the id of their deployment.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: longestParameter },
  });
  const direct = new DirectWay(options.authentication, options.maxRequestBytes);
  // Bodies stay bytes: they are parsed once, by whoever needs them, and forwarded as they came.
  app.removeAllContentTypeParsers();
  // Named besides the rest, since Fastify remembers only parsers that were found by a name.
  for (const type of ['application/json', '*']) {
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  }

  app.setErrorHandler((error: FastifyError | Refusal, request, reply) => {
    const answer = toErrorAnswer(refusalOf(error), request.routeOptions.config.dialect);
    if (answer.status >= 500 && !(error instanceof Refusal) && error.name !== 'UpstreamError') {
      options.logger.error(
        { err: error, route: request.routeOptions.url },
        'a request failed by a fault of the gateway',
      );
    }
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });
  app.setNotFoundHandler((request, reply) => {
    const answer = toErrorAnswer(
      new Refusal({
        status: 404,
        type: 'invalid_request_error',
        message: `Unknown route ${request.method} ${request.url.split('?')[0] ?? ''}`,
      }),
    );
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });

  registerDocsRoutes(app, options.health.version);
  registerHealthRoutes(app, options.health);
  registerRegionRoutes(app, options.region);
  // First, since they may take over a path that reaches a model.
  void app.register(async (passing) => {
    const { inFlight, isLeaving, newId, serve } = options.models;
    const { admission, transport, onBegin, onSettled } = serve;
    registerPassThroughRoutes(passing, {
      endpoints: options.passThrough,
      passedPrices: options.passedPrices,
      authentication: options.authentication,
      maxRequestBytes: options.maxRequestBytes,
      inFlight,
      isLeaving,
      newId,
      admission,
      transport,
      onBegin,
      onSettled,
    });
  });
  void app.register(async (behindKey) => {
    requireKey(behindKey, options.authentication);
    registerModelRoutes(behindKey, options.models, direct);
    registerCountTokensRoutes(behindKey, options.models);
    registerResponseRoutes(behindKey, options.models);
    registerModelListRoutes(behindKey, options.models.serve.router);
    registerManagementRoutes(behindKey, managementRoutes, options.management, options.region);
    registerCacheRoutes(behindKey, options.cache);
    registerConfigRoutes(behindKey, options.configuration, options.region);
    registerStatusRoutes(behindKey, options.status);
  });
  return { fastify: app, direct };
}

/** Fastify's own complaints about a request, in our words. */
function refusalOf(error: FastifyError | Refusal): Error {
  if (error instanceof Refusal) return error;
  const status = error.statusCode ?? 500;
  if (status >= 500) return error;
  return new Refusal({ status, type: 'invalid_request_error', message: error.message });
}
