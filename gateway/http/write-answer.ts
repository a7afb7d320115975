/** Writes an answer to the client and settles it: before the last byte, and exactly once, however it ends. */
import type { ServerResponse } from 'node:http';
import type { StreamAnswer } from '../domain/answer.ts';
import { ClientGone, UpstreamError } from '../domain/errors.ts';
import type { Served } from '../pipeline/serve.ts';
import { costMicros } from '../pipeline/settlement.ts';
import { toErrorEvent } from './error-envelope.ts';

export interface WriteOptions {
  /** True while the gateway leaves: the client is asked to open its next connection elsewhere. */
  readonly leaving: boolean;
  readonly signal: AbortSignal;
  /** Called once, when nothing more will be written. */
  readonly onDone: () => void;
  /** A stream that breaks after its first chunk is a failure of its deployment. */
  readonly onBroken: (error: UpstreamError) => void;
}

/** A client that takes nothing for so long while data is waiting is given up; the upstream must not wait for it. */
const stalledClientMs = 60_000;

export function writeAnswer(response: ServerResponse, served: Served, options: WriteOptions): void {
  const { answer, settlement } = served;
  if (answer.kind === 'stream') {
    relay(response, served, answer, options);
    return;
  }
  settlement.settle('finished', answer.status, answer.usage);
  const cost = costMicros(answer.usage, served.deployment.prices);
  response.writeHead(answer.status, {
    ...headersOf(served, options),
    'content-type': answer.contentType,
    'content-length': answer.body.length,
    ...(cost === null ? {} : { 'x-litellm-response-cost': String(Number(cost) / 1e6) }),
  });
  response.end(answer.body);
  options.onDone();
}

function relay(response: ServerResponse, served: Served, answer: StreamAnswer, options: WriteOptions): void {
  const { chunks } = answer;
  const { settlement } = served;
  let stalled: NodeJS.Timeout | undefined;
  let over = false;
  const finish = (): void => {
    over = true;
    clearTimeout(stalled);
    response.removeListener('drain', onDrain);
    options.onDone();
  };
  const onDrain = (): void => {
    clearTimeout(stalled);
    stalled = undefined;
    chunks.resume();
  };
  response.on('drain', onDrain);
  response.writeHead(200, {
    ...headersOf(served, options),
    'content-type': answer.contentType,
    'cache-control': 'no-cache',
    // nginx would collect the chunks otherwise.
    'x-accel-buffering': 'no',
  });
  chunks.start({
    chunk(bytes) {
      if (over || response.write(bytes) || stalled !== undefined) return;
      chunks.pause();
      stalled = setTimeout(() => {
        settlement.settle('abandoned', 200, chunks.usage());
        chunks.abort(new ClientGone());
        response.destroy();
        finish();
      }, stalledClientMs);
    },
    finished() {
      settlement.settle('finished', 200, chunks.usage());
      response.end();
      finish();
    },
    broken(error) {
      const cause: unknown = options.signal.aborted ? options.signal.reason : error;
      if (cause instanceof ClientGone) {
        settlement.settle('abandoned', 200, chunks.usage());
      } else {
        settlement.settle('broken', 200, chunks.usage());
        if (cause instanceof UpstreamError) options.onBroken(cause);
        response.end(toErrorEvent(cause));
      }
      finish();
    },
  });
}

function headersOf(served: Served, options: WriteOptions): Record<string, string | number> {
  const { deployment, attempts, fallbacks } = served;
  const { request } = served.settlement.facts;
  return {
    'x-litellm-call-id': request.callId,
    'x-litellm-model-id': deployment.id,
    'x-litellm-model-group': deployment.modelGroup,
    'x-litellm-model-api-base': `${deployment.origin}${deployment.basePath}`,
    'x-litellm-attempted-retries': Math.max(0, attempts - 1 - fallbacks),
    'x-litellm-attempted-fallbacks': fallbacks,
    'x-litellm-response-duration-ms': Date.now() - request.startedAtMs,
    ...(options.leaving ? { connection: 'close' } : {}),
  };
}
