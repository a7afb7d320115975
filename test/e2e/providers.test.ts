import Anthropic from '@anthropic-ai/sdk';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
/** A provider's wire formats as somebody else wrote them. */
let mock: LLMock;
let azure: Upstream;
let gateway: TestGateway;
let openai: OpenAI;

beforeAll(async () => {
  database = await migratedDatabase();
  mock = new LLMock({ port: await freePort(), host: '127.0.0.1' });
  mock.onMessage('Hello!', { content: 'Hello from Claude.' });
  await mock.start();
  azure = await startUpstream({ name: 'Azure' });
  const config = `
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "${mock.url}", api_key: sk-ant-upstream}
  - model_name: azure-gpt
    litellm_params: {model: azure/my-deployment, api_base: "${new URL(azure.url).origin}", api_key: azure-key, api_version: "2024-10-21"}
  - model_name: gemini
    litellm_params: {model: gemini/gemini-2.0-flash, api_base: "${mock.url}", api_key: gemini-key}
  - model_name: bedrock
    litellm_params:
      model: bedrock/anthropic.claude-3-sonnet-20240229-v1:0
      aws_bedrock_runtime_endpoint: "${mock.url}"
      aws_access_key_id: AKIAEXAMPLE
      aws_secret_access_key: secret-example
      aws_region_name: us-east-1
  - model_name: dead
    litellm_params: {model: azure/nobody, api_base: "http://127.0.0.1:${await freePort()}", api_key: azure-key}
router_settings:
  num_retries: 0
  fallbacks: [{dead: [anthropic/claude-sonnet-4-5]}]
`;
  gateway = await startTestGateway({ config, databaseUrl: database.url });
  openai = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.stop();
  await azure.close();
  await mock.stop();
  await database.drop();
});

const messages = [{ role: 'user' as const, content: 'Hello!' }];

describe.each(['claude', 'gemini', 'bedrock'])('a client of OpenAI over %s', (model) => {
  it('gets a whole answer', async () => {
    const completion = await openai.chat.completions.create({ model, messages });
    expect(completion.choices[0]?.message.content).toBe('Hello from Claude.');
    expect(completion.choices[0]?.finish_reason).toBe('stop');
  });

  it('gets a stream', async () => {
    let text = '';
    for await (const chunk of await openai.chat.completions.create({ model, messages, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toBe('Hello from Claude.');
  });
});

it('a client is told which parameter a provider cannot express, before it is called', async () => {
  await expect(openai.chat.completions.create({ model: 'claude', messages, n: 2 })).rejects.toMatchObject({
    status: 400,
    param: 'n',
  });
});

it('calls to Bedrock carry a signature and its date (that it is the right one is compared with the SDK elsewhere)', () => {
  const sent = mock.getRequests().filter(({ path }) => path.includes('/model/'));
  expect(sent.length).toBeGreaterThan(0);
  for (const { headers } of sent) {
    expect(headers?.['authorization']).toBeDefined();
    expect(headers?.['x-amz-date']).toMatch(/^\d{8}T\d{6}Z$/);
  }
});

it('a client of Anthropic over Anthropic gets a whole answer and a stream', async () => {
  const anthropic = new Anthropic({ apiKey: masterKey, baseURL: gateway.url, maxRetries: 0 });
  const message = await anthropic.messages.create({ model: 'claude', max_tokens: 50, messages });
  expect(message.content).toMatchObject([{ type: 'text', text: 'Hello from Claude.' }]);
  const final = await anthropic.messages.stream({ model: 'claude', max_tokens: 50, messages }).finalMessage();
  expect(final.content).toMatchObject([{ type: 'text', text: 'Hello from Claude.' }]);
});

it('Azure is called at its own address, with its own key header and version', async () => {
  const completion = await openai.chat.completions.create({ model: 'azure-gpt', messages });
  expect(completion.choices[0]?.message.content).toContain('This is Azure.');
  const request = azure.requests.at(-1);
  expect(request?.path).toBe('/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21');
  expect(request?.headers['api-key']).toBe('azure-key');
  expect(request?.headers.authorization).toBeUndefined();
});

it('a fallback that names a model string crosses from one provider format to another, unseen by the client', async () => {
  const completion = await openai.chat.completions.create({ model: 'dead', messages });
  expect(completion.choices[0]?.message.content).toBe('Hello from Claude.');
});
