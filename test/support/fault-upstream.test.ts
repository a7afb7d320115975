import { beforeEach, describe, expect, it } from 'vitest';
import { type FaultUpstream, faultUpstream, type UpstreamFault } from './fault-upstream.ts';
import { until } from './processes.ts';

let upstream: FaultUpstream;
beforeEach(async () => {
  upstream = await faultUpstream({ promptTokenMicros: 1, completionTokenMicros: 10 });
});

const ask = (stream: boolean, signal: AbortSignal = AbortSignal.timeout(5_000)): Promise<Response> =>
  fetch(`${upstream.url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content: 'Hi' }] }),
    signal,
  });

/** What a client sees: the text, or the reason why there is none. */
async function outcome(stream: boolean, signal?: AbortSignal): Promise<string> {
  try {
    const response = await ask(stream, signal);
    return `${response.status} ${await response.text()}`;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

describe('a faulty upstream', () => {
  it.each<[UpstreamFault, stream: boolean, RegExp]>([
    [{ is: 'html' }, false, /^200 <html>/],
    [{ is: 'html', status: 502 }, true, /^502 <html>/],
    [{ is: 'status', status: 429, code: 'rate_limit_exceeded' }, true, /^429 .*rate_limit_exceeded/],
    [{ is: 'error-in-200' }, false, /^200 {"error":/],
    [{ is: 'empty' }, false, /^200 $/],
    [{ is: 'cut-short' }, false, /^200 {"id":"(?!.*}$)/],
    [{ is: 'cut-short' }, true, /^200 data: (?![\s\S]*DONE)/],
    [{ is: 'trailing-garbage' }, false, /^200 {.*}}{ garbage/s],
    [{ is: 'broken-event', afterEvents: 2 }, true, /"del\n\n/],
    [{ is: 'error-event', afterEvents: 2 }, true, /data: {"error"/],
    [{ is: 'slow-headers', ms: 20 }, true, /DONE/],
    [{ is: 'slow-body', pieceBytes: 100, everyMs: 1 }, false, /^200 {.*}$/],
    [{ is: 'reset', atByte: -1 }, false, /^TypeError$/],
    [{ is: 'reset', atByte: 20 }, true, /^TypeError$/],
    [{ is: 'huge', bytes: 100_000 }, false, /x{100000}/],
    [{ is: 'huge', bytes: 100_000 }, true, /x{100000}/],
    [{ is: 'wrong-length', by: -10 }, false, /^(200 {(?!.*}$)|TypeError)/],
  ])('%o, stream %s', async (fault, stream, expected) => {
    upstream.misbehave(fault, 1);
    expect(await outcome(stream)).toMatch(expected);
    // Once as ordered, then sound.
    expect(await outcome(stream)).toMatch(stream ? /DONE/ : /"finish_reason":"stop"/);
  });

  it.each<[UpstreamFault, stream: boolean]>([
    [{ is: 'silent' }, false],
    [{ is: 'stall', afterEvents: 2 }, true],
    [{ is: 'endless', everyMs: 1 }, true],
    [{ is: 'endless', everyMs: 1 }, false],
    [{ is: 'wrong-length', by: 10 }, false],
  ])('%o lasts until the client leaves, stream %s', async (fault, stream) => {
    upstream.misbehave(fault);
    expect(await outcome(stream, AbortSignal.timeout(60))).toBe('TimeoutError');
    await until(() => upstream.ledger.entries.length === 1);
  });

  it('bills answers and what was made before a break, and nothing for errors', async () => {
    await outcome(false);
    upstream.misbehave({ is: 'status', status: 500 }, 1);
    upstream.misbehave({ is: 'reset', atByte: 10 }, 1);
    await outcome(false);
    await outcome(false);
    const { entries, calls, costMicros } = upstream.ledger;
    expect(calls).toBe(3);
    expect(entries.map(({ fault, complete }) => ({ fault, complete }))).toEqual([
      { fault: undefined, complete: true },
      { fault: 'status', complete: true },
      { fault: 'reset', complete: false },
    ]);
    const [sound] = entries;
    expect(sound?.completionTokens).toBeGreaterThan(3);
    expect(costMicros).toBe(2n * BigInt((sound?.promptTokens ?? 0) + 10 * (sound?.completionTokens ?? 0)));
  });

  it('bills a stream that the client left for the words made until then', async () => {
    const slow = await faultUpstream({ chunkEveryMs: 20 });
    const leave = new AbortController();
    const response = await fetch(`${slow.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'a b c d e f g h i j' }] }),
      signal: leave.signal,
    });
    await response.body?.getReader().read();
    leave.abort();
    await until(() => slow.ledger.entries.length === 1);
    expect(slow.ledger.entries[0]).toMatchObject({ complete: false });
    expect(slow.ledger.completionTokens).toBeLessThan(10);
  });
});
