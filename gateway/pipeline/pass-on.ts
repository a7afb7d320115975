/** A request of a pass-through path: sent on, and told about exactly once when it is over. */
import type { Readable } from 'node:stream';
import type { Admission, Estimate, Reservation } from '../domain/admission.ts';
import type { Ending } from '../domain/answer.ts';
import { ClientGone, Refusal, UpstreamError } from '../domain/errors.ts';
import type { PassedPrices, PassThroughEndpoint } from '../domain/pass-through.ts';
import type { Caller } from '../domain/request.ts';
import type { SpendEvent, SpendIntent } from '../domain/spend.ts';
import { costMicros as costOf } from '../pricing/cost.ts';
import { usageColumns } from '../pricing/usage-detail.ts';
import { type PassedUsage, PassedUsageReader } from '../providers/passed-usage.ts';
import { Relay, type RelaySink } from '../providers/relay.ts';
import type { Transport } from '../providers/transport.ts';
import { transportError } from '../providers/transport-error.ts';
import { mayUseModel } from './authenticate.ts';

export type { RelaySink };

export interface PassOnRequest {
  readonly id: string;
  readonly callId: string;
  readonly endpoint: PassThroughEndpoint;
  /** Undefined where no key is needed. */
  readonly caller: Caller | undefined;
  /** Undefined without a caller. */
  readonly reservation: Reservation | undefined;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Readable | null;
  /** Wall clock, milliseconds. */
  readonly startedAtMs: number;
}

export interface PassOnDependencies {
  readonly admission: Admission;
  readonly transport: Transport;
  readonly passedPrices: PassedPrices;
  /** Writes down what a provider may bill from here on. @throws Refusal 503, as its promise does, when that cannot be done. */
  readonly onBegin: (intent: SpendIntent) => Promise<void> | undefined;
  /** Takes the spend row, which is written down when this returns; must not block and must not throw. */
  readonly onSettled: (event: SpendEvent) => void;
}

/** nginx's number for "the client left first"; no client sees it. */
const statusWithoutAnswer = 499;

/** @throws Refusal 403 unless the caller may use the whole API of the provider. */
export function admitToProvider(endpoint: PassThroughEndpoint, caller: Caller): void {
  const provider = endpoint.providerRoute?.provider;
  if (provider === undefined || mayUseModel(caller, `${provider}/*`)) return;
  throw new Refusal({
    status: 403,
    type: 'key_model_access_denied',
    message: `This key may not use the whole API of ${provider}. It needs the right to "${provider}/*"; it may use: ${caller.models.join(', ')}`,
  });
}

/**
 * Sets aside what the request costs, where that is known; what binds the caller binds it here, too.
 * @throws Refusal, or the signal's reason.
 */
export function reserve(
  endpoint: PassThroughEndpoint,
  caller: Caller,
  signal: AbortSignal,
  { admission }: PassOnDependencies,
): Reservation | Promise<Reservation> {
  const estimate = (): Estimate => ({
    micros: endpoint.costMicros === undefined ? undefined : Number(endpoint.costMicros),
    tokens: 0,
  });
  return admission.admit({ model: endpoint.path }, caller, endpoint.path, estimate, signal);
}

/** What is written down of a request before it is sent on. */
export const passOnIntent = ({
  endpoint,
  caller,
  reservation,
  ...request
}: Omit<PassOnRequest, 'method' | 'path' | 'headers' | 'body'>): SpendIntent => ({
  requestId: request.id,
  callId: request.callId,
  keyHash: caller?.keyHash ?? withoutKey,
  ...(caller?.keyId === undefined ? undefined : { keyId: caller.keyId }),
  ...(caller?.teamId === undefined ? undefined : { teamId: caller.teamId }),
  ...(caller?.userId === undefined ? undefined : { userId: caller.userId }),
  ...(caller?.organizationId === undefined ? undefined : { organizationId: caller.organizationId }),
  operation: 'pass-through',
  requestedModel: endpoint.path,
  modelGroup: endpoint.path,
  stream: false,
  startedAtMs: request.startedAtMs,
  reservedMicros: endpoint.costMicros === undefined ? null : Number(endpoint.costMicros),
  accounts: reservation?.accounts ?? [],
});

/** @param sink is told of failures as `UpstreamError`, `Refusal` or the signal's reason. */
export function passOn(
  request: PassOnRequest,
  signal: AbortSignal,
  sink: RelaySink,
  { transport, passedPrices, onSettled }: PassOnDependencies,
  intent: SpendIntent,
): Relay {
  const { endpoint } = request;
  let status: number | undefined;
  let stream = false;
  const { provider, deploymentId = null } = endpoint.providerRoute ?? {};
  const reader = provider === undefined ? undefined : PassedUsageReader.for(request.method, request.path);
  const settle = (ending: Ending, shown: number, mayBeBilled: boolean, used?: PassedUsage): void => {
    const billed = { atMs: request.startedAtMs };
    const prices = provider === undefined || used === undefined ? undefined : passedPrices(provider, used.model);
    const costMicros = mayBeBilled ? (endpoint.costMicros ?? costOf(used?.usage, prices, billed)) : 0n;
    const tokens = used === undefined ? 0 : used.usage.promptTokens + used.usage.completionTokens;
    request.reservation?.settle(costMicros === null ? null : Number(costMicros), tokens);
    onSettled({
      ...intent,
      deploymentId,
      provider: provider ?? null,
      model: used?.model ?? null,
      status: shown,
      ending,
      stream,
      ...usageColumns(used?.usage, billed),
      costMicros,
      attempts: 1,
      fallbacks: 0,
      durationMs: Math.max(0, Date.now() - request.startedAtMs),
    });
  };
  const { method, path, body } = request;
  // What is read beside the client must come as it is.
  const { 'accept-encoding': _, ...plain } = request.headers;
  const headers = reader === undefined ? request.headers : plain;
  const call = { origin: endpoint.origin, path, method, headers, body, timeoutMs: endpoint.timeoutSeconds * 1000 };
  return Relay.start(transport, call, signal, {
    head(answered, answerHeaders) {
      status = answered;
      stream = answerHeaders['content-type']?.startsWith('text/event-stream') === true;
      if (answered < 300) reader?.head(answerHeaders);
      sink.head(answered, answerHeaders);
    },
    data(bytes) {
      reader?.data(bytes);
      return sink.data(bytes);
    },
    end() {
      const refused = (status ?? 0) >= 400;
      settle(refused ? 'failed' : 'finished', status ?? statusWithoutAnswer, !refused, reader?.end());
      sink.end();
    },
    error(error) {
      const known = signal.aborted || error instanceof Refusal ? error : transportError(error, providerOf(endpoint));
      const ending = known instanceof ClientGone ? 'abandoned' : status === undefined ? 'failed' : 'broken';
      const shown = known instanceof UpstreamError || known instanceof Refusal ? known.status : statusWithoutAnswer;
      settle(ending, status ?? shown, known instanceof UpstreamError ? known.mayBeBilled : !(known instanceof Refusal));
      sink.error(known);
    },
  });
}

/** Stands in rows where the hash of a key would. */
const withoutKey = 'without a key';

const providerOf = ({ path, providerRoute }: PassThroughEndpoint): { provider: string } => ({
  provider: providerRoute?.provider ?? path.slice(1),
});
