import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendJson, startUpstream, type Upstream, type UpstreamRequest } from '../../runbooks/lab/upstream.ts';
import { configFor, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;
let client: OpenAI;

const audio = Buffer.from([0xff, 0xfb, 0x90, 0x00, 0x0d, 0x0a, 0x2d, 0x2d]);

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({
    name: 'the upstream',
    intercept: ({ path }, response) => {
      switch (path) {
        case '/v1/images/generations':
          sendJson(response, 200, { created: 1, data: [{ b64_json: 'aW1hZ2U=' }] });
          return true;
        case '/v1/moderations':
          sendJson(response, 200, {
            id: 'modr-1',
            model: 'm',
            results: [{ flagged: false, categories: {}, category_scores: {} }],
          });
          return true;
        case '/v1/rerank':
          sendJson(response, 200, { id: 'rr-1', results: [{ index: 1, relevance_score: 0.9 }] });
          return true;
        case '/v1/audio/speech':
          response.writeHead(200, { 'content-type': 'audio/mpeg' }).end(audio);
          return true;
        case '/v1/audio/transcriptions':
          sendJson(response, 200, { text: 'hello from the recording' });
          return true;
        default:
          return false;
      }
    },
  });
  gateway = await startTestGateway({ config: configFor([upstream.url]), databaseUrl: database.url });
  client = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const last = (): UpstreamRequest => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('nothing arrived upstream');
  return request;
};

describe('the official OpenAI client, beyond chat', () => {
  it('generates an image', async () => {
    const { data } = await client.images.generate({ model: 'chat', prompt: 'a lighthouse' });
    expect(data?.[0]?.b64_json).toBe('aW1hZ2U=');
    expect(last().body).toMatchObject({ model: 'upstream-model', prompt: 'a lighthouse' });
  });

  it('moderates a text', async () => {
    const { results } = await client.moderations.create({ model: 'chat', input: 'harmless' });
    expect(results[0]?.flagged).toBe(false);
  });

  it('speaks: the bytes of the audio arrive as they were sent', async () => {
    const response = await client.audio.speech.create({ model: 'chat', voice: 'alloy', input: 'hello' });
    expect(Buffer.from(await response.arrayBuffer())).toEqual(audio);
    expect(response.headers.get('content-type')).toBe('audio/mpeg');
  });

  it('transcribes: the file arrives upstream byte for byte, with the provider model name in the form', async () => {
    const file = await toFile(audio, 'recording.mp3', { type: 'audio/mpeg' });
    const { text } = await client.audio.transcriptions.create({ model: 'chat', file, language: 'en' });
    expect(text).toBe('hello from the recording');
    const form = await new Response(last().bytes, {
      headers: { 'content-type': String(last().headers['content-type']) },
    }).formData();
    expect(form.get('model')).toBe('upstream-model');
    expect(form.get('language')).toBe('en');
    const sent = form.get('file');
    if (!(sent instanceof File)) throw new Error('no file arrived');
    expect(Buffer.from(await sent.arrayBuffer())).toEqual(audio);
  });

  it('reranks', async () => {
    const response = await gateway.post('/v1/rerank', { model: 'chat', query: 'q', documents: ['a', 'b'] });
    expect(await response.json()).toMatchObject({ results: [{ index: 1 }] });
  });
});

it.each([
  ['/v1/images/generations', { model: 'chat' }, 'prompt'],
  ['/v1/moderations', { model: 'chat', input: [] }, 'input'],
  ['/v1/rerank', { model: 'chat', query: 'q' }, 'documents'],
  ['/v1/audio/speech', { model: 'chat', input: '' }, 'input'],
  ['/v1/embeddings', { model: 'chat', input: 7 }, 'input'],
])(
  '%s without what it needs is refused with 400 naming %o, before any upstream is called',
  async (path, body, param) => {
    const before = upstream.requests.length;
    const response = await gateway.post(path, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', param, code: '400' } });
    expect(upstream.requests.length).toBe(before);
  },
);

it('a form that is none is refused with 400', async () => {
  const response = await gateway.post('/v1/audio/transcriptions', 'not a form', {
    'content-type': 'multipart/form-data; boundary=x',
  });
  expect(response.status).toBe(400);
});
