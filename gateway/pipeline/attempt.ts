/** One try at one deployment: map, send, map back. Every failure leaves as an `UpstreamError` or the signal's reason. */
import type { Answer } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { NativeAdapter, ProviderAdapter, UpstreamCall } from '../providers/adapter.ts';
import { AnswerStream } from '../providers/answer-stream.ts';
import type { Reply, Transport } from '../providers/transport.ts';
import { transportError } from '../providers/transport-error.ts';
import { sendBatches } from './batches.ts';

/** Proves who calls. @throws UpstreamError without credentials, or the signal's reason. */
export type SignCall = (call: UpstreamCall, deployment: Deployment, signal: AbortSignal) => Promise<UpstreamCall>;

export async function attempt(
  request: ModelRequest,
  deployment: Deployment,
  adapter: ProviderAdapter,
  transport: Transport,
  sign: SignCall,
  signal: AbortSignal,
): Promise<Answer> {
  const seconds = request.stream ? deployment.streamTimeoutSeconds : deployment.timeoutSeconds;
  // Of a stream, the wait for its first chunk and the silence inside it have timers of their own, which know a chunk.
  const idleSeconds = request.stream ? Math.max(seconds, deployment.streamIdleSeconds) : seconds;
  const timers = { firstByteMs: seconds * 1000, idleMs: idleSeconds * 1000, wholeMs: seconds * 1000 };
  // Outside the try: a request that cannot be mapped is the client's fault and says nothing about the deployment.
  const native = nativeOf(request, deployment, adapter);
  const speaker = native ?? adapter;
  const asked = native === undefined ? (request.spoken?.toChat() ?? request) : request;
  const batches = native === undefined ? adapter.inBatches?.(asked, deployment) : undefined;
  if (batches !== undefined) {
    const send = async (call: UpstreamCall, either: AbortSignal): Promise<Reply> =>
      transport.send(deployment.aws === undefined ? call : await sign(call, deployment, either), timers, either);
    return sendBatches(batches, deployment, adapter, send, timers.wholeMs, signal);
  }
  const mapped = speaker.toUpstream(asked, deployment);
  const call = deployment.aws === undefined ? mapped : await sign(mapped, deployment, signal);
  let reply: Reply;
  try {
    reply = await transport.send(call, timers, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : transportError(asError(error), deployment);
  }
  if (reply.kind === 'stream') {
    const chunks = new AnswerStream(reply.stream, speaker.decoder(asked, deployment), deployment);
    try {
      await chunks.ready(seconds * 1000);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
    return {
      kind: 'stream',
      contentType: eventStreamType(reply.stream.contentType),
      chunks,
      ...(native && { native: true }),
    };
  }
  const { response } = reply;
  if (response.status >= 300) throw adapter.classify(response, deployment);
  const { body, usage } = speaker.toReply(response, asked, deployment);
  const { status, contentType } = response;
  return { kind: 'whole', status, contentType, body, usage, ...(native && { native: true }) };
}

/** The deployment's own endpoint for the client's API, if the client speaks one that the deployment speaks, too. */
export function nativeOf(
  { spoken }: Pick<ModelRequest, 'spoken'>,
  deployment: Deployment,
  adapter: ProviderAdapter,
): NativeAdapter | undefined {
  if (spoken === undefined || deployment.speaks?.includes(spoken.api) !== true) return undefined;
  return adapter.native?.[spoken.api];
}

/** Whatever the provider's stream was, the client gets server-sent events. */
const eventStreamType = (contentType: string): string =>
  contentType.startsWith('text/event-stream') ? contentType : 'text/event-stream; charset=utf-8';

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
