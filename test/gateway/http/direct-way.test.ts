import { request as send } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listen, openListener } from '../../../gateway/listener.ts';
import { masterKey, migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type WiredGateway, wireGateway } from '../../support/wired-gateway.ts';

const config = `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_key: sk-upstream, mock_response: "Hello!"}
  - model_name: embed
    litellm_params: {model: openai/m, api_key: sk-upstream, mock_response: "Hello!"}
general_settings: {max_request_size_mb: 0.01}
`;

let database: TestDatabase;
let gateway: WiredGateway;
let port: number;
const server = openListener((request, response) => gateway.ground.live.handle(request, response));

beforeAll(async () => {
  database = await migratedDatabase();
  gateway = await wireGateway({ databaseUrl: database.url, config, dataDirectory: await temporaryDirectory() });
  port = await listen(server, 0, '127.0.0.1');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await gateway.ground.outbox?.close(1_000);
  await gateway.close();
  await database.drop();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: readonly string[];
  readonly body: string;
}

const chat = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello?' }] });
const json = { 'content-type': 'application/json' };

function post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = send({ host: '127.0.0.1', port, path, method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: Object.keys(response.headers).toSorted(), body: text }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Without what no two answers have in common. */
const comparable = ({ body, ...answer }: Answer) => ({
  ...answer,
  body: body.replaceAll(/"(id|created)":("[^"]*"|\d+)/g, '"$1":0'),
});

const withKey = (key: string) => ({ authorization: `Bearer ${key}`, ...json });

it.each<[string, string, string, (key: string) => Record<string, string>]>([
  ['an answer', '/v1/chat/completions', chat, withKey],
  ['an answer on the path without a version', '/chat/completions', chat, withKey],
  ['a stream', '/v1/chat/completions', chat.replace('{', '{"stream":true,'), withKey],
  ['an answer in the words of another API', '/v1/messages', chat.replace('{', '{"max_tokens":5,'), withKey],
  ['a refused body', '/v1/chat/completions', '{"model":"chat"}', withKey],
  ['a body that is no JSON', '/v1/chat/completions', '{', withKey],
  ['an empty body', '/v1/chat/completions', '', withKey],
  ['a body beyond the bound', '/v1/chat/completions', JSON.stringify({ model: 'x'.repeat(20_000) }), withKey],
  ['another type', '/v1/chat/completions', chat, (key) => ({ ...withKey(key), 'content-type': 'text/plain' })],
  ['no type', '/v1/chat/completions', chat, (key) => ({ authorization: `Bearer ${key}` })],
  [
    'pieces of no stated length',
    '/v1/chat/completions',
    chat,
    (key) => ({ ...withKey(key), 'transfer-encoding': 'chunked' }),
  ],
  ['the key in another header', '/v1/chat/completions', chat, (key) => ({ 'x-api-key': key, ...json })],
  ['no key', '/v1/chat/completions', chat, () => ({ ...json })],
  ['a key that nobody made', '/v1/chat/completions', chat, () => withKey('sk-nobody-made-this-one')],
  [
    'a key that nobody made, in the words of another API',
    '/v1/messages',
    chat,
    () => withKey('sk-nobody-made-this-two'),
  ],
])('%s is the same on the direct way and on that of the application', async (_case, path, body, headers) => {
  const { key } = await gateway.ok('/key/generate', { models: ['chat'] });
  const given = headers(String(key));
  // With a query the application takes it.
  const [direct, application] = [await post(path, body, given), await post(`${path}?by=application`, body, given)];
  expect(comparable(direct)).toEqual(comparable(application));
});

it('the direct way keeps to the routes that a key may call', async () => {
  const { key } = await gateway.ok('/key/generate', { models: ['chat', 'embed'], allowed_routes: ['/embeddings'] });
  const refused = await post('/v1/chat/completions', chat, withKey(String(key)));
  expect(refused.status).toBe(403);
  const embedding = JSON.stringify({ model: 'embed', input: 'Hello' });
  expect((await post('/v1/embeddings', embedding, withKey(String(key)))).status).not.toBe(403);
});

it('a plain request of a key that is known takes the direct way', async () => {
  let taken = 0;
  const before = gateway.generation.app.routing.bind(gateway.generation.app);
  gateway.generation.app.routing = (...given) => {
    taken++;
    before(...given);
  };
  try {
    expect((await post('/v1/chat/completions', chat, withKey(masterKey))).status).toBe(200);
    expect(taken).toBe(0);
    await post('/v1/chat/completions?by=application', chat, withKey(masterKey));
    expect(taken).toBe(1);
  } finally {
    gateway.generation.app.routing = before;
  }
});
