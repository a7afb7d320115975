import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UpstreamError } from '../../../gateway/domain/errors.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';
import { AnswerStream } from '../../../gateway/providers/answer-stream.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';
import { RawSource, Received } from './raw-source.ts';

const plain: JsonObject = { model: 'chat', stream: true, messages: [] };
const asking: JsonObject = { ...plain, stream_options: { include_usage: true } };

const event = (data: unknown, end = '\n\n'): string =>
  `data: ${typeof data === 'string' ? data : JSON.stringify(data)}${end}`;
const delta = (content: string, end?: string): string => event({ choices: [{ delta: { content } }] }, end);
const stop = (end?: string): string => event({ choices: [{ delta: {}, finish_reason: 'stop' }] }, end);
const counts = { prompt_tokens: 5, completion_tokens: 2 };
const usage = (end?: string): string => event({ choices: [], usage: counts }, end);
const done = (end?: string): string => event('[DONE]', end);

function open(body: JsonObject = plain) {
  const source = new RawSource();
  const stream = new AnswerStream(
    source,
    openAIAdapter.decoder(exampleRequest(body), exampleDeployment('d')),
    exampleDeployment('d'),
  );
  const ready = stream.ready(5_000);
  // Looked at by those tests that fail before the first chunk.
  ready.catch(() => undefined);
  return { source, stream, ready };
}

/** Everything that a client gets of these pieces, from the first chunk to the end. */
async function relayed(pieces: readonly (string | Buffer)[], body: JsonObject = plain) {
  const { source, stream, ready } = open(body);
  source.data(...pieces);
  source.end();
  await ready;
  const received = new Received();
  stream.start(received);
  return { received, source, usage: stream.usage() };
}

describe('a stream that arrives whole', () => {
  it('is relayed byte for byte, once, and finishes', async () => {
    const text = [delta('Hel'), delta('lo'), stop(), done()].join('');
    const { received } = await relayed([text]);
    expect(received).toMatchObject({ text, ending: 'finished', endings: 1 });
  });

  it.each([
    ['the client did not ask for token counts: they are counted and withheld', plain, ''],
    ['the client asked for them: they are relayed', asking, usage()],
  ])('%s', async (_case, body, shown) => {
    const { received, usage: counted } = await relayed([delta('x'), stop(), usage(), done()], body);
    expect(received.text).toBe(delta('x') + stop() + shown + done());
    expect(counted).toEqual({ promptTokens: 5, completionTokens: 2 });
  });

  it('nothing behind [DONE] is relayed, and the rest of the response is read so that the connection is free', async () => {
    const { received, source } = await relayed([delta('x') + done() + delta('late')]);
    expect(received.text).toBe(delta('x') + done());
    expect(source.paused).toBe(false);
  });
});

describe('any cut of the bytes into pieces', () => {
  const line = fc.constantFrom('\n', '\r\n');
  const part = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }).map((content) => (end: string) => delta(content, end)),
    fc.constantFrom(
      (end: string) => `: ping${end}`,
      (end: string) => `event: message${end.slice(0, end.length / 2)}${delta('x', end)}`,
      (end: string) => event({ choices: [{ delta: { content: 'u' } }], usage: counts }, end),
      (end: string) => usage(end),
      (end: string) => event('{"choices":[{"delta":{"content":"\\"error\\" [DONE]\\n\\n"}}],"usage":null}', end),
    ),
  );
  const streams = fc.record({
    line,
    leading: fc.array(
      fc.constant((end: string) => `: waiting${end}`),
      { maxLength: 3 },
    ),
    parts: fc.array(part, { maxLength: 10 }),
    withDone: fc.boolean(),
    cuts: fc.array(fc.nat(2_000), { maxLength: 40 }),
    body: fc.constantFrom(plain, asking),
  });

  it('gives the client the same bytes and the same end, and every piece it gets is whole events', async () => {
    await fc.assert(
      fc.asyncProperty(streams, async ({ line: lineEnd, leading, parts, withDone, cuts, body }) => {
        const end = lineEnd + lineEnd;
        const all = [...leading, () => delta('first', end), ...parts, () => stop(end)].map((print) => print(end));
        if (withDone) all.push(done(end));
        const bytes = Buffer.from(all.join(''));
        const places = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((to, index) => bytes.subarray(places[index], to));
        const whole = await relayed([bytes], body);
        const cut = await relayed(
          pieces.filter((piece) => piece.length > 0),
          body,
        );
        expect(cut.received.text).toBe(whole.received.text);
        expect(cut.received.ending).toBe('finished');
        expect(cut.usage).toEqual(whole.usage);
        for (const chunk of cut.received.chunks) expect(chunk.toString()).toMatch(/(\r\n\r\n|\n\n)$/);
        const expected = all.filter(
          (text) => !(text.startsWith(': waiting') || (body === plain && text === usage(end))),
        );
        expect(whole.received.text).toBe(expected.join('') + (withDone ? '' : done()));
      }),
      { numRuns: 400 },
    );
  });
});

