/** A request that its provider takes only in several calls: a few at once, all or nothing. */
import type { Answer } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';
import type { Batches, ProviderAdapter, UpstreamCall, UpstreamResponse } from '../providers/adapter.ts';
import { present } from '../providers/json.ts';
import { AnswerTimeout, type Reply } from '../providers/transport.ts';
import { transportError } from '../providers/transport-error.ts';
import { upstreamFailure } from './upstream-failure.ts';

/** More would be a flood in the name of one request. */
const mostAtOnce = 8;

/**
 * @param send one call; ends with the signal it is given.
 * @param wholeMs for all of them together.
 * @throws UpstreamError of the first call that fails, which ends the others; or the signal's reason.
 */
export async function sendBatches(
  batches: Batches,
  deployment: Deployment,
  adapter: ProviderAdapter,
  send: (call: UpstreamCall, signal: AbortSignal) => Promise<Reply>,
  wholeMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new AnswerTimeout(wholeMs)), wholeMs);
  const either = AbortSignal.any([signal, stop.signal]);
  const calls = batches.calls.entries();
  const responses: UpstreamResponse[] = [];
  const sendUntilDone = async (): Promise<void> => {
    // They all take from the same iterator.
    for (const [index, call] of calls) responses[index] = await complete(call);
  };
  const complete = async (call: UpstreamCall): Promise<UpstreamResponse> => {
    const reply = await send(call, either);
    if (reply.kind === 'stream') {
      const error = transportError(new Error('a stream came where an answer was asked for'), deployment);
      reply.stream.abort(error);
      throw error;
    }
    if (reply.response.status >= 300) throw upstreamFailure(reply.response, adapter, deployment);
    return reply.response;
  };
  try {
    await Promise.all(Array.from({ length: Math.min(mostAtOnce, batches.calls.length) }, sendUntilDone));
    const { body, usage } = batches.toReply(responses);
    return { kind: 'whole', status: 200, contentType: 'application/json', body, usage };
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const error = transportError(cause instanceof Error ? cause : new Error(String(cause)), deployment);
    stop.abort(error);
    throw responses.length > 0 ? billed(error) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Those that were answered cost something. */
function billed(error: UpstreamError): UpstreamError {
  const { kind, status, provider, message, retryAfterSeconds, retryAdvised, type, param, code } = error;
  const advice = present({ retryAfterSeconds, retryAdvised, type, param, code });
  const again = new UpstreamError({ kind, status, provider, message, mayBeBilled: true, cause: error, ...advice });
  again.upstreamHeaders = error.upstreamHeaders;
  return again;
}
