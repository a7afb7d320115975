import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ClientGone, type UpstreamError } from '../../../gateway/domain/errors.ts';
import { sendBatches } from '../../../gateway/pipeline/batches.ts';
import type { Batches, UpstreamCall, UpstreamResponse } from '../../../gateway/providers/adapter.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import type { Reply } from '../../../gateway/providers/transport.ts';
import { exampleDeployment } from '../examples.ts';

const deployment = exampleDeployment('d');
const callOf = (index: number): UpstreamCall => ({
  origin: 'http://x',
  path: `/${index}`,
  headers: {},
  body: Buffer.alloc(0),
});
const indexOf = ({ path }: UpstreamCall): number => Number(path.slice(1));
const answer = (body: string, status = 200): Reply => ({
  kind: 'whole',
  response: { status, contentType: 'application/json', headers: {}, body: Buffer.from(body) },
});
/** Never answered; ends with the signal. */
const silence = (signal: AbortSignal): Promise<Reply> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

function run(
  count: number,
  send: (call: UpstreamCall, signal: AbortSignal) => Promise<Reply>,
  { wholeMs = 5_000, signal = new AbortController().signal } = {},
) {
  const batches: Batches = {
    calls: Array.from({ length: count }, (_, index) => callOf(index)),
    toReply: (responses: readonly UpstreamResponse[]) => ({
      body: Buffer.from(responses.map(({ body }) => body.toString()).join(' ')),
      usage: { promptTokens: responses.length, completionTokens: 0 },
    }),
  };
  return sendBatches(batches, deployment, openAIAdapter, send, wholeMs, signal);
}

describe('several calls for one request', () => {
  it('answers become one in the order of the calls, however they arrive; eight are under way at most', async () => {
    let underWay = 0;
    let most = 0;
    const whole = await run(40, async (call) => {
      most = Math.max(most, ++underWay);
      await sleep((indexOf(call) * 7) % 5);
      underWay--;
      return answer(String(indexOf(call)));
    });
    expect(whole).toMatchObject({ kind: 'whole', status: 200, usage: { promptTokens: 40 } });
    if (whole.kind === 'whole')
      expect(whole.body.toString()).toBe(Array.from({ length: 40 }, (_, index) => index).join(' '));
    expect(most).toBe(8);
  });

  it('the first failure is the request’s; it ends the others, and none is begun after it', async () => {
    const signals: AbortSignal[] = [];
    const failed = run(40, (call, signal) => {
      signals.push(signal);
      return indexOf(call) === 3
        ? Promise.resolve(answer('{"error":{"message":"slow down","code":"rate_limit_exceeded"}}', 429))
        : silence(signal);
    });
    await expect(failed).rejects.toMatchObject({
      kind: 'rate-limit',
      status: 429,
      code: 'rate_limit_exceeded',
      mayBeBilled: false,
    });
    expect(signals).toHaveLength(8);
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });

  it('a failure after others were answered may be billed, and keeps what it says', async () => {
    const failed = run(20, async (call) => answer('{"error":{"message":"no"}}', indexOf(call) < 15 ? 200 : 503));
    await expect(failed).rejects.toMatchObject({ kind: 'unavailable', status: 503, message: 'no', mayBeBilled: true });
  });

  it('the time is for all of them together', async () => {
    const startedAt = performance.now();
    const failed: Promise<UpstreamError> = run(
      100,
      async (call, signal) => {
        await sleep(40, undefined, { signal }).catch(() => Promise.reject(signal.reason));
        return answer(String(indexOf(call)));
      },
      { wholeMs: 100 },
    ).then(
      () => {
        throw new Error('it was complete');
      },
      (error) => error,
    );
    expect(await failed).toMatchObject({ kind: 'timeout', status: 408, mayBeBilled: true });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('a client that leaves ends all of them, with its own reason', async () => {
    const client = new AbortController();
    const ended: boolean[] = [];
    const gone = run(
      20,
      (_call, signal) => {
        signal.addEventListener('abort', () => ended.push(true));
        return silence(signal);
      },
      { signal: client.signal },
    );
    client.abort(new ClientGone());
    await expect(gone).rejects.toBeInstanceOf(ClientGone);
    expect(ended).toHaveLength(8);
  });
});