describe('before the first chunk', () => {
  it('comments do not make an answer', async () => {
    const { source, stream, ready } = open();
    let isReady = false;
    void ready.then(() => {
      isReady = true;
    });
    source.data(': ping\n\n', ': ping\n\n: ping\n\n');
    await Promise.resolve();
    expect(isReady).toBe(false);
    source.data(delta('x'));
    await ready;
    const received = new Received();
    stream.start(received);
    expect(received.text).toBe(delta('x'));
  });

  it.each<[string, (source: RawSource) => void, object]>([
    [
      'an error event',
      (source) => source.data(event({ error: { message: 'busy', code: 429 } })),
      { kind: 'rate-limit', status: 429, message: 'busy' },
    ],
    ['the end without anything', (source) => source.end(), { kind: 'unavailable', status: 502 }],
    ['[DONE] without anything', (source) => source.data(done()), { kind: 'unavailable', status: 502 }],
    ['token counts and [DONE] alone', (source) => source.data(usage(), done()), { kind: 'unavailable', status: 502 }],
    [
      'a broken connection',
      (source) => source.error(Object.assign(new Error('x'), { code: 'ECONNRESET' })),
      { kind: 'unavailable', status: 503, message: 'connection reset' },
    ],
    [
      'silence',
      (source) => source.error(Object.assign(new Error('x'), { code: 'UND_ERR_BODY_TIMEOUT' })),
      { kind: 'timeout', status: 408 },
    ],
  ])('%s is a failed attempt', async (_case, act, error) => {
    const { source, ready } = open();
    act(source);
    await expect(ready).rejects.toBeInstanceOf(UpstreamError);
    await expect(ready).rejects.toMatchObject(error);
  });

  it('comments without end are a time-out when the first chunk is due', async () => {
    const source = new RawSource();
    const stream = new AnswerStream(
      source,
      openAIAdapter.decoder(exampleRequest(plain), exampleDeployment('d')),
      exampleDeployment('d'),
    );
    const ready = stream.ready(20);
    source.data(': ping\n\n');
    await expect(ready).rejects.toMatchObject({ kind: 'timeout', message: 'no first chunk in time' });
    expect(source.aborted).toBeInstanceOf(UpstreamError);
  });
});

