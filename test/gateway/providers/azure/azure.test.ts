import { AzureOpenAI } from 'openai';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../../gateway/domain/deployment.ts';
import type { UpstreamResponse } from '../../../../gateway/providers/adapter.ts';
import { azureAdapter } from '../../../../gateway/providers/azure.ts';
import embeddings from '../../../fixtures/providers/azure/embeddings.json' with { type: 'json' };
import errors from '../../../fixtures/providers/azure/errors.json' with { type: 'json' };
import streamed from '../../../fixtures/providers/azure/stream.json' with { type: 'json' };
import whole from '../../../fixtures/providers/azure/whole.json' with { type: 'json' };
import { exampleDeployment, exampleRequest } from '../../examples.ts';
import { expectRefusal } from '../translating/expect-refusal.ts';
import { parsedReply, parsedStream } from '../translating/official-openai.ts';
import { type CannedAnswer, recordingServer } from '../translating/recording-server.ts';

const apiVersion = '2024-10-21';
const adapter = azureAdapter(() => apiVersion);
const stream = `${streamed.events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;

const deploymentOf = (over: Partial<Deployment> = {}): Deployment =>
  exampleDeployment('azure-0', {
    provider: 'azure',
    model: 'my gpt/4o',
    origin: 'https://res.openai.azure.com',
    basePath: '',
    headers: { 'api-key': 'azure-secret' },
    ...over,
  });

const responseOf = (body: unknown, over: Partial<UpstreamResponse> = {}): UpstreamResponse => ({
  status: 200,
  contentType: 'application/json',
  headers: {},
  body: Buffer.from(JSON.stringify(body)),
  ...over,
});

async function sdkAt(answer: CannedAnswer, deployment?: string) {
  const { origin, requests } = await recordingServer(answer);
  const client = new AzureOpenAI({
    endpoint: origin,
    apiKey: 'azure-secret',
    apiVersion,
    maxRetries: 0,
    ...(deployment === undefined ? {} : { deployment }),
  });
  return { client, requests };
}

const messages = [{ role: 'user' as const, content: 'Hello!' }];

describe('the address', () => {
  it.each([
    ['', '/openai/deployments/my%20gpt%2F4o/chat/completions?api-version=2024-10-21'],
    ['/openai', '/openai/deployments/my%20gpt%2F4o/chat/completions?api-version=2024-10-21'],
    ['/gateway', '/gateway/openai/deployments/my%20gpt%2F4o/chat/completions?api-version=2024-10-21'],
    ['/openai/deployments/other', '/openai/deployments/other/chat/completions?api-version=2024-10-21'],
    ['/openai/v1', '/openai/v1/chat/completions'],
  ])('api_base with the path %j', (basePath, path) => {
    expect(adapter.toUpstream(exampleRequest(), deploymentOf({ basePath })).path).toBe(path);
  });

  it('operations that Azure does not have are refused by name', () => {
    expectRefusal(
      () => adapter.toUpstream(exampleRequest(undefined, { operation: 'rerank' }), deploymentOf()),
      'rerank',
    );
  });

  it('the v1 address names the model by the body', () => {
    const call = adapter.toUpstream(exampleRequest(), deploymentOf({ basePath: '/openai/v1', model: 'my-gpt' }));
    expect(JSON.parse(call.body.toString())).toMatchObject({ model: 'my-gpt' });
  });
});

describe('the request is the one of the official SDK', () => {
  it('chat', async () => {
    const { client, requests } = await sdkAt({ body: whole.body });
    expect(await client.chat.completions.create({ model: 'my-gpt', messages, temperature: 0.5 })).toEqual(whole.body);
    const call = adapter.toUpstream(
      exampleRequest({ model: 'chat', messages, temperature: 0.5 }),
      deploymentOf({ model: 'my-gpt' }),
    );
    expect(requests[0]).toMatchObject({ method: 'POST', path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(requests[0]?.body);
  });

  it('a stream', async () => {
    const { client, requests } = await sdkAt({ contentType: 'text/event-stream', body: stream });
    const body = { messages, stream: true as const, stream_options: { include_usage: true } };
    const said: string[] = [];
    for await (const chunk of await client.chat.completions.create({ model: 'my-gpt', ...body })) {
      said.push(chunk.choices[0]?.delta.content ?? '');
    }
    expect(said.join('')).toBe('Hello!');
    const call = adapter.toUpstream(exampleRequest({ model: 'chat', ...body }), deploymentOf({ model: 'my-gpt' }));
    expect(requests[0]).toMatchObject({ path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(requests[0]?.body);
  });

  it('embeddings', async () => {
    const { client, requests } = await sdkAt({ body: embeddings.body });
    const body = { input: 'Hello!', encoding_format: 'float' as const };
    await client.embeddings.create({ model: 'embed', ...body });
    const request = exampleRequest({ model: 'chat', ...body }, { operation: 'embeddings' });
    const call = adapter.toUpstream(request, deploymentOf({ model: 'embed' }));
    expect(requests[0]).toMatchObject({ path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(requests[0]?.body);
  });
});

describe('answers', () => {
  it('a whole one passes as it is', async () => {
    const { body, usage } = adapter.toReply(responseOf(whole.body), exampleRequest(), deploymentOf());
    expect(usage).toEqual({ promptTokens: 9, completionTokens: 3 });
    expect(await parsedReply(body)).toEqual(whole.body);
  });

  it('events of a stream mean what they mean at OpenAI; the filter results in front are content', async () => {
    const events = stream
      .split('\n\n')
      .filter(Boolean)
      .map((event) => Buffer.from(`${event}\n\n`));
    const request = exampleRequest({ model: 'chat', messages, stream: true });
    const meanings = events.map((event) =>
      adapter.isRemarkable(event) ? adapter.readEvent(event, request, deploymentOf()).is : 'relayed',
    );
    expect(meanings).toEqual(['relayed', 'relayed', 'relayed', 'relayed', 'relayed', 'usage', 'end']);
    expect((await parsedStream(stream)).choices[0]?.message.content).toBe('Hello!');
  });

  it('an error inside of a 200 is classified like one with a status', () => {
    const refused = () => adapter.toReply(responseOf(errors.errors[1]?.body), exampleRequest(), deploymentOf());
    expect(refused).toThrow(expect.objectContaining({ name: 'UpstreamError', kind: 'content-policy', status: 400 }));
  });
});

describe('errors', () => {
  it.each(errors.errors)('$status is $kind', async ({ status, kind, body, wait, retryAfter }) => {
    const error = adapter.classify(
      responseOf(body, { status, headers: { 'retry-after': retryAfter } }),
      deploymentOf(),
    );
    expect(error).toMatchObject({ status, kind, provider: 'azure', message: body.error?.message ?? body.message });
    expect(error.retryAfterSeconds).toBe(wait);
    const { client } = await sdkAt({ status, body });
    await expect(client.chat.completions.create({ model: 'm', messages })).rejects.toMatchObject({ status });
  });

  it('a key that is quoted does not come through', () => {
    const body = { error: { message: 'Key azure-secret is wrong' } };
    expect(adapter.classify(responseOf(body, { status: 401 }), deploymentOf()).message).toBe('Key *** is wrong');
  });
});
