/** Health pages and metrics. None of them calls an upstream, and readiness means "I can serve", not "my database is up". */
import type { FastifyInstance } from 'fastify';
import { healthPaths } from '../contract.ts';
import { authenticate } from '../pipeline/authenticate.ts';
import type { Router } from '../routing/router.ts';
import { type AuthenticationOptions, readKey } from './authentication.ts';

export interface StoreStates {
  /** Undefined = there is none. */
  readonly database: 'connected' | 'disconnected' | undefined;
  readonly redis: 'connected' | 'disconnected' | undefined;
}

export interface HealthRouteOptions {
  readonly authentication: AuthenticationOptions;
  readonly router: Router;
  readonly stores: () => StoreStates;
  /** What the gateway does without at the moment, in words. */
  readonly degraded: () => readonly { readonly message: string }[];
  readonly isLeaving: () => boolean;
  readonly inFlight: () => number;
  readonly version: string;
  /** What this gateway was started from, without its registry: regions are compared by it, too. Undefined = nobody said. */
  readonly image: string | undefined;
  /** What regions are compared by; undefined = not known, or there is none. */
  readonly versions: () => { readonly schema: string | undefined; readonly config: bigint | undefined };
  /** Prometheus text of this process, or of all workers together. */
  readonly metrics: () => Promise<{ contentType: string; body: string }>;
}

export function registerHealthRoutes(app: FastifyInstance, options: HealthRouteOptions): void {
  app.get(healthPaths.health, async (request, reply) => {
    const key = readKey(request.headers);
    if (key === undefined) return { status: 'healthy' };
    const { anonymous, masterKeyHash, directory } = options.authentication;
    if (anonymous === undefined) await authenticate(key, masterKeyHash, directory, Date.now());
    return reply.send(deploymentHealth(options.router));
  });

  for (const path of [healthPaths.liveliness, '/health/liveness']) {
    // Fastify would send a bare string as text; LiteLLM answers a JSON string.
    app.get(path, (_request, reply) => reply.type('application/json').send(JSON.stringify("I'm alive!")));
  }

  for (const path of [healthPaths.readiness, healthPaths.ready]) {
    app.get(path, (_request, reply) => {
      if (options.isLeaving()) return reply.code(503).send({ status: 'shutting_down' });
      const stores = options.stores();
      const { schema, config } = options.versions();
      const reasons = options.degraded().map(({ message }) => message);
      return reply.send({
        status: reasons.length === 0 ? 'healthy' : 'degraded',
        reasons,
        db: stores.database ?? 'Not connected',
        cache: stores.redis === undefined ? null : { type: 'redis', status: stores.redis },
        holdfast_version: options.version,
        image: options.image ?? null,
        schema_version: schema ?? null,
        config_version: config === undefined ? null : Number(config),
      });
    });
  }

  app.get('/health/backlog', (_request, reply) => reply.send({ in_flight_requests: options.inFlight() }));

  app.get(healthPaths.metrics, async (_request, reply) => {
    const { contentType, body } = await options.metrics();
    return reply.type(contentType).send(body);
  });
}

/** LiteLLM's shape, from what requests have shown; nothing is called for it. */
function deploymentHealth(router: Router): object {
  const entry = (item: ReturnType<Router['health']>[number]) => ({
    model: `${item.deployment.provider}/${item.deployment.model}`,
    model_name: item.deployment.modelGroup,
    model_id: item.deployment.id,
    api_base: `${item.deployment.origin}${item.deployment.basePath}`,
    state: item.state,
  });
  const all = router.health();
  const healthy = all.filter((item) => item.state !== 'cooling').map(entry);
  const unhealthy = all.filter((item) => item.state === 'cooling').map(entry);
  return {
    healthy_endpoints: healthy,
    unhealthy_endpoints: unhealthy,
    healthy_count: healthy.length,
    unhealthy_count: unhealthy.length,
  };
}
