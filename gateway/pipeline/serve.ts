/** The life of a request on one page: who asks, what for, who answers, and how it ends. */
import type { Ending, Reached } from '../domain/answer.ts';
import { ClientGone, Refusal, UpstreamError } from '../domain/errors.ts';
import type { Caller, ModelRequest } from '../domain/request.ts';
import type { SpendEvent } from '../domain/spend.ts';
import { mayUseModel } from './authenticate.ts';
import { NotReached, type ReachDependencies, reach } from './reach.ts';
import { Settlement } from './settlement.ts';

export interface ServeDependencies extends ReachDependencies {
  /** Takes the spend row; must not block and must not throw. */
  readonly onSettled: (event: SpendEvent) => void;
}

/** nginx's number for "the client left first"; no client sees it. */
const statusWithoutAnswer = 499;

/** An answer on its way to the client. Whoever writes it settles it, before the last byte leaves. */
export interface Served extends Reached {
  readonly settlement: Settlement;
}

/**
 * @param deadlineMs on the clock of `now`; the signal fires then too, and when the client leaves.
 * @throws Refusal before any upstream is called; UpstreamError, or the signal's reason, after everything was tried.
 */
export async function serve(
  request: ModelRequest,
  caller: Caller,
  deadlineMs: number,
  signal: AbortSignal,
  dependencies: ServeDependencies,
): Promise<Served> {
  const group = admit(request, caller, dependencies);
  try {
    const reached = await reach(request, group, deadlineMs, signal, dependencies);
    return { ...reached, settlement: new Settlement({ request, caller, ...reached }, dependencies.onSettled) };
  } catch (error) {
    if (!(error instanceof NotReached)) throw error;
    const { last, deployment, attempts, fallbacks } = error;
    const settlement = new Settlement({ request, caller, deployment, attempts, fallbacks }, dependencies.onSettled);
    const status = isNo(last) ? last.status : statusWithoutAnswer;
    const mayBeBilled = last instanceof UpstreamError ? last.mayBeBilled : !isNo(last);
    settlement.settle(endingOf(last), status, undefined, mayBeBilled);
    throw last;
  }
}

/** The upstream's, or that of an adapter which cannot express the request. */
const isNo = (last: Error): last is UpstreamError | Refusal => last instanceof UpstreamError || last instanceof Refusal;

/** An upstream that said no bills nothing; one that was left in the middle may bill what it had done. */
const endingOf = (last: Error): Ending => (isNo(last) ? 'failed' : last instanceof ClientGone ? 'abandoned' : 'broken');

/** What must hold before anything is spent. @returns the model group to start with. */
function admit(request: ModelRequest, caller: Caller, { router }: ServeDependencies): string {
  const group = router.directory.resolve(request.model);
  for (const model of [request.model, ...(request.overrides.fallbacks ?? [])]) {
    if (!mayUseModel(caller, model)) {
      throw new Refusal({
        status: 403,
        type: 'key_model_access_denied',
        message: `This key may not use the model "${model.slice(0, 100)}". It may use: ${caller.models.join(', ')}`,
        param: 'model',
      });
    }
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
