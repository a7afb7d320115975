import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AnswerStream } from '../../../gateway/providers/answer-stream.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { type RawStream, type Reply, type Timers, Transport } from '../../../gateway/providers/transport.ts';
import { transportError } from '../../../gateway/providers/transport-error.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { until } from '../../support/processes.ts';
import { within } from '../../support/quiet-machine.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';
import { Received } from './raw-source.ts';
import { serveHttp, serveTcp, type TestUpstream } from './upstream-server.ts';

const patient: Timers = { firstByteMs: 10_000, idleMs: 10_000, wholeMs: 10_000 };
const never = new AbortController().signal;

function transport(): Transport {
  const made = new Transport();
  onTestFinished(() => made.close());
  return made;
}

const send = (origin: string, timers: Timers = patient, signal = never, through = transport()): Promise<Reply> =>
  through.send({ origin, path: '/v1/x', headers: { 'x-test': 'yes' }, body: Buffer.from('{"a":1}') }, timers, signal);

async function streamFrom(origin: string, signal = never, timers = patient): Promise<RawStream> {
  const reply = await send(origin, timers, signal);
  if (reply.kind === 'stream') return reply.stream;
  throw new Error('the answer is not a stream');
}

const startStream = (response: ServerResponse): boolean =>
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).write('data: 1\n\n');

/** How a failure looks to the policies. */
const classified = async (reply: Promise<unknown>): Promise<object> => {
  const error: unknown = await reply.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('there was an answer');
  return transportError(error, exampleDeployment('d'));
};

/** The upstream's open connections are gone within 250 ms of the act. */
async function closesAtOnce(upstream: TestUpstream, act: () => void): Promise<void> {
  expect(upstream.sockets.size).toBe(1);
  const closed = Promise.all([...upstream.sockets].map((socket) => once(socket, 'close')));
  const at = performance.now();
  act();
  await closed;
  expect(performance.now() - at).toBeLessThan(within(250));
}

describe('a whole answer', () => {
  it.each([200, 400, 429, 503])(
    'of status %d comes back with its body, type and headers, by their names in lower case',
    async (status) => {
      const { origin } = await serveHttp((request, response) => {
        const pieces: Buffer[] = [];
        request.on('data', (bytes: Buffer) => pieces.push(bytes));
        request.on('end', () => {
          response.writeHead(status, { 'content-type': 'application/json', 'Retry-After': '7' });
          response.write(`${request.method} ${request.url} ${String(request.headers['x-test'])} `);
          response.end(Buffer.concat(pieces));
        });
      });
      const reply = await send(origin);
      if (reply.kind === 'stream') throw new Error('it is whole');
      const { body, ...head } = reply.response;
      expect(head).toMatchObject({ status, contentType: 'application/json', headers: { 'retry-after': '7' } });
      expect(body.toString()).toBe('POST /v1/x yes {"a":1}');
    },
  );

  it('an event stream with an error status is whole', async () => {
    const { origin } = await serveHttp((_request, response) => {
      response.writeHead(500, { 'content-type': 'text/event-stream' }).end('data: x\n\n');
    });
    expect((await send(origin)).kind).toBe('whole');
  });

  it('connections are used again', async () => {
    const upstream = await serveHttp((_request, response) => response.end('{}'));
    const through = transport();
    for (let request = 0; request < 10; request++) await send(upstream.origin, patient, never, through);
    // The second one is opened when a request follows in the very tick in which the former ended.
    expect(upstream.connections()).toBeLessThanOrEqual(2);
  });
});