describe('after the first chunk', () => {
  it('nothing more is read until the client is there', async () => {
    const { source, stream, ready } = open();
    source.data(delta('x'));
    await ready;
    expect(source.paused).toBe(true);
    stream.start(new Received());
    expect(source.paused).toBe(false);
  });

  it.each<[string, (source: RawSource) => void, object]>([
    [
      'an error event',
      (source) => source.data(event({ error: { message: 'busy', code: 503 } })),
      { status: 503, message: 'busy' },
    ],
    ['the end without a reason for it', (source) => source.end(), { status: 502 }],
    ['a broken connection', (source) => source.error(new Error('x')), { status: 503 }],
  ])('%s breaks the stream, once, and what came before it is kept', async (_case, act, error) => {
    const { source, stream, ready } = open();
    source.data(delta('x'));
    await ready;
    const received = new Received();
    stream.start(received);
    act(source);
    source.data(delta('late'));
    source.end();
    expect(received).toMatchObject({ text: delta('x'), endings: 1 });
    expect(received.ending).toBeInstanceOf(UpstreamError);
    expect(received.ending).toMatchObject(error);
    expect(source.aborted).toBe(received.ending);
  });

  it('an error that came together with the first chunk is told after that chunk', async () => {
    const { received } = await relayed([delta('x') + event({ error: { message: 'busy' } })]);
    expect(received.text).toBe(delta('x'));
    expect(received.ending).toMatchObject({ message: 'busy' });
  });

  it('a client that left hears nothing more, and the upstream is told', async () => {
    const { source, stream, ready } = open();
    source.data(delta('x'));
    await ready;
    const received = new Received();
    stream.start(received);
    const reason = new Error('left');
    stream.abort(reason);
    source.data(delta('late'), done());
    source.end();
    expect(received).toMatchObject({ text: delta('x'), endings: 0 });
    expect(source.aborted).toBe(reason);
  });
});

describe('an end without [DONE]', () => {
  it.each<[string, readonly string[], JsonObject, string]>([
    ['behind a reason for finishing', [delta('x'), stop()], plain, delta('x') + stop() + done()],
    [
      'behind token counts that follow it',
      [delta('x'), stop(), usage()],
      asking,
      delta('x') + stop() + usage() + done(),
    ],
    [
      'behind comments that follow it',
      [delta('x'), stop(), ': a\n\n', ': b\n\n', ': c\n\n'],
      plain,
      `${delta('x')}${stop()}: a\n\n: b\n\n: c\n\n${done()}`,
    ],
    ['without the last blank line', [delta('x'), stop().trimEnd()], plain, delta('x') + stop() + done()],
    ['with [DONE] but no blank line', [delta('x'), stop(), 'data: [DONE]'], plain, delta('x') + stop() + done()],
  ])('%s is mended', async (_case, pieces, body, text) => {
    const { received } = await relayed(pieces, body);
    expect(received).toMatchObject({ text, ending: 'finished', endings: 1 });
  });

  it.each([
    ['in the middle of an answer', [delta('x'), delta('y')]],
    ['in the middle of an event', [delta('x') + delta('y'), delta('cut').slice(0, 20)]],
  ])('%s breaks the stream, and no part of an event is relayed', async (_case, pieces) => {
    const { received } = await relayed(pieces);
    expect(received.text).toBe(delta('x') + delta('y'));
    expect(received.ending).toMatchObject({ status: 502, message: 'the stream ended before its answer did' });
  });
});

it('an event beyond 16 MiB breaks the stream instead of filling the memory', async () => {
  const { source, stream, ready } = open();
  source.data(delta('x'));
  await ready;
  const received = new Received();
  stream.start(received);
  source.data('data: "', Buffer.alloc(16 * 1024 * 1024, 0x61));
  expect(received.ending).toMatchObject({ message: 'one event is larger than 16 MiB' });
});

