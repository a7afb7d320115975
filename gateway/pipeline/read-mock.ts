/** LiteLLM's test hooks in a request's body. */
import type { Mock } from '../domain/mock.ts';
import type { JsonObject } from '../domain/request.ts';

/** @returns undefined for a request that pretends nothing, as nearly all do: a few look-ups and no allocation. */
export function readMock(body: JsonObject): Mock | undefined {
  const content = body['mock_response'] ?? undefined;
  const groupFails =
    body['mock_testing_fallbacks'] === true
      ? 'unavailable'
      : body['mock_testing_context_fallbacks'] === true || body['mock_testing_context_window_fallbacks'] === true
        ? 'context-window'
        : body['mock_testing_content_policy_fallbacks'] === true
          ? 'content-policy'
          : undefined;
  const isLimited = body['mock_testing_rate_limit_error'] === true;
  const timesOut = body['mock_timeout'] === true;
  if (content === undefined && groupFails === undefined && !isLimited && !timesOut) return undefined;
  return {
    ...(groupFails === undefined ? {} : { groupFails }),
    ...(isLimited ? { firstAttempt: { is: 'rate-limit' } } : {}),
    ...(timesOut
      ? { everyAttempt: { is: 'timeout' } }
      : content === undefined
        ? {}
        : { everyAttempt: { is: 'answer', content } }),
  };
}
