/** One try at one deployment: map, send, map back. Every failure leaves as an `UpstreamError` or the signal's reason. */
import type { Answer } from '../domain/answer.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { NativeAdapter, ProviderAdapter, UpstreamCall, UpstreamHeaders } from '../providers/adapter.ts';
import { AnswerStream } from '../providers/answer-stream.ts';
import { ModelStamp, stampWhole } from '../providers/model-stamp.ts';
import { passedHeaders } from '../providers/passed-headers.ts';
import type { Reply, Transport } from '../providers/transport.ts';
import { transportError } from '../providers/transport-error.ts';
import { sendBatches } from './batches.ts';
import { upstreamFailure } from './upstream-failure.ts';

/** Proves who calls. @throws UpstreamError without credentials, or the signal's reason. */
export type SignCall = (call: UpstreamCall, deployment: Deployment, signal: AbortSignal) => Promise<UpstreamCall>;

export interface AttemptOptions {
  readonly adapter: ProviderAdapter;
  readonly transport: Transport;
  readonly sign: SignCall;
  /** Written into the answer instead of the provider's name for its model; undefined = that stays. */
  readonly answerAs: string | undefined;
  readonly signal: AbortSignal;
  readonly stopwatch: Stopwatch;
}

/** Adds up what a request spends in waiting. */
export interface Stopwatch {
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  waitedMs: number;
}

export async function attempt(
  request: ModelRequest,
  deployment: Deployment,
  { adapter, transport, sign, answerAs, signal, stopwatch }: AttemptOptions,
): Promise<Answer> {
  const seconds = attemptSeconds(request, deployment);
  // Of a stream, the wait for its first chunk and the silence inside it have timers of their own, which know a chunk.
  const idleSeconds = request.stream ? Math.max(seconds, deployment.streamIdleSeconds) : seconds;
  const timers = { firstByteMs: seconds * 1000, idleMs: idleSeconds * 1000, wholeMs: seconds * 1000 };
  // Outside the try: a request that cannot be mapped is the client's fault and says nothing about the deployment.
  const native = nativeOf(request, deployment, adapter);
  const speaker = native ?? adapter;
  const asked = native === undefined ? (request.spoken?.toChat() ?? request) : request;
  // What is passed on natively stays as the provider wrote it.
  const name = native === undefined ? answerAs : undefined;
  const batches = native === undefined ? adapter.inBatches?.(asked, deployment) : undefined;
  if (batches !== undefined) {
    const send = async (call: UpstreamCall, either: AbortSignal): Promise<Reply> =>
      transport.send(deployment.aws === undefined ? call : await sign(call, deployment, either), timers, either);
    const sentAtMs = stopwatch.now();
    const answer = await sendBatches(batches, deployment, adapter, send, timers.wholeMs, signal);
    stopwatch.waitedMs += stopwatch.now() - sentAtMs;
    return name === undefined || answer.kind === 'stream' ? answer : { ...answer, body: stampWhole(answer.body, name) };
  }
  const mapped = speaker.toUpstream(asked, deployment);
  const call = deployment.aws === undefined ? mapped : await sign(mapped, deployment, signal);
  const sentAtMs = stopwatch.now();
  let reply: Reply;
  let chunks: AnswerStream | undefined;
  try {
    reply = await transport.send(call, timers, signal);
    if (reply.kind === 'stream') {
      const stamp = name === undefined ? undefined : new ModelStamp(name);
      chunks = new AnswerStream(reply.stream, speaker.decoder(asked, deployment), deployment, stamp);
      await chunks.ready(seconds * 1000);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : transportError(asError(error), deployment);
  } finally {
    stopwatch.waitedMs += stopwatch.now() - sentAtMs;
  }
  if (reply.kind === 'stream') {
    if (chunks === undefined) throw new Error('a stream without chunks');
    const contentType = eventStreamType(reply.stream.contentType);
    return { kind: 'stream', contentType, chunks, ...passedOn(reply.stream.headers), ...(native && { native: true }) };
  }
  const { response } = reply;
  if (response.status >= 300) throw upstreamFailure(response, adapter, deployment);
  const { body, usage, heardMs, model } = speaker.toReply(response, asked, deployment);
  return {
    kind: 'whole',
    status: response.status,
    contentType: response.contentType,
    body: name === undefined ? body : stampWhole(body, name, model),
    usage,
    ...(heardMs !== undefined && { heardMs }),
    ...passedOn(response.headers),
    ...(native && { native: true }),
  };
}

/** Time for a whole answer, or to the first chunk of a stream. */
export const attemptSeconds = ({ stream, overrides }: ModelRequest, deployment: Deployment): number =>
  stream ? (overrides.streamTimeoutSeconds ?? deployment.streamTimeoutSeconds) : deployment.timeoutSeconds;

/** The deployment's own endpoint for the client's API, if the client speaks one that the deployment speaks, too. */
export function nativeOf(
  { spoken }: Pick<ModelRequest, 'spoken'>,
  deployment: Deployment,
  adapter: ProviderAdapter,
): NativeAdapter | undefined {
  if (spoken === undefined || deployment.speaks?.includes(spoken.api) !== true) return undefined;
  return adapter.native?.[spoken.api];
}

function passedOn(headers: UpstreamHeaders): Pick<Answer, 'upstreamHeaders'> {
  const upstreamHeaders = passedHeaders(headers);
  return upstreamHeaders === undefined ? {} : { upstreamHeaders };
}

/** Whatever the provider's stream was, the client gets server-sent events. */
const eventStreamType = (contentType: string): string =>
  contentType.startsWith('text/event-stream') ? contentType : 'text/event-stream; charset=utf-8';

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