describe('what is said ahead of an answer', () => {
  const role = event({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] });
  const filter = event({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] });
  const busy = event({ error: { message: 'busy', code: 503 } });

  it.each<[string, string]>([
    ['a role', role],
    ['results of a content filter', filter],
    ['both, and comments', `: ping\n\n${filter}: ping\n\n${role}`],
  ])('%s is held back: an error behind it is a failed attempt (#38610)', async (_case, opening) => {
    for (const pieces of [[opening, busy], [opening + busy]]) {
      const { source, ready } = open();
      source.data(...pieces);
      await expect(ready).rejects.toMatchObject({ status: 503, message: 'busy' });
    }
    const { source, ready } = open();
    source.data(opening, done());
    await expect(ready).rejects.toMatchObject({ status: 502, message: 'the stream ended without an answer' });
  });

  it('is relayed ahead of the answer, byte for byte', async () => {
    const { received } = await relayed([filter, role, delta('x'), stop(), done()]);
    expect(received.text).toBe(filter + role + delta('x') + stop() + done());
  });

  it.each<[string, object]>([
    ['a reason for finishing', { delta: {}, finish_reason: 'stop' }],
    ['a call of a tool', { delta: { tool_calls: [{ index: 0 }] } }],
    ['reasoning', { delta: { reasoning_content: 'hm' } }],
    ['a refusal', { delta: { refusal: 'no' } }],
    ['a member that nobody knows', { delta: { hologram: 'x' } }],
    ['a text of the older API', { text: 'x' }],
  ])('%s is an answer', async (_case, choice) => {
    const { source, ready } = open();
    source.data(event({ choices: [choice] }));
    await expect(ready).resolves.toBeUndefined();
  });

  it('cannot go on for ever: after a hundred events it is taken for the answer', async () => {
    const { source, ready } = open();
    for (let count = 0; count <= 101; count++) source.data(role);
    await expect(ready).resolves.toBeUndefined();
  });
});

describe('silence inside a stream', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function begun() {
    const { source, stream, ready } = open();
    source.data(delta('x'));
    await ready;
    const received = new Received();
    stream.start(received);
    return { source, stream, received };
  }
  const stalled = (seconds: number): string => `the answer stalled: no chunk for ${seconds} s`;

  it('of its idle time ends it: the client is told, the upstream is let go, what it reported is kept', async () => {
    const { source, stream, received } = await begun();
    source.data(event({ choices: [{ delta: { content: 'y' } }], usage: counts }));
    vi.advanceTimersByTime(9_990);
    expect(received.ending).toBeUndefined();
    vi.advanceTimersByTime(20);
    expect(received.ending).toMatchObject({ kind: 'timeout', status: 408, message: stalled(10), mayBeBilled: true });
    expect(source.aborted).toBe(received.ending);
    expect(stream.usage()).toEqual({ promptTokens: 5, completionTokens: 2 });
  });

  it('that is shorter, however often, does not: a slow stream that lives survives', async () => {
    const { source, received } = await begun();
    for (let chunk = 0; chunk < 100; chunk++) {
      vi.advanceTimersByTime(9_900);
      source.data(delta('y'));
    }
    source.data(stop(), done());
    expect(received).toMatchObject({ ending: 'finished', endings: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([': ping\n\n', ': ping\n\n: ping\n\n'])(
    'is not ended by comments: they buy four idle times and no more (%j)',
    async (comment) => {
      const { source, received } = await begun();
      for (let second = 0; second < 39; second++) {
        vi.advanceTimersByTime(1_000);
        source.data(comment);
      }
      expect(received.ending).toBeUndefined();
      expect(received.text).toContain(comment);
      vi.advanceTimersByTime(1_010);
      expect(received.ending).toMatchObject({ kind: 'timeout', message: stalled(40) });
    },
  );

  it('of an upstream that trickles a byte at a time without an event ends in the same way', async () => {
    const { source, received } = await begun();
    for (let second = 0; second < 41; second++) {
      vi.advanceTimersByTime(1_000);
      source.data('x');
    }
    expect(received.ending).toMatchObject({ kind: 'timeout', message: stalled(40) });
  });

  it('does not count while the client takes nothing', async () => {
    const { source, stream, received } = await begun();
    stream.pause();
    vi.advanceTimersByTime(600_000);
    stream.resume();
    vi.advanceTimersByTime(9_900);
    expect(received.ending).toBeUndefined();
    source.data(stop(), done());
    expect(received.ending).toBe('finished');
  });

  it('is not waited for when the client left or the stream broke: no timer is left', async () => {
    const left = await begun();
    left.stream.abort(new Error('left'));
    const broken = await begun();
    broken.source.error(new Error('x'));
    expect(vi.getTimerCount()).toBe(0);
  });
});
