/** `/v1/messages/count_tokens`: counted by the provider where one of the model's deployments can, else estimated. */
import type { FastifyInstance } from 'fastify';
import { countTokens } from '../dialects/messages/count-tokens.ts';
import { messagesDialect } from '../dialects/messages/messages.ts';
import { ClientGone, Refusal } from '../domain/errors.ts';
import { countAtProvider } from '../pipeline/count-at-provider.ts';
import { readRequest } from '../pipeline/read-request.ts';
import type { ModelRouteOptions } from './model-routes.ts';
import { requestHeaders } from './request-headers.ts';
import { spokenIn } from './spoken-request.ts';

/** Says who counted. */
const countedBy = 'x-holdfast-counted-by';

export function registerCountTokensRoutes(app: FastifyInstance, options: ModelRouteOptions): void {
  const { serve, inFlight, newId } = options;
  for (const path of ['/v1/messages/count_tokens', '/messages/count_tokens']) {
    app.post<{ Body: Buffer | undefined }>(path, { config: { dialect: messagesDialect } }, async (request, reply) => {
      const { body, caller, raw } = request;
      if (body === undefined) throw empty();
      const read = readRequest('chat', body, requestHeaders(raw), newId, Date.now(), true);
      const asked = spokenIn(messagesDialect, read, raw.headers, options);
      const controller = new AbortController();
      const onClose = (): void => controller.abort(new ClientGone());
      inFlight.enter(controller);
      reply.raw.on('close', onClose);
      try {
        const counted = await countAtProvider(asked, caller, controller.signal, serve);
        return await reply
          .type('application/json')
          .header(countedBy, counted === undefined ? 'estimate' : 'provider')
          .send(counted ?? countTokens(asked.body));
      } finally {
        reply.raw.removeListener('close', onClose);
        inFlight.leave(controller);
      }
    });
  }
}

const empty = (): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', message: 'The body is empty; send a JSON object' });
