/** How many tokens a prompt has, asked of a provider that says so for nothing: no admission, no spend row, no retry. */
import { UpstreamError } from '../domain/errors.ts';
import type { Caller, ModelRequest } from '../domain/request.ts';
import { isObject, parseJson } from '../providers/json.ts';
import { nativeOf } from './attempt.ts';
import { requireModel, underRules } from './authenticate.ts';
import { estimatePromptTokens } from './prompt-tokens.ts';
import type { ReachDependencies } from './reach.ts';
import { upstreamFailure } from './upstream-failure.ts';

/** Nothing is generated; whoever takes longer is worse than an estimate. */
const longestWaitMs = 10_000;
const timers = { firstByteMs: longestWaitMs, idleMs: longestWaitMs, wholeMs: longestWaitMs };

/**
 * @returns the provider's own answer; undefined when no deployment of the group counts, or none that does answered.
 * @throws Refusal 403 for a model that is not the caller's; UpstreamError for a prompt that the provider refuses.
 */
export async function countAtProvider(
  asked: ModelRequest,
  caller: Caller,
  signal: AbortSignal,
  { router, adapterFor, transport }: Pick<ReachDependencies, 'router' | 'adapterFor' | 'transport'>,
): Promise<Buffer | undefined> {
  const request = underRules(asked, caller);
  const group = router.directory.resolve(request.model);
  if (group === undefined) return undefined;
  requireModel(caller, request.model);
  const { allowedRegions: regions } = request.overrides;
  const chosen = router.choose(group, new Set(), {
    tags: request.tags,
    stream: false,
    promptTokens: estimatePromptTokens(request),
    ...(regions === undefined ? {} : { regions }),
    accepts: (one) =>
      one.mock === undefined && nativeOf(request, one, adapterFor(one.provider))?.countSuffix !== undefined,
  });
  if (chosen === undefined) return undefined;
  // A count says nothing about answers, so it is no probe of a deployment that cools.
  router.withdraw(chosen);
  const deployment = router.directory.concrete(chosen, request.model);
  const adapter = adapterFor(deployment.provider);
  const native = nativeOf(request, deployment, adapter);
  if (native?.countSuffix === undefined) return undefined;
  const call = native.toUpstream(request, deployment);
  try {
    const reply = await transport.send({ ...call, path: call.path + native.countSuffix }, timers, signal);
    if (reply.kind === 'stream') {
      reply.stream.abort(new Error('a count is no stream'));
      return undefined;
    }
    if (reply.response.status >= 300) throw upstreamFailure(reply.response, adapter, deployment);
    return isCount(reply.response.body) ? reply.response.body : undefined;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // What it says about the prompt is the answer; that it has no time or no key for us is not.
    if (error instanceof UpstreamError && error.kind === 'bad-request') throw error;
    return undefined;
  }
}

function isCount(body: Buffer): boolean {
  const answer = parseJson(body.toString());
  return isObject(answer) && Number.isSafeInteger(answer['input_tokens']);
}