describe('no answer', () => {
  it('a refused connection is unavailable, at once', async () => {
    const at = performance.now();
    expect(await classified(send(`http://127.0.0.1:${await freePort()}`))).toMatchObject({
      kind: 'unavailable',
      status: 503,
      message: 'connection refused',
    });
    expect(performance.now() - at).toBeLessThan(within(500));
  });

  it('a reset connection is unavailable', async () => {
    const { origin } = await serveTcp((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(await classified(send(origin))).toMatchObject({ kind: 'unavailable', status: 503 });
  });

  it('a connection closed in the middle of the body is unavailable, not half an answer', async () => {
    const { origin } = await serveTcp((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"choices"')),
    );
    expect(await classified(send(origin))).toMatchObject({ kind: 'unavailable' });
  });

  it('something that is not HTTP is unavailable', async () => {
    const { origin } = await serveTcp((socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n')));
    expect(await classified(send(origin))).toMatchObject({ kind: 'unavailable' });
  });

  it('a server that hangs is a time-out when the first byte is due, and its connection is closed', async () => {
    const upstream = await serveHttp(() => undefined);
    const at = performance.now();
    expect(await classified(send(upstream.origin, { ...patient, firstByteMs: 300 }))).toMatchObject({
      kind: 'timeout',
      status: 408,
      message: 'no answer in time',
    });
    expect(performance.now() - at).toBeLessThan(2_000);
    await until(() => upstream.sockets.size === 0);
  });

  it('a body that stalls is a time-out', async () => {
    const { origin } = await serveHttp((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
    });
    expect(await classified(send(origin, { ...patient, idleMs: 300 }))).toMatchObject({
      kind: 'timeout',
      message: 'the answer stalled',
    });
  });

  it('a body that trickles without end is a time-out of the whole answer', async () => {
    const upstream = await serveHttp((_request, response) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.once('close', () => clearInterval(timer));
    });
    const at = performance.now();
    expect(await classified(send(upstream.origin, { ...patient, idleMs: 200, wholeMs: 400 }))).toMatchObject({
      kind: 'timeout',
      status: 408,
      message: 'no complete answer in time',
    });
    expect(performance.now() - at).toBeLessThan(1_500);
    await until(() => upstream.sockets.size === 0);
  });

  it('a body beyond 64 MiB is refused instead of kept in memory', async () => {
    const piece = Buffer.alloc(4 * 1024 * 1024, 0x20);
    const upstream = await serveHttp((_request, response) => {
      const more = (): boolean => response.write(piece);
      response.on('drain', more);
      more();
    });
    expect(await classified(send(upstream.origin))).toMatchObject({
      kind: 'unavailable',
      message: 'the answer is larger than 64 MiB',
    });
    await until(() => upstream.sockets.size === 0);
  });
});

describe('a request that nobody waits for any more', () => {
  it('is not sent when that is known before', async () => {
    const upstream = await serveHttp((_request, response) => response.end());
    const reason = new Error('left');
    await expect(send(upstream.origin, patient, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(upstream.connections()).toBe(0);
  });

  it('closes the upstream’s connection within 250 ms, while waiting for the answer', async () => {
    const arrived = Promise.withResolvers<void>();
    const upstream = await serveHttp(() => arrived.resolve());
    const controller = new AbortController();
    const reason = new Error('left');
    const answer = send(upstream.origin, patient, controller.signal);
    await arrived.promise;
    await Promise.all([expect(answer).rejects.toBe(reason), closesAtOnce(upstream, () => controller.abort(reason))]);
  });

  it('closes it within 250 ms in the middle of a stream, and the consumer is told once', async () => {
    const upstream = await serveHttp((_request, response) => startStream(response));
    const controller = new AbortController();
    const stream = await streamFrom(upstream.origin, controller.signal);
    const errors: Error[] = [];
    const first = Promise.withResolvers<Buffer>();
    stream.start({ data: first.resolve, end: () => expect.fail('it ended'), error: (error) => errors.push(error) });
    expect((await first.promise).toString()).toBe('data: 1\n\n');
    const reason = new Error('left');
    await closesAtOnce(upstream, () => controller.abort(reason));
    expect(errors).toEqual([reason]);
  });

  it('closes it while the stream is paused', async () => {
    const upstream = await serveHttp((_request, response) => startStream(response));
    const stream = await streamFrom(upstream.origin);
    const first = Promise.withResolvers<Buffer>();
    stream.start({ data: first.resolve, end: () => undefined, error: () => undefined });
    await first.promise;
    stream.pause();
    await closesAtOnce(upstream, () => stream.abort(new Error('left')));
  });

  it('a later abort of the same signal does nothing to a finished request', async () => {
    const upstream = await serveHttp((_request, response) => response.end('{}'));
    const controller = new AbortController();
    const through = transport();
    await send(upstream.origin, patient, controller.signal, through);
    controller.abort(new Error('left'));
    expect((await send(upstream.origin, patient, never, through)).kind).toBe('whole');
    expect(upstream.sockets.size).toBeGreaterThan(0);
  });
});

describe('a stream', () => {
  it('reads nothing more than buffers hold while its client takes nothing', async () => {
    let written = 0;
    const piece = Buffer.alloc(64 * 1024, 0x20);
    const upstream = await serveHttp((_request, response) => {
      startStream(response);
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) written += piece.length;
      };
      response.on('drain', more);
      more();
    });
    const stream = await streamFrom(upstream.origin);
    let received = 0;
    stream.start({
      data: (bytes) => {
        received += bytes.length;
        stream.pause();
      },
      end: () => undefined,
      error: () => undefined,
    });
    await until(() => received > 0);
    // The writer is at rest when nothing has been written for a whole tick of the test's own polling.
    let before = -1;
    await until(() => {
      const rests = before === written;
      before = written;
      return rests;
    });
    expect(received).toBeLessThan(1024 * 1024);
    stream.abort(new Error('enough'));
    await until(() => upstream.sockets.size === 0);
  });

  it.each<[string, (response: ServerResponse, body: string) => void]>([
    ['in one piece', (response, body) => response.end(body)],
    [
      // The gateway stops reading at the first chunk; what then ends the response must not be left unread.
      'whole in its first chunk, with the end of the response behind it',
      (response, body) => {
        response.flushHeaders();
        setTimeout(() => response.write(body), 5);
        setTimeout(() => response.end(), 30);
      },
    ],
  ])('that arrives %s gives its connection back', async (_case, answer) => {
    const body = 'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n';
    const upstream = await serveHttp((_request, response) => {
      answer(response.writeHead(200, { 'content-type': 'text/event-stream' }), body);
      response.once('finish', () => finished++);
    });
    let finished = 0;
    const through = transport();
    for (let request = 1; request <= 10; request++) {
      const reply = await send(upstream.origin, patient, never, through);
      if (reply.kind !== 'stream') throw new Error('the answer is not a stream');
      const deployment = exampleDeployment('d');
      const decoder = openAIAdapter.decoder(exampleRequest(), deployment);
      const stream = new AnswerStream(reply.stream, decoder, deployment);
      await stream.ready(1_000);
      const received = new Received();
      stream.start(received);
      await until(() => received.ending !== undefined && finished === request);
      expect(received.text).toBe(body);
    }
    // A second one is opened when a request came before the end of the former was read.
    expect(upstream.connections()).toBeLessThanOrEqual(2);
  });
});
