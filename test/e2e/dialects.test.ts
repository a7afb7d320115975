import Anthropic, { BadRequestError as AnthropicBadRequest } from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';

const said = 'This is the upstream. You said: Hello!';

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;
let anthropic: Anthropic;
let openai: OpenAI;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({
    name: 'the upstream',
    intercept: ({ body }, response) => {
      if (body['user'] !== 'breaks') return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"half"}}]}\n\n');
      setTimeout(() => response.destroy(), 50);
      return true;
    },
  });
  gateway = await startTestGateway({
    config: configFor([upstream.url], 'router_settings: {num_retries: 0}'),
    databaseUrl: database.url,
  });
  anthropic = new Anthropic({ apiKey: masterKey, baseURL: gateway.url, maxRetries: 0 });
  openai = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const messages = [{ role: 'user' as const, content: 'Hello!' }];

describe('the official Anthropic client, unmodified, over a provider that speaks OpenAI', () => {
  it('gets a message with its usage', async () => {
    const message = await anthropic.messages.create({ model: 'chat', max_tokens: 100, messages });
    expect(message.content).toMatchObject([{ type: 'text', text: said }]);
    expect(message.stop_reason).toBe('end_turn');
    expect(message.usage.output_tokens).toBeGreaterThan(0);
  });

  it('streams a message to its end', async () => {
    const stream = anthropic.messages.stream({ model: 'chat', max_tokens: 100, messages });
    let text = '';
    stream.on('text', (delta) => {
      text += delta;
    });
    const final = await stream.finalMessage();
    expect(text).toBe(said);
    expect(final.stop_reason).toBe('end_turn');
    expect(final.usage.output_tokens).toBeGreaterThan(0);
  });

  it('throws its own error classes with the gateway words', async () => {
    const failure = await anthropic.messages
      .create({ model: 'nope', max_tokens: 1, messages })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AnthropicBadRequest);
    expect(String(failure)).toContain('Invalid model name');
    const stranger = new Anthropic({ apiKey: 'sk-unknown-key-0123456789', baseURL: gateway.url, maxRetries: 0 });
    await expect(stranger.messages.create({ model: 'chat', max_tokens: 1, messages })).rejects.toMatchObject({
      status: 401,
    });
  });

  it('sees a stream that breaks as an error and never as a finished message', async () => {
    const stream = anthropic.messages.stream({
      model: 'chat',
      max_tokens: 100,
      messages,
      metadata: { user_id: 'breaks' },
    });
    await expect(stream.finalMessage()).rejects.toThrow();
  });
});

describe('the OpenAI client on its other text APIs', () => {
  it('creates a response', async () => {
    const response = await openai.responses.create({ model: 'chat', input: 'Hello!' });
    expect(response.output_text).toBe(said);
    expect(response.status).toBe('completed');
  });

  it('streams a response to its end', async () => {
    const stream = openai.responses.stream({ model: 'chat', input: 'Hello!' });
    const final = await stream.finalResponse();
    expect(final.output_text).toBe(said);
    expect(final.usage?.output_tokens).toBeGreaterThan(0);
  });

  it('creates and streams a completion', async () => {
    const completion = await openai.completions.create({ model: 'chat', prompt: 'Hello!' });
    expect(completion.choices[0]?.text).toBe(said);
    let text = '';
    for await (const chunk of await openai.completions.create({ model: 'chat', prompt: 'Hello!', stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(said);
  });

  it('is told which parameter the gateway cannot serve', async () => {
    await expect(
      openai.responses.create({ model: 'chat', input: 'x', previous_response_id: 'resp_1' }),
    ).rejects.toMatchObject({
      status: 400,
      param: 'previous_response_id',
    });
  });
});

it('each request of every API leaves one row with the tokens of the upstream', async () => {
  const rows = () =>
    query(
      database.url,
      `SELECT count(*)::int AS n FROM spend_entry WHERE ending = 'finished' AND completion_tokens > 0`,
    );
  await until(async () => (await rows())[0]?.['n'] === 6);
});
