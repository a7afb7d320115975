import OpenAI, { APIError, AuthenticationError, BadRequestError, RateLimitError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendJson, startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;
let client: OpenAI;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({
    name: 'the upstream',
    intercept: ({ body }, response) => {
      if (body['user'] !== 'limited') return false;
      sendJson(
        response,
        429,
        { error: { message: 'Slow down', type: 'requests', param: null, code: 'rate_limit_exceeded' } },
        { 'retry-after': '7' },
      );
      return true;
    },
  });
  gateway = await startTestGateway({
    config: configFor(
      [upstream.url],
      `  - model_name: 模型
    litellm_params: {model: openai/upstream-model, api_base: "${upstream.url}", api_key: sk-upstream-0}
    model_info: {id: ünïcode}
router_settings: {num_retries: 0}`,
    ),
    databaseUrl: database.url,
  });
  client = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const messages = [{ role: 'user' as const, content: 'Hello!' }];

describe('the official OpenAI client, unmodified', () => {
  it('gets a chat completion with its usage', async () => {
    const completion = await client.chat.completions.create({ model: 'chat', messages });
    expect(completion.choices[0]?.message.content).toBe('This is the upstream. You said: Hello!');
    expect(completion.usage?.total_tokens).toBeGreaterThan(0);
  });

  it('streams a chat completion to its end, without a usage chunk it did not ask for', async () => {
    const stream = await client.chat.completions.create({ model: 'chat', messages, stream: true });
    let text = '';
    let finishReason: string | null = null;
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.delta.content ?? '';
      finishReason = chunk.choices[0]?.finish_reason ?? finishReason;
    }
    expect(text).toBe('This is the upstream. You said: Hello!');
    expect(finishReason).toBe('stop');
  });

  it('gets the usage chunk of a stream when it asks for it', async () => {
    const stream = await client.chat.completions.create({
      model: 'chat',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let usage: OpenAI.CompletionUsage | undefined;
    for await (const chunk of stream) usage = chunk.usage ?? usage;
    expect(usage?.total_tokens).toBeGreaterThan(0);
  });

  it('sees the provider model name only upstream, and its own extra fields arrive there', async () => {
    await client.chat.completions.create({ model: 'chat', messages, seed: 42, temperature: 0.5 });
    expect(upstream.requests.at(-1)?.body).toMatchObject({ model: 'upstream-model', seed: 42, temperature: 0.5 });
    expect(upstream.requests.at(-1)?.headers.authorization).toBe('Bearer sk-upstream-0');
  });

  it('gets embeddings', async () => {
    const { data } = await client.embeddings.create({ model: 'chat', input: ['one', 'two'], dimensions: 8 });
    expect(data.map((item) => item.embedding.length)).toEqual([8, 8]);
  });

  it('lists the models and retrieves one', async () => {
    const page = await client.models.list();
    expect(page.data.map((model) => model.id)).toEqual(['chat', '模型']);
    expect((await client.models.retrieve('chat')).id).toBe('chat');
  });

  it('is answered, whole and streaming, by a model group whose name is not ASCII', async () => {
    const { data, response } = await client.chat.completions.create({ model: '模型', messages }).withResponse();
    expect(data.choices[0]?.message.content).toContain('Hello!');
    expect(decodeURIComponent(response.headers.get('x-litellm-model-group') ?? '')).toBe('模型');
    const stream = await client.chat.completions.create({ model: '模型', messages, stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toContain('Hello!');
  });

  it('throws AuthenticationError for a wrong key, and the message does not repeat it', async () => {
    const stranger = new OpenAI({
      apiKey: 'sk-somebody-elses-key-0123456789',
      baseURL: `${gateway.url}/v1`,
      maxRetries: 0,
    });
    const failure = await stranger.models.list().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(AuthenticationError);
    expect(String(failure)).not.toContain('somebody-elses-key');
  });

  it('throws BadRequestError naming the parameter, before any upstream is called', async () => {
    const before = upstream.requests.length;
    const failure = await client.chat.completions.create({ model: 'chat', messages: [] }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(BadRequestError);
    expect(failure).toMatchObject({ status: 400, param: 'messages', code: '400', type: 'invalid_request_error' });
    const unknown = await client.chat.completions.create({ model: 'nope', messages }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(unknown).toMatchObject({ status: 400, param: 'model' });
    expect(upstream.requests.length).toBe(before);
  });

  it("throws RateLimitError for the provider's 429, with LiteLLM's message and the provider's Retry-After", async () => {
    const failure = await client.chat.completions.create({ model: 'chat', messages, user: 'limited' }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(RateLimitError);
    if (!(failure instanceof APIError)) throw new Error('not an APIError');
    expect(failure.message).toContain('litellm.RateLimitError: OpenAIException - Slow down');
    expect(failure.headers?.get('retry-after')).toBe('7');
  });

  it("keeps the provider's error when a fallback of the request names nothing that exists", async () => {
    const response = await gateway.post('/v1/chat/completions', {
      model: 'chat',
      messages,
      user: 'limited',
      fallbacks: ['no-such-model'],
    });
    expect(response.status).toBe(429);
    expect(await response.text()).toContain('Slow down');
  });
});
