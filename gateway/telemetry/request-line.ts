/** The one log line of a request, in the form of pino's lines; printed by hand, since pino would take four times as long. */
import type { SpendEvent } from '../domain/spend.ts';

/** What a person looks for when a request went wrong; the spend row has the rest. */
export function requestLine(event: SpendEvent, atMs: number, pid: number): string {
  const call = event.callId === event.requestId ? '' : `,"call":${quoted(event.callId)}`;
  const cache = event.cacheHit === undefined ? '' : event.cacheHit ? ',"cache":"hit"' : ',"cache":"miss"';
  const deployment = event.deploymentId === null ? 'null' : quoted(event.deploymentId);
  return (
    `{"level":"info","time":${atMs},"pid":${pid},"id":"${event.requestId}"${call},"key":"${event.keyHash.slice(0, 12)}"` +
    `,"model":${quoted(event.requestedModel)},"deployment":${deployment},"status":${event.status}` +
    `,"ending":"${event.ending}"${cache},"attempts":${event.attempts},"ms":${event.durationMs},"msg":"request"}\n`
  );
}

const needsNoEscape = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

const quoted = (text: string): string => (needsNoEscape.test(text) ? `"${text}"` : JSON.stringify(text));
