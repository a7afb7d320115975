/** Writes an answer to the client and settles it: before the last byte, and exactly once, however it ends. */
import type { ServerResponse } from 'node:http';
import type { Dialect } from '../dialects/dialect.ts';
import type { StreamAnswer, WholeAnswer } from '../domain/answer.ts';
import { ClientGone, UpstreamError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/request.ts';
import type { Served } from '../pipeline/serve.ts';
import { answerHeaders } from './answer-headers.ts';
import { toErrorEvent } from './error-envelope.ts';

export interface WriteOptions {
  /** Then the client is asked to open its next connection elsewhere. */
  readonly isLeaving: () => boolean;
  /** Since the request was taken up. */
  readonly elapsedMs: () => number;
  readonly signal: AbortSignal;
  /** The client's format, when it is not OpenAI's, and the client's own body. */
  readonly dialect: SpokenDialect | undefined;
  /** Called once, when nothing more will be written. */
  readonly onDone: () => void;
  /** A stream that breaks after its first chunk is a failure of its deployment. */
  readonly onBroken: (error: UpstreamError) => void;
}

export interface SpokenDialect {
  readonly dialect: Dialect;
  readonly body: JsonObject;
}

/** A client that takes nothing for so long while data is waiting is given up; the upstream must not wait for it. */
const stalledClientMs = 60_000;

/** A whole answer that is settled. It may leave when its row is written down. */
export interface SettledAnswer {
  readonly body: Buffer;
  /** Millionths of a US dollar; null = unknown. */
  readonly costMicros: bigint | null;
}

/** @throws UpstreamError for an answer that cannot be put into the client's words; it is settled, since it was paid for. */
export function settleWhole(served: Served, answer: WholeAnswer, spoken: SpokenDialect | undefined): SettledAnswer {
  const body = inClientsWords(served, answer, spoken);
  const cost = served.settlement.settle('finished', answer.status, answer, answer.mocked !== true);
  return { body, costMicros: cost ?? null };
}

export function sendWhole(
  response: ServerResponse,
  served: Served,
  answer: WholeAnswer,
  { body, costMicros }: SettledAnswer,
  options: WriteOptions,
): void {
  const headers = answerHeaders(served, options.elapsedMs());
  if (options.isLeaving()) headers.push('connection', 'close');
  headers.push('content-type', answer.contentType, 'content-length', body.length);
  if (costMicros !== null) headers.push('x-litellm-response-cost', String(Number(costMicros) / 1e6));
  response.writeHead(answer.status, headers);
  // Node joins a text to the head and writes both at once; Latin-1 gives each byte back as it was.
  if (body.length <= longestJoined) response.end(body.toString('latin1'), 'latin1');
  else response.end(body);
  options.onDone();
}

/** Node copies a longer text to the heap before it writes it. */
const longestJoined = 12 * 1024;

/** @throws UpstreamError */
function inClientsWords(served: Served, answer: WholeAnswer, spoken: SpokenDialect | undefined): Buffer {
  if (spoken === undefined) return answer.body;
  try {
    return spoken.dialect.fromReply(answer.body, spoken.body);
  } catch (cause) {
    served.settlement.settle('broken', 502, answer, answer.mocked !== true);
    const { provider } = served.deployment;
    throw new UpstreamError({
      kind: 'unavailable',
      status: 502,
      provider,
      message: 'the answer is not a chat completion',
      cause,
    });
  }
}

export function relayStream(
  response: ServerResponse,
  served: Served,
  answer: StreamAnswer,
  options: WriteOptions,
): void {
  const { chunks } = answer;
  const encoder = options.dialect?.dialect.encoder(options.dialect.body);
  const { settlement } = served;
  const mayBeBilled = answer.mocked !== true;
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
  const headers = answerHeaders(served, options.elapsedMs());
  if (options.isLeaving()) headers.push('connection', 'close');
  const contentType = encoder === undefined ? answer.contentType : 'text/event-stream; charset=utf-8';
  headers.push('content-type', contentType, 'cache-control', 'no-cache');
  // nginx would collect the chunks otherwise.
  headers.push('x-accel-buffering', 'no');
  response.writeHead(200, headers);
  chunks.start({
    chunk(canonical) {
      const bytes = encoder?.push(canonical) ?? canonical;
      if (over || bytes.length === 0 || response.write(bytes) || stalled !== undefined) return;
      chunks.pause();
      stalled = setTimeout(() => {
        settlement.settleStream('abandoned', 200, chunks, mayBeBilled);
        chunks.abort(new ClientGone());
        response.destroy();
        finish();
      }, stalledClientMs);
    },
    finishing() {
      // Before the client sees the last of it: a process that is killed then has written down what it cost.
      settlement.settleStream('finished', 200, chunks);
    },
    finished() {
      settlement.settleStream('finished', 200, chunks, mayBeBilled);
      response.end(encoder?.end());
      finish();
    },
    broken(error) {
      const cause: unknown = options.signal.aborted ? options.signal.reason : error;
      if (cause instanceof ClientGone) {
        settlement.settleStream('abandoned', 200, chunks, mayBeBilled);
      } else {
        settlement.settleStream('broken', 200, chunks, mayBeBilled);
        if (cause instanceof UpstreamError && mayBeBilled) options.onBroken(cause);
        response.end(toErrorEvent(cause, encoder));
      }
      finish();
    },
  });
}
