/** The life of a request on one page: who asks, what for, who answers, and how it ends. */
import type { Admission, Estimator, Reservation } from '../domain/admission.ts';
import type { Ending, Reached } from '../domain/answer.ts';
import { ClientGone, Refusal, UpstreamError } from '../domain/errors.ts';
import type { Mock } from '../domain/mock.ts';
import type { Caller, ModelRequest } from '../domain/request.ts';
import type { SpendEvent, SpendIntent } from '../domain/spend.ts';
import { requireModel, underRules } from './authenticate.ts';
import { withMaxOutput } from './estimate.ts';
import { NotReached } from './not-reached.ts';
import { type CachedReachDependencies, reachCached } from './reach-cached.ts';
import { intentOf, Settlement } from './settlement.ts';

export interface ServeDependencies extends CachedReachDependencies {
  readonly admission: Admission;
  readonly estimate: Estimator;
  /** Whether keys that are no administrator's may use test hooks. */
  readonly clientsMayMock: boolean;
  /** Whether as much can be written down as there may be; while it cannot, each request asks by `onBegin`. */
  readonly hasRoom: () => boolean;
  /** Writes down what a provider may bill from here on. @throws Refusal 503, as its promise does, when that cannot be done. */
  readonly onBegin: (intent: SpendIntent) => Promise<void> | undefined;
  /** Takes the spend row; must not block and must not throw. That of a stream is written down by then. */
  readonly onSettled: (event: SpendEvent) => void;
  /** Resolves when all rows are written down that were taken so far; undefined = they are. Never rejects. */
  readonly whenWritten: () => Promise<void> | undefined;
}

/** nginx's number for "the client left first"; no client sees it. */
const statusWithoutAnswer = 499;

/** An answer on its way to the client. Whoever writes it settles it, before the last byte leaves. */
export interface Served extends Reached {
  readonly settlement: Settlement;
  readonly reservation: Reservation;
}

/**
 * @param deadlineMs on the clock of `now`; the signal fires then too, and when the client leaves.
 * @throws Refusal, or the signal's reason, before any upstream is called; then nothing stays set aside. NotReached after
 * everything was tried.
 */
export async function serve(
  asked: ModelRequest,
  caller: Caller,
  deadlineMs: number,
  signal: AbortSignal,
  dependencies: ServeDependencies,
): Promise<Served> {
  const request = underRules(asked, caller);
  const group = permit(request, caller, dependencies);
  const admitted = dependencies.admission.admit(request, caller, group, dependencies.estimate, signal);
  // Nearly always from memory, and then a promise would only cost.
  const reservation = admitted instanceof Promise ? await admitted : admitted;
  const { maxOutputTokens } = reservation;
  const allowed = maxOutputTokens === undefined ? request : withMaxOutput(request, maxOutputTokens);
  // Nobody bills an answer that is here already, so nothing has to be written down before it.
  const recalled = dependencies.hasRoom() ? dependencies.cache?.recall({ request: allowed, caller, group }) : undefined;
  const intent = intentOf(request, caller, reservation);
  if (recalled === undefined) {
    try {
      const begun = dependencies.onBegin(intent);
      if (begun !== undefined) await begun;
    } catch (error) {
      reservation.settle(0, 0);
      throw error;
    }
  }
  try {
    const reached = recalled ?? (await reachCached(allowed, caller, group, deadlineMs, signal, dependencies));
    const firstByteMs = reached.answer.kind === 'stream' ? Math.max(0, Date.now() - request.startedAtMs) : undefined;
    const facts = { request, intent, reservation, ...reached, firstByteMs };
    return { ...reached, settlement: new Settlement(facts, dependencies.onSettled), reservation };
  } catch (error) {
    if (!(error instanceof NotReached)) {
      // A fault of the gateway: nobody knows what was used, but nothing may stay set aside, and what began must end.
      const facts = { request, intent, reservation, deployment: undefined, attempts: 0, fallbacks: 0 };
      new Settlement(facts, dependencies.onSettled).settle('broken', 500, undefined);
      throw error;
    }
    const { last, deployment, attempts, fallbacks, mayBeBilled } = error;
    const facts = { request, intent, reservation, deployment, attempts, fallbacks };
    const settlement = new Settlement(facts, dependencies.onSettled);
    const status = isNo(last) ? last.status : statusWithoutAnswer;
    settlement.settle(endingOf(last), status, undefined, mayBeBilled);
    throw error;
  }
}

/** The upstream's, or that of an adapter which cannot express the request. */
const isNo = (last: Error): last is UpstreamError | Refusal => last instanceof UpstreamError || last instanceof Refusal;

const endingOf = (last: Error): Ending => (isNo(last) ? 'failed' : last instanceof ClientGone ? 'abandoned' : 'broken');

/** What the caller may ask for at all. @returns the model group to start with. */
function permit(request: ModelRequest, caller: Caller, { router, clientsMayMock }: ServeDependencies): string {
  if (request.mock !== undefined && !clientsMayMock && !mayMock(request.mock, caller)) throw mayNotMock();
  const group = router.directory.resolve(request.model);
  for (const model of [request.model, ...(request.overrides.fallbacks?.map((fallback) => fallback.model) ?? [])]) {
    requireModel(caller, model);
  }
  if (group === undefined) {
    throw new Refusal({
      status: 400,
      type: 'invalid_request_error',
      message: `Invalid model name passed in model=${request.model.slice(0, 100)}. GET /v1/models lists the names`,
      param: 'model',
    });
  }
  return group;
}

/** Answers may be pretended to a key that says so (`allow_client_mock_response`); failures of whole groups not. */
const mayMock = ({ groupFails, firstAttempt, everyAttempt }: Mock, caller: Caller): boolean =>
  caller.role === 'admin' ||
  (caller.mayMock === true && groupFails === undefined && firstAttempt === undefined && everyAttempt?.is === 'answer');

/** With them a client could have fallbacks answer that its key does not name, or wait for nothing for hours. */
const mayNotMock = (): Refusal =>
  new Refusal({
    status: 403,
    type: 'auth_error',
    message:
      'Test hooks (mock_response, mock_timeout, mock_testing_*) are for administrators; general_settings.dangerously_allow_mock_testing_request_params opens them to every key, allow_client_mock_response in the metadata of a key opens mock_response to it',
  });
