/** What clients are told of models: in the shape of whoever asks, only what the key may use, and no secret. */
import Anthropic, { NotFoundError } from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let gateway: TestGateway;
let limitedKey: string;

const many = Array.from({ length: 25 }, (_, index) => `many-${String(index).padStart(2, '0')}`);

beforeAll(async () => {
  database = await migratedDatabase();
  gateway = await startTestGateway({
    config: `model_list:
  - {model_name: chat, litellm_params: {model: openai/gpt, api_base: "http://user:s3cret@127.0.0.1:9/v1?token=s3cret", api_key: sk-s3cret, rpm: 10, input_cost_per_token: 0.001, order: 1}, model_info: {id: first, max_input_tokens: 1000}}
  - {model_name: chat, litellm_params: {model: azure/gpt, api_base: "http://127.0.0.1:9", api_key: s3cret, api_version: 2024-10-21, rpm: 5}, model_info: {id: second}}
  - {model_name: secret-project, litellm_params: {model: openai/gpt, api_base: "http://127.0.0.1:9/v1", api_key: sk-s3cret}, model_info: {id: hidden}}
  - {model_name: "wild/*", litellm_params: {model: "openai/*", api_base: "http://127.0.0.1:9/v1", api_key: sk-s3cret}}
${many.map((name) => `  - {model_name: ${name}, litellm_params: {model: openai/${name}, api_base: "http://127.0.0.1:9/v1", api_key: sk-s3cret}}`).join('\n')}
router_settings:
  model_group_alias: {other-name: chat}
`,
    databaseUrl: database.url,
  });
  const made = await gateway.post('/key/generate', { models: ['chat', 'wild/one'] });
  limitedKey = z.object({ key: z.string() }).parse(await made.json()).key;
});

afterAll(async () => {
  await gateway.stop();
  await database.drop();
});

const anthropic = (apiKey: string) => new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 });
const get = (path: string, key: string) => gateway.request(path, { headers: { authorization: `Bearer ${key}` } });

describe('the official Anthropic client, unmodified', () => {
  it('lists every model once, page by page', async () => {
    const names: string[] = [];
    for await (const model of anthropic(masterKey).models.list({ limit: 7 })) {
      expect(model).toMatchObject({
        type: 'model',
        display_name: model.id,
        created_at: expect.stringMatching(/T.*Z$/),
      });
      names.push(model.id);
    }
    expect(names).toEqual(['chat', 'secret-project', 'wild/*', ...many, 'other-name']);
  });

  it('goes back from a model', async () => {
    const page = await anthropic(masterKey).models.list({ before_id: 'many-01', limit: 2 });
    expect(page.data.map(({ id }) => id)).toEqual(['wild/*', 'many-00']);
    expect(page).toMatchObject({ has_more: true, first_id: 'wild/*', last_id: 'many-00' });
  });

  it('retrieves a model with its context window, and gets its own error for one that is not there', async () => {
    expect(await anthropic(masterKey).models.retrieve('chat')).toMatchObject({ id: 'chat', max_input_tokens: 1000 });
    expect((await anthropic(masterKey).models.retrieve('wild/any')).id).toBe('wild/any');
    const failure = await anthropic(masterKey)
      .models.retrieve('nope')
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NotFoundError);
    expect(failure).toMatchObject({ error: { type: 'error', error: { type: 'not_found_error' } } });
    await expect(anthropic(masterKey).models.list({ limit: 0 })).rejects.toMatchObject({ status: 400 });
  });

  it('sees only what its key may use', async () => {
    const { data } = await anthropic(limitedKey).models.list();
    expect(data.map(({ id }) => id)).toEqual(['chat', 'wild/one']);
    await expect(anthropic(limitedKey).models.retrieve('secret-project')).rejects.toMatchObject({ status: 404 });
  });
});

it('the OpenAI client sees the same in its own shape', async () => {
  const { data } = await new OpenAI({ apiKey: limitedKey, baseURL: `${gateway.url}/v1` }).models.list();
  expect(data.map(({ id, object }) => [id, object])).toEqual([
    ['chat', 'model'],
    ['wild/one', 'model'],
  ]);
});

describe('LiteLLM clients', () => {
  it.each(['/model/info', '/v1/model/info'])('%s tells of each deployment that the key may use', async (path) => {
    const response = await get(path, limitedKey);
    expect(await response.json()).toMatchObject({
      data: [
        {
          model_name: 'chat',
          litellm_params: { model: 'openai/gpt', api_base: 'http://127.0.0.1:9/v1', rpm: 10, order: 1 },
          model_info: { id: 'first', max_input_tokens: 1000, input_cost_per_token: 0.001, output_cost_per_token: null },
        },
        {
          model_name: 'chat',
          litellm_params: { model: 'azure/gpt', api_version: '2024-10-21' },
          model_info: { id: 'second' },
        },
        { model_name: 'wild/*' },
      ],
    });
  });

  it('ask for one deployment by its id, and find none that is not theirs', async () => {
    const one = await get('/v1/model/info?litellm_model_id=second', limitedKey);
    expect(await one.json()).toMatchObject({ data: [{ model_info: { id: 'second' } }] });
    expect((await get('/v1/model/info?litellm_model_id=hidden', limitedKey)).status).toBe(404);
    expect((await get('/v1/model/info?litellm_model_id=hidden', masterKey)).status).toBe(200);
  });

  it('/model_group/info adds the deployments of a group up', async () => {
    const response = await get('/model_group/info?model_group=chat', masterKey);
    expect(await response.json()).toEqual({
      data: [
        {
          model_group: 'chat',
          providers: ['openai', 'azure'],
          max_input_tokens: 1000,
          input_cost_per_token: 0.001,
          output_cost_per_token: null,
          rpm: 15,
          tpm: null,
        },
      ],
    });
  });

  it.each(['/model/info', '/model_group/info', '/v1/models', '/models/chat'])('%s holds no secret', async (path) => {
    const text = await (await get(path, masterKey)).text();
    expect(text).toContain('chat');
    expect(text).not.toContain('s3cret');
  });

  it('need a key', async () => {
    for (const path of ['/model/info', '/model_group/info']) expect((await gateway.request(path)).status).toBe(401);
  });
});
