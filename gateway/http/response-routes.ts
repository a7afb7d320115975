/** `/v1/responses/{id}`: answers that a provider keeps. Thin: find out what is asked, ask, send. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { responsesDialect } from '../dialects/responses/responses.ts';
import { ClientGone } from '../domain/errors.ts';
import { askAboutAnswer, type KeptQuestion } from '../pipeline/kept-answers.ts';
import type { ModelRouteOptions } from './model-routes.ts';

type Asked = FastifyRequest<{ Params: { id: string } }>;

export function registerResponseRoutes(app: FastifyInstance, { serve, inFlight }: ModelRouteOptions): void {
  const config = { dialect: responsesDialect };
  const answer = (method: KeptQuestion['method'], suffix: string) => async (request: Asked, reply: FastifyReply) => {
    const controller = new AbortController();
    const onClose = (): void => controller.abort(new ClientGone());
    inFlight.enter(controller);
    reply.raw.on('close', onClose);
    try {
      const query = request.url.includes('?') ? request.url.slice(request.url.indexOf('?')) : '';
      const question = { method, suffix, query };
      const kept = await askAboutAnswer(question, request.params.id, request.caller, controller.signal, serve);
      return await reply.code(kept.status).type(kept.contentType).send(kept.body);
    } finally {
      reply.raw.removeListener('close', onClose);
      inFlight.leave(controller);
    }
  };
  for (const path of ['/v1/responses/:id', '/responses/:id']) {
    app.get(path, { config }, answer('GET', ''));
    app.delete(path, { config }, answer('DELETE', ''));
    app.post(`${path}/cancel`, { config }, answer('POST', '/cancel'));
    app.get(`${path}/input_items`, { config }, answer('GET', '/input_items'));
  }
}
