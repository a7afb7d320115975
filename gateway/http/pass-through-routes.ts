/** Paths whose requests are sent on as they are. Thin: who asks, where to, and the pieces both ways. */
import type { ServerResponse } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Reservation } from '../domain/admission.ts';
import { ClientGone, Refusal } from '../domain/errors.ts';
import type { PassThroughEndpoint } from '../domain/pass-through.ts';
import type { SpendIntent } from '../domain/spend.ts';
import { authenticate } from '../pipeline/authenticate.ts';
import {
  admitToProvider,
  type PassOnDependencies,
  passOn,
  passOnIntent,
  type RelaySink,
  reserve,
} from '../pipeline/pass-on.ts';
import { headersForClient, headersForTarget, pathAtTarget } from '../pipeline/pass-through.ts';
import { type AuthenticationOptions, requireRoute } from './authentication.ts';
import { toErrorAnswer } from './error-envelope.ts';
import type { InFlight } from './in-flight.ts';
import { keysOfGateway, readPassThroughKey } from './pass-through-key.ts';

export interface PassThroughRouteOptions extends PassOnDependencies {
  readonly endpoints: readonly PassThroughEndpoint[];
  readonly authentication: AuthenticationOptions;
  readonly inFlight: InFlight;
  readonly isLeaving: () => boolean;
  readonly newId: () => string;
  readonly maxRequestBytes: number;
}

const longestCallId = 200;
/** A client that takes nothing for so long while data is waiting is given up; the target must not wait for it. */
const stalledClientMs = 60_000;

/** Register in a context of its own: here bodies stay streams. */
export function registerPassThroughRoutes(app: FastifyInstance, options: PassThroughRouteOptions): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  for (const endpoint of options.endpoints) {
    const urls = endpoint.includeSubpath ? [endpoint.path, `${endpoint.path}/*`] : [endpoint.path];
    for (const url of urls) {
      app.route({
        method: [...endpoint.methods],
        url,
        handler: (request, reply) => handle(endpoint, request, reply, options),
      });
    }
  }
}

/** @throws Refusal before anything is sent; afterwards whatever happens is told in the answer. */
async function handle(
  endpoint: PassThroughEndpoint,
  request: FastifyRequest,
  reply: FastifyReply,
  options: PassThroughRouteOptions,
): Promise<void> {
  const { headers, method, raw } = request;
  const url = raw.url ?? '/';
  const { authentication } = options;
  const key = readPassThroughKey(headers, url, endpoint);
  const caller = endpoint.needsKey
    ? (authentication.anonymous ??
      (await authenticate(key, authentication.masterKeyHash, authentication.directory, Date.now())))
    : undefined;
  if (caller !== undefined) {
    requireRoute(caller, request.routeOptions.url ?? endpoint.path, ['llm_api_routes']);
    admitToProvider(endpoint, caller);
  }
  const keys = await keysOfGateway(headers, caller === undefined ? undefined : key, endpoint, authentication);
  const path = pathAtTarget(url, endpoint, keys);
  const body = bodyOf(raw, options.maxRequestBytes);
  const startedAtMs = Date.now();
  const id = options.newId();
  const stated = headers['x-litellm-call-id'];
  const callId = (typeof stated === 'string' ? stated.slice(0, longestCallId) : '') || id;

  const response = reply.raw;
  const controller = new AbortController();
  const onClose = (): void => {
    if (!response.writableFinished) controller.abort(new ClientGone());
  };
  const done = (): void => {
    response.removeListener('close', onClose);
    options.inFlight.leave(controller);
  };
  options.inFlight.enter(controller);
  response.on('close', onClose);
  let reservation: Reservation | undefined;
  let intent: SpendIntent;
  try {
    if (caller !== undefined) reservation = await reserve(endpoint, caller, controller.signal, options);
    intent = passOnIntent({ id, callId, endpoint, caller, reservation, startedAtMs });
    await options.onBegin(intent);
  } catch (error) {
    reservation?.settle(0, 0);
    done();
    throw error;
  }
  reply.hijack();
  const sink = writerOf(response, callId, options, {
    caughtUp: () => relay.resume(),
    stalled: () => controller.abort(new ClientGone()),
    done,
  });
  const sent = { id, callId, endpoint, caller, reservation, method, path, body, startedAtMs };
  const relay = passOn(
    { ...sent, headers: headersForTarget(headers, endpoint, keys) },
    controller.signal,
    sink,
    options,
    intent,
  );
  // The client may have left while its key was checked.
  if (response.destroyed) controller.abort(new ClientGone());
}

interface WriterEvents {
  readonly caughtUp: () => void;
  readonly stalled: () => void;
  readonly done: () => void;
}

/** Writes the answer as it arrives. An answer that breaks off ends its connection: it must not look complete. */
function writerOf(
  response: ServerResponse,
  callId: string,
  { isLeaving }: PassThroughRouteOptions,
  { caughtUp, stalled, done }: WriterEvents,
): RelaySink {
  let timer: NodeJS.Timeout | undefined;
  const onDrain = (): void => {
    clearTimeout(timer);
    timer = undefined;
    caughtUp();
  };
  response.on('drain', onDrain);
  const finish = (): void => {
    clearTimeout(timer);
    response.removeListener('drain', onDrain);
    done();
  };
  const own = () => ({ 'x-litellm-call-id': callId, ...(isLeaving() ? { connection: 'close' } : {}) });
  return {
    head: (status, headers) => {
      response.writeHead(status, { ...headersForClient(headers), ...own() });
      // The first bytes of a stream may be long in coming.
      response.flushHeaders();
    },
    data(bytes) {
      if (response.write(bytes)) return true;
      timer ??= setTimeout(stalled, stalledClientMs);
      return false;
    },
    end() {
      response.end();
      finish();
    },
    error(error) {
      if (response.headersSent || response.destroyed) {
        response.destroy();
      } else {
        const answer = toErrorAnswer(error);
        // What the client still sends of its body will not be read.
        response.writeHead(answer.status, { ...answer.headers, ...own(), connection: 'close' });
        response.end(answer.body);
      }
      finish();
    },
  };
}

/** @throws Refusal 413 for a body that says that it is too long; one that does not say so ends when it is. */
function bodyOf(incoming: FastifyRequest['raw'], limitBytes: number): Readable | null {
  const length = incoming.headers['content-length'];
  if (Number(length ?? 0) > limitBytes) throw tooLarge(limitBytes);
  if (length !== undefined) return length === '0' ? null : incoming;
  if (incoming.headers['transfer-encoding'] === undefined) return null;
  let taken = 0;
  const limited = new Transform({
    transform(piece: Buffer, _encoding, passed) {
      taken += piece.length;
      if (taken > limitBytes) passed(tooLarge(limitBytes));
      else passed(null, piece);
    },
  });
  incoming.on('error', (error) => limited.destroy(error));
  return incoming.pipe(limited);
}

const tooLarge = (limitBytes: number): Refusal =>
  new Refusal({
    status: 413,
    type: 'invalid_request_error',
    message: `The body is larger than ${limitBytes} bytes; general_settings.max_request_size_mb sets the limit`,
  });
