/** A request of a client that speaks another API than chat completions, with its translation at hand. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dialect, DialectOptions } from '../dialects/dialect.ts';
import type { ClientApi, ModelRequest } from '../domain/request.ts';
import { readResponseId } from '../domain/response-id.ts';

/** Headers by which a client chooses a version or a feature of its API; a provider of the same API gets them. */
const headersOfApi: Readonly<Record<ClientApi, readonly string[]>> = {
  messages: ['anthropic-version', 'anthropic-beta'],
  responses: ['openai-beta'],
  completions: ['openai-beta'],
};

/** @param request with the client's own body and bytes. */
export function spokenIn(
  dialect: Dialect,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  options: DialectOptions,
): ModelRequest {
  let chat: ModelRequest | undefined;
  const previous = request.body['previous_response_id'];
  const address = typeof previous === 'string' ? readResponseId(previous) : undefined;
  return {
    ...request,
    spoken: {
      api: dialect.api,
      headers: Object.fromEntries(
        headersOfApi[dialect.api].flatMap((name) => {
          const value = headers[name];
          return value === undefined ? [] : [[name, String(value)]];
        }),
      ),
      toChat: () => (chat ??= translated(dialect, request, options)),
      again: (other) => spokenIn(dialect, other, headers, options),
      ...(address === undefined ? {} : { onlyAt: address.deploymentId }),
    },
  };
}

/** @throws Refusal 400. */
function translated(dialect: Dialect, request: ModelRequest, options: DialectOptions): ModelRequest {
  const body = dialect.toChat(request.body, options);
  return { ...request, body, bytes: Buffer.from(JSON.stringify(body)), translated: true };
}
