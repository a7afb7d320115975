/** The routes that reach a model. Thin: parse, serve, write. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { asIs } from '../dialects/as-is.ts';
import { completionsDialect } from '../dialects/completions/completions.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { messagesDialect } from '../dialects/messages/messages.ts';
import { responsesDialect } from '../dialects/responses/responses.ts';
import { ClientGone, DeadlineExceeded, Refusal } from '../domain/errors.ts';
import { type Operation, operationNames, specOf } from '../domain/operation.ts';
import type { Caller } from '../domain/request.ts';
import { NotReached } from '../pipeline/not-reached.ts';
import { readRequest } from '../pipeline/read-request.ts';
import { type ServeDependencies, type Served, serve } from '../pipeline/serve.ts';
import type { Logger } from '../telemetry/log.ts';
import { failureHeaders } from './answer-headers.ts';
import type { DirectWay, TakeRequest } from './direct-way.ts';
import { toErrorAnswer } from './error-envelope.ts';
import type { InFlight } from './in-flight.ts';
import { requestHeaders } from './request-headers.ts';
import { spokenIn } from './spoken-request.ts';
import { relayStream, sendWhole, settleWhole, type WriteOptions } from './write-answer.ts';

export interface ModelRouteOptions {
  readonly serve: ServeDependencies;
  readonly inFlight: InFlight;
  readonly requestTimeoutSeconds: number;
  readonly isLeaving: () => boolean;
  readonly newId: () => string;
  /** Leave out what cannot be translated from a client's API, where the conversation keeps its meaning without it. */
  readonly dropParams: boolean;
  readonly logger: Logger;
}

/** Other APIs than chat completions: passed on to providers that speak them, else answered from chat completions. */
const dialects: Readonly<Record<string, Dialect>> = {
  '/messages': messagesDialect,
  '/responses': responsesDialect,
  '/completions': completionsDialect,
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the clients of this route speak, when it is not OpenAI's chat format. */
    dialect?: Dialect;
  }
}

export function registerModelRoutes(app: FastifyInstance, options: ModelRouteOptions, direct: DirectWay): void {
  const register = (suffix: string, operation: Operation, dialect?: Dialect): void => {
    for (const path of [`/v1${suffix}`, suffix]) {
      // A pass-through path of the operator's may have taken it over.
      if (app.hasRoute({ method: 'POST', url: path })) continue;
      const take: TakeRequest = (incoming, response, body, caller) =>
        void handle(operation, dialect, incoming, response, body, caller, options);
      direct.add(path, take);
      app.post<{ Body: Buffer | undefined }>(
        path,
        { config: dialect === undefined ? {} : { dialect } },
        (request, reply) => {
          // From here on the bytes are ours: Fastify's reply pipeline would cost as much as all the rest.
          reply.hijack();
          take(request.raw, reply.raw, request.body, request.caller);
        },
      );
    }
  };
  for (const operation of operationNames) register(specOf(operation).path, operation);
  for (const [suffix, dialect] of Object.entries(dialects)) register(suffix, 'chat', dialect);
}

async function handle(
  operation: Operation,
  dialect: Dialect | undefined,
  incoming: IncomingMessage,
  response: ServerResponse,
  body: Buffer | undefined,
  caller: Caller,
  options: ModelRouteOptions,
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const startedAtMs = options.serve.now();
  let callId: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let served: Served | undefined;
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
    const headers = requestHeaders(incoming);
    const read = readRequest(operation, given(body), headers, options.newId, Date.now(), dialect !== undefined);
    const request = dialect === undefined ? read : spokenIn(dialect, read, incoming.headers, options);
    callId = request.callId;
    const seconds = request.overrides.timeoutSeconds ?? options.requestTimeoutSeconds;
    timer = setTimeout(() => controller.abort(new DeadlineExceeded(seconds)), seconds * 1000);
    const deadlineMs = options.serve.now() + seconds * 1000;
    served = await serve(request, caller, deadlineMs, signal, options.serve);
    const { deployment, answer, cache } = served;
    const writing: WriteOptions = {
      isLeaving: options.isLeaving,
      elapsedMs: () => options.serve.now() - startedAtMs,
      signal,
      dialect:
        dialect === undefined
          ? undefined
          : { dialect: answer.native === true ? asIs(dialect) : dialect, body: request.body },
      onDone: done,
      onBroken: ({ kind, status, retryAfterSeconds }) => {
        // Of several requests that share a call, one tells.
        if (cache?.isHit() === true) return;
        options.serve.router.record(deployment, { kind, status, retryAfterSeconds, afterSuccess: true });
      },
    };
    if (answer.kind === 'stream') {
      relayStream(response, served, answer, writing);
      return;
    }
    const settled = settleWhole(served, answer, writing.dialect);
    const written = options.serve.whenWritten();
    if (written !== undefined) await written;
    sendWhole(response, served, answer, settled, writing);
  } catch (error) {
    if (served !== undefined) giveUp(served, error);
    await options.serve.whenWritten();
    writeError(response, error, callId, dialect, options);
    done();
  }
}

/** An answer that could not be written: its upstream is let go, and what it cost is recorded all the same. */
function giveUp({ answer, settlement }: Served, error: unknown): void {
  if (answer.kind === 'whole') {
    settlement.settle('broken', 500, answer);
    return;
  }
  settlement.settleStream('broken', 500, answer.chunks);
  answer.chunks.abort(error instanceof Error ? error : new Error(String(error)));
}

function writeError(
  response: ServerResponse,
  thrown: unknown,
  callId: string | undefined,
  dialect: Dialect | undefined,
  options: ModelRouteOptions,
): void {
  const error = thrown instanceof NotReached ? thrown.last : thrown;
  const answer = toErrorAnswer(error, dialect);
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
    ...(thrown instanceof NotReached ? failureHeaders(thrown) : {}),
    ...(options.isLeaving() ? { connection: 'close' } : {}),
  });
  response.end(answer.body);
}

function given(body: Buffer | undefined): Buffer {
  if (body !== undefined) return body;
  throw new Refusal({ status: 400, type: 'invalid_request_error', message: 'The body is empty; send a JSON object' });
}
