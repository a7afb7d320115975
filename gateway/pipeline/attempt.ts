/** One try at one deployment: map, send, map back. Every failure leaves as an `UpstreamError` or the signal's reason. */
import type { Answer } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { ProviderAdapter, UpstreamCall } from '../providers/adapter.ts';
import { AnswerStream } from '../providers/answer-stream.ts';
import type { Reply, Transport } from '../providers/transport.ts';
import { transportError } from '../providers/transport-error.ts';

export async function attempt(
  request: ModelRequest,
  deployment: Deployment,
  adapter: ProviderAdapter,
  transport: Transport,
  sign: (call: UpstreamCall, deployment: Deployment) => Promise<UpstreamCall>,
  signal: AbortSignal,
): Promise<Answer> {
  const seconds = request.stream ? deployment.streamTimeoutSeconds : deployment.timeoutSeconds;
  const timers = { firstByteMs: seconds * 1000, idleMs: seconds * 1000, wholeMs: seconds * 1000 };
  // Outside the try: a request that cannot be mapped is the client's fault and says nothing about the deployment.
  const mapped = adapter.toUpstream(request, deployment);
  const call = deployment.aws === undefined ? mapped : await sign(mapped, deployment);
  let reply: Reply;
  try {
    reply = await transport.send(call, timers, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : transportError(asError(error), deployment);
  }
  if (reply.kind === 'stream') {
    const chunks = new AnswerStream(reply.stream, adapter.decoder(request, deployment), deployment);
    try {
      await chunks.ready(seconds * 1000);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
    return { kind: 'stream', contentType: eventStreamType(reply.stream.contentType), chunks };
  }
  const { response } = reply;
  if (response.status >= 300) throw adapter.classify(response, deployment);
  const { body, usage } = adapter.toReply(response, request, deployment);
  return { kind: 'whole', status: response.status, contentType: response.contentType, body, usage };
}

/** Whatever the provider's stream was, the client gets server-sent events. */
const eventStreamType = (contentType: string): string =>
  contentType.startsWith('text/event-stream') ? contentType : 'text/event-stream; charset=utf-8';

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
