/** `/v1/models`: the model groups that the caller's key may use. */
import type { FastifyInstance } from 'fastify';
import { Refusal } from '../domain/errors.ts';
import { mayUseModel } from '../pipeline/authenticate.ts';
import type { Router } from '../routing/router.ts';

export function registerModelListRoutes(app: FastifyInstance, router: Router): void {
  const created = Math.floor(Date.now() / 1000);
  const entry = (id: string) => ({ id, object: 'model', created, owned_by: 'openai' });
  for (const path of ['/v1/models', '/models']) {
    app.get(path, (request, reply) => {
      const names = router.directory.names().filter((name) => mayUseModel(request.caller, name));
      return reply.send({ object: 'list', data: names.map(entry) });
    });
    // A model's name may hold slashes, hence the wildcard.
    app.get<{ Params: { '*': string } }>(`${path}/*`, (request, reply) => {
      const name = request.params['*'];
      if (router.directory.resolve(name) === undefined || !mayUseModel(request.caller, name)) {
        throw new Refusal({
          status: 404,
          type: 'invalid_request_error',
          message: `The model "${name.slice(0, 100)}" does not exist`,
          param: 'model',
        });
      }
      return reply.send(entry(name));
    });
  }
}
