/**
 * A provider that misbehaves in every known way, and keeps books of its own: what it was asked, and what it would bill.
 *
 *     const upstream = await faultUpstream();
 *     upstream.misbehave({ is: 'reset', atByte: 40 }, 2);   // the next two requests
 *     expect(upstream.ledger.costMicros).toBe(...);
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import {
  chatAnswer,
  type ServedAnswer,
  sendJson,
  startUpstream,
  type Upstream,
  type UpstreamRequest,
} from '../../runbooks/lab/upstream.ts';

export type UpstreamFault =
  /** An error page of something that stands in between; status 200 if not given. */
  | { readonly is: 'html'; readonly status?: number }
  /** Its own error format. */
  | { readonly is: 'status'; readonly status: number; readonly code?: string; readonly retryAfter?: string }
  /** Status 200, and an error in the body. */
  | { readonly is: 'error-in-200' }
  /** Status 200 and not one byte, properly ended. */
  | { readonly is: 'empty' }
  /** JSON, or a stream, that properly ends in the middle. */
  | { readonly is: 'cut-short' }
  /** The right answer and more behind it. */
  | { readonly is: 'trailing-garbage' }
  /** A stream with an event that is no JSON after so many good ones. */
  | { readonly is: 'broken-event'; readonly afterEvents: number }
  /** A stream with an error event after so many good ones. */
  | { readonly is: 'error-event'; readonly afterEvents: number }
  /** Takes the request and says nothing, for ever. */
  | { readonly is: 'silent' }
  /** Headers and, for a stream, so many events; then nothing, for ever. */
  | { readonly is: 'stall'; readonly afterEvents: number }
  /** Right, but late. */
  | { readonly is: 'slow-headers'; readonly ms: number }
  /** Right, but in pieces of so many bytes with a pause between them. */
  | { readonly is: 'slow-body'; readonly pieceBytes: number; readonly everyMs: number }
  /** The connection is reset when so many bytes of the body are out; -1 = before the status line. */
  | { readonly is: 'reset'; readonly atByte: number }
  /** Words without end, until the client leaves. */
  | { readonly is: 'endless'; readonly everyMs: number }
  /** The right form, with a text of so many bytes. */
  | { readonly is: 'huge'; readonly bytes: number }
  /** Announces so many bytes more (or, below 0, fewer) than come. */
  | { readonly is: 'wrong-length'; readonly by: number };

export interface LedgerEntry extends ServedAnswer {
  /** What was done to this answer; undefined = nothing. */
  readonly fault: UpstreamFault['is'] | undefined;
}

/** What a bill at the end of the month would say. Answers that are errors cost nothing, all others what was made. */
export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  readonly calls: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** By the prices given. */
  readonly costMicros: bigint;
}

export interface FaultUpstream extends Upstream {
  /** For the next `times` requests (all, if not given), after those that were ordered before. Undefined = behave. */
  misbehave(fault: UpstreamFault | undefined, times?: number): void;
  readonly ledger: Ledger;
}

export interface FaultUpstreamOptions {
  readonly name?: string;
  readonly chunkEveryMs?: number;
  /** Millionths of a dollar for each token. */
  readonly promptTokenMicros?: number;
  readonly completionTokenMicros?: number;
  /** Wins over `misbehave`: for tests whose requests, sent at once, name their own fault. */
  readonly faultOf?: (request: UpstreamRequest) => UpstreamFault | undefined;
}

/** Ends with the test that calls it; called outside of one (in `beforeAll`), the caller closes it. */
export async function faultUpstream(options: FaultUpstreamOptions = {}): Promise<FaultUpstream> {
  const { name = 'a faulty upstream', promptTokenMicros = 1, completionTokenMicros = 2 } = options;
  const entries: LedgerEntry[] = [];
  const orders: { readonly fault: UpstreamFault | undefined; left: number }[] = [];
  const next = (): UpstreamFault | undefined => {
    const order = orders[0];
    if (order !== undefined && --order.left <= 0) orders.shift();
    return order?.fault;
  };
  const upstream = await startUpstream({
    name,
    ...(options.chunkEveryMs === undefined ? {} : { chunkEveryMs: options.chunkEveryMs }),
    onServed: (served) => entries.push({ ...served, fault: undefined }),
    intercept: async (request, response) => {
      const fault = options.faultOf?.(request) ?? next();
      if (fault === undefined) return false;
      const billed = await commit(fault, request, response, name);
      entries.push({ request, fault: fault.is, ...billed });
      return true;
    },
  });
  const faulty: FaultUpstream = {
    ...upstream,
    misbehave: (fault, times = Number.POSITIVE_INFINITY) => {
      // An order without an end gives way to the one after it.
      if (orders.at(-1)?.left === Number.POSITIVE_INFINITY) orders.pop();
      orders.push({ fault, left: times });
    },
    get ledger(): Ledger {
      const promptTokens = entries.reduce((sum, entry) => sum + entry.promptTokens, 0);
      const completionTokens = entries.reduce((sum, entry) => sum + entry.completionTokens, 0);
      const costMicros = BigInt(
        Math.round(promptTokens * promptTokenMicros + completionTokens * completionTokenMicros),
      );
      return { entries, calls: upstream.requests.length, promptTokens, completionTokens, costMicros };
    },
  };
  try {
    onTestFinished(() => faulty.close());
  } catch (error) {
    // Vitest throws when no test runs: then a hook called, and its own counterpart closes.
    if (!(error instanceof Error) || !error.message.includes('onTestFinished')) throw error;
  }
  return faulty;
}

