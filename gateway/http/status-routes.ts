/** `GET /admin/status`: what an operator asks first. */
import type { FastifyInstance } from 'fastify';
import { Refusal } from '../domain/errors.ts';
import type { RouteGroup } from '../domain/routes.ts';

const info: { readonly routeGroups: readonly RouteGroup[] } = { routeGroups: ['management_routes', 'info_routes'] };

export function registerStatusRoutes(app: FastifyInstance, status: () => Promise<object>): void {
  app.get('/admin/status', { config: info }, async (request, reply) => {
    if (request.caller.role !== 'admin') {
      throw new Refusal({
        status: 403,
        type: 'auth_error',
        message: 'Only an administrator may see this; use the master key or an administrator key',
      });
    }
    return reply.send(await status());
  });
}
