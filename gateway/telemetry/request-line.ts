/** The one log line of a request. */
import type { SpendEvent } from '../domain/spend.ts';

/** What a person looks for when a request went wrong; the spend row has the rest. */
export const toRequestLine = (event: SpendEvent) => ({
  id: event.requestId,
  call: event.callId === event.requestId ? undefined : event.callId,
  key: event.keyHash.slice(0, 12),
  model: event.requestedModel,
  deployment: event.deploymentId,
  status: event.status,
  ending: event.ending,
  cache: event.cacheHit === undefined ? undefined : event.cacheHit ? 'hit' : 'miss',
  attempts: event.attempts,
  ms: event.durationMs,
});