type Bill = Pick<ServedAnswer, 'promptTokens' | 'completionTokens' | 'complete'>;
const nothing: Bill = { promptTokens: 0, completionTokens: 0, complete: true };

/** Does what was ordered. Resolves when the answer is over, however that came about. */
async function commit(
  fault: UpstreamFault,
  request: UpstreamRequest,
  response: ServerResponse,
  name: string,
): Promise<Bill> {
  const answer = chatAnswer(request, name);
  const isStream = request.body['stream'] === true;
  const { promptTokens } = answer;
  const good = Buffer.from(isStream ? answer.events.join('') : JSON.stringify(answer.whole));
  const type = isStream ? 'text/event-stream; charset=utf-8' : 'application/json';
  const billed = { promptTokens, completionTokens: answer.completionTokens, complete: true };
  /** For what was broken off after so many words. */
  const broken = (words: number): Bill => ({
    promptTokens,
    completionTokens: Math.max(0, Math.min(words, answer.completionTokens)),
    complete: false,
  });
  const head = (headers: Readonly<Record<string, string>> = {}): void =>
    void response.writeHead(200, { 'content-type': type, ...headers });
  switch (fault.is) {
    case 'html':
      response.writeHead(fault.status ?? 200, { 'content-type': 'text/html' });
      response.end('<html><body><h1>Bad gateway</h1></body></html>');
      return nothing;
    case 'status':
      sendJson(
        response,
        fault.status,
        { error: { message: `as ordered: ${fault.status}`, type: 'error', param: null, code: fault.code ?? null } },
        fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter },
      );
      return nothing;
    case 'error-in-200':
      sendJson(response, 200, { error: { message: 'overloaded', type: 'server_error', param: null, code: null } });
      return nothing;
    case 'empty':
      head();
      response.end();
      return nothing;
    case 'cut-short':
      head();
      response.end(good.subarray(0, good.length / 2));
      return broken(answer.completionTokens);
    case 'trailing-garbage':
      head();
      response.end(Buffer.concat([good, Buffer.from('}{ garbage \u0000\n\n')]));
      return billed;
    case 'broken-event':
      head();
      for (const event of answer.events.slice(0, fault.afterEvents)) response.write(event);
      response.end('data: {"choices":[{"index":0,"del\n\ndata: [DONE]\n\n');
      return broken(fault.afterEvents - 1);
    case 'error-event':
      head();
      for (const event of answer.events.slice(0, fault.afterEvents)) response.write(event);
      response.end('data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n');
      return broken(fault.afterEvents - 1);
    case 'silent':
      await closed(response);
      return broken(0);
    case 'stall':
      head();
      response.flushHeaders();
      if (isStream) for (const event of answer.events.slice(0, fault.afterEvents)) response.write(event);
      await closed(response);
      return broken(fault.afterEvents - 1);
    case 'slow-headers':
      await sleep(fault.ms, undefined, { ref: false });
      if (response.destroyed) return broken(0);
      head();
      response.end(good);
      return billed;
    case 'slow-body': {
      head();
      for (let at = 0; at < good.length && !response.destroyed; at += fault.pieceBytes) {
        response.write(good.subarray(at, at + fault.pieceBytes));
        await sleep(fault.everyMs, undefined, { ref: false });
      }
      response.end();
      return { ...billed, complete: !response.destroyed };
    }
    case 'reset':
      if (fault.atByte >= 0) {
        head();
        await new Promise<void>((written) => void response.write(good.subarray(0, fault.atByte), () => written()));
      }
      response.socket?.resetAndDestroy();
      return broken(answer.completionTokens);
    case 'endless': {
      head();
      let words = 0;
      const event = answer.events[1] ?? '';
      while (!response.destroyed) {
        words++;
        if (!response.write(isStream ? event : ' ')) await Promise.race([drained(response), closed(response)]);
        await sleep(fault.everyMs, undefined, { ref: false });
      }
      return { promptTokens, completionTokens: words, complete: false };
    }
    case 'huge': {
      const text = 'x'.repeat(fault.bytes);
      head();
      response.end(
        isStream
          ? [
              ...answer.events.slice(0, 1),
              (answer.events[1] ?? '').replace('This', text),
              ...answer.events.slice(2),
            ].join('')
          : good.toString().replace('This is', text),
      );
      return billed;
    }
    case 'wrong-length':
      head({ 'content-length': String(good.length + fault.by) });
      response.end(good);
      return billed;
  }
}

const closed = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (response.destroyed) resolve();
    else response.once('close', () => resolve());
  });

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    response.once('drain', () => resolve());
  });
