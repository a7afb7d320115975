/** Answers that a provider keeps: read, cancelled or deleted at the deployment that made them. Nothing is kept here. */
import { Refusal } from '../domain/errors.ts';
import type { Caller } from '../domain/request.ts';
import { readResponseId } from '../domain/response-id.ts';
import type { KeptQuestion } from '../providers/adapter.ts';
import { transportError } from '../providers/transport-error.ts';
import { mayUseGroup } from './may-use-group.ts';
import type { ReachDependencies } from './reach.ts';

export type { KeptQuestion };

export interface KeptAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** Nothing is generated, so a provider that takes longer has a problem. */
const longestWaitMs = 60_000;

/**
 * @param id as the client knows it.
 * @throws Refusal for an id that was not made here, or by a deployment that is gone or not the caller's; UpstreamError.
 */
export async function askAboutAnswer(
  question: KeptQuestion,
  id: string,
  caller: Caller,
  signal: AbortSignal,
  { router, adapterFor, transport }: Pick<ReachDependencies, 'router' | 'adapterFor' | 'transport'>,
): Promise<KeptAnswer> {
  const address = readResponseId(id);
  const deployment = [...router.directory.all()].find((one) => one.id === address?.deploymentId);
  const adapter = deployment === undefined ? undefined : adapterFor(deployment.provider);
  const kept = deployment?.speaks?.includes('responses') === true ? adapter?.native?.responses?.kept : undefined;
  if (
    address === undefined ||
    deployment === undefined ||
    adapter === undefined ||
    kept === undefined ||
    !mayUseGroup(caller, deployment.modelGroup, router.directory)
  ) {
    throw notKept(id);
  }
  const timers = { firstByteMs: longestWaitMs, idleMs: longestWaitMs, wholeMs: longestWaitMs };
  const reply = await transport
    .send(kept.toUpstream(question, address.id, deployment), timers, signal)
    .catch((error: unknown) => {
      throw signal.aborted || !(error instanceof Error) ? error : transportError(error, deployment);
    });
  if (reply.kind === 'stream') {
    const refusal = invalid('stream', 'An answer that is kept cannot be streamed again here; read it without stream');
    reply.stream.abort(refusal);
    throw refusal;
  }
  const { response } = reply;
  if (response.status >= 300) throw adapter.classify(response, deployment);
  const { status, contentType, body } = response;
  return { status, contentType, body: kept.toClient(body, deployment) };
}

/** Also for somebody else's, so that nobody learns that it exists. */
const notKept = (id: string): Refusal =>
  new Refusal({
    status: 404,
    type: 'invalid_request_error',
    param: 'response_id',
    message: `Response with id '${id.slice(0, 200)}' not found. The gateway keeps no answers; a provider keeps those that it answered in its own Responses API`,
  });

const invalid = (param: string, message: string): Refusal =>
  new Refusal({ status: 400, type: 'invalid_request_error', param, message });
