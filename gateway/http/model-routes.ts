/** The routes that reach a model. Thin: parse, serve, write. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { ClientGone, DeadlineExceeded, Refusal } from '../domain/errors.ts';
import { type Operation, operationNames, specOf } from '../domain/operation.ts';
import type { Caller } from '../domain/request.ts';
import { readRequest } from '../pipeline/read-request.ts';
import { type ServeDependencies, serve } from '../pipeline/serve.ts';
import type { Logger } from '../telemetry/log.ts';
import { toErrorAnswer } from './error-envelope.ts';
import type { InFlight } from './in-flight.ts';
import { writeAnswer } from './write-answer.ts';

export interface ModelRouteOptions {
  readonly serve: ServeDependencies;
  readonly inFlight: InFlight;
  readonly requestTimeoutSeconds: number;
  readonly isLeaving: () => boolean;
  readonly newId: () => string;
  readonly logger: Logger;
}

export function registerModelRoutes(app: FastifyInstance, options: ModelRouteOptions): void {
  for (const operation of operationNames) {
    const { path: suffix } = specOf(operation);
    for (const path of [`/v1${suffix}`, suffix]) {
      app.post<{ Body: Buffer | undefined }>(path, (request, reply) => {
        // From here on the bytes are ours: Fastify's reply pipeline would cost as much as all the rest.
        reply.hijack();
        void handle(operation, request.raw, reply.raw, request.body, request.caller, options);
      });
    }
  }
}

async function handle(
  operation: Operation,
  incoming: IncomingMessage,
  response: ServerResponse,
  body: Buffer | undefined,
  caller: Caller,
  options: ModelRouteOptions,
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  let callId: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const onClose = (): void => {
    if (!response.writableFinished) controller.abort(new ClientGone());
  };
  const done = (): void => {
    clearTimeout(timer);
    response.removeListener('close', onClose);
    options.inFlight.leave(controller);
  };
  options.inFlight.enter(controller);
  response.on('close', onClose);
  try {
    if (body === undefined) {
      throw new Refusal({
        status: 400,
        type: 'invalid_request_error',
        message: 'The body is empty; send a JSON object',
      });
    }
    const request = readRequest(operation, body, headersOf(incoming), options.newId, Date.now());
    callId = request.callId;
    const seconds = request.overrides.timeoutSeconds ?? options.requestTimeoutSeconds;
    timer = setTimeout(() => controller.abort(new DeadlineExceeded(seconds)), seconds * 1000);
    const deadlineMs = options.serve.now() + seconds * 1000;
    const served = await serve(request, caller, deadlineMs, signal, options.serve);
    writeAnswer(response, served, {
      leaving: options.isLeaving(),
      signal,
      onDone: done,
      onBroken: ({ kind, status, retryAfterSeconds }) =>
        options.serve.router.record(served.deployment, { kind, status, retryAfterSeconds, afterSuccess: true }),
    });
  } catch (error) {
    writeError(response, error, callId, options);
    done();
  }
}

function writeError(
  response: ServerResponse,
  error: unknown,
  callId: string | undefined,
  options: ModelRouteOptions,
): void {
  const answer = toErrorAnswer(error);
  if (answer.status === 500 && error instanceof Error && error.name !== 'UpstreamError') {
    options.logger.error({ err: error, callId }, 'a request failed by a fault of the gateway');
  }
  if (response.destroyed) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
    ...(callId === undefined ? {} : { 'x-litellm-call-id': callId }),
    ...(options.isLeaving() ? { connection: 'close' } : {}),
  });
  response.end(answer.body);
}

const headersOf = (incoming: IncomingMessage) => ({
  callId: single(incoming.headers['x-litellm-call-id']),
  timeout: single(incoming.headers['x-litellm-timeout']),
  numRetries: single(incoming.headers['x-litellm-num-retries']),
  tags: single(incoming.headers['x-litellm-tags']),
  contentType: incoming.headers['content-type'],
});

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
