/** Embeddings and rerank over providers with a wire format of their own; the official OpenAI client reads the answers. */
import { BedrockRuntimeClient, InvokeModelCommand } from '@aws-sdk/client-bedrock-runtime';
import { GoogleGenAI } from '@google/genai';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../../gateway/domain/deployment.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import type { Batches, UpstreamResponse } from '../../../../gateway/providers/adapter.ts';
import { bedrockAdapter } from '../../../../gateway/providers/bedrock/adapter.ts';
import { geminiAdapter } from '../../../../gateway/providers/gemini/adapter.ts';
import bedrock from '../../../fixtures/providers/bedrock/embeddings.json' with { type: 'json' };
import gemini from '../../../fixtures/providers/gemini/embeddings.json' with { type: 'json' };
import { exampleDeployment, exampleRequest } from '../../examples.ts';
import { expectRefusal } from '../translating/expect-refusal.ts';
import { openAIClientFor } from '../translating/official-openai.ts';
import { overHttp1 } from '../translating/over-http1.ts';
import { recordingServer } from '../translating/recording-server.ts';

const deploymentOf = (provider: string, model: string): Deployment =>
  exampleDeployment('d', { provider, model, basePath: '', headers: {} });
const geminiModel = deploymentOf('gemini', 'gemini-embedding-001');
const titan = deploymentOf('bedrock', 'amazon.titan-embed-text-v2:0');
const titanG1 = deploymentOf('bedrock', 'amazon.titan-embed-text-v1');
const cohere3 = deploymentOf('bedrock', 'cohere.embed-multilingual-v3');
const cohere4 = deploymentOf('bedrock', 'us.cohere.embed-v4:0');

const requestOf = (body: JsonObject) => exampleRequest({ model: 'm', ...body }, { operation: 'embeddings' });

function batchesFor(deployment: Deployment, body: JsonObject, dropParams = false): Batches {
  const adapter = (deployment.provider === 'gemini' ? geminiAdapter : bedrockAdapter)({ dropParams });
  const batches = adapter.inBatches?.(requestOf(body), deployment);
  if (batches === undefined) throw new Error('embeddings come in batches');
  return batches;
}

const sent = (batches: Batches): JsonObject[] => batches.calls.map(({ body }) => JSON.parse(body.toString()));
const answer = (body: unknown, headers: UpstreamResponse['headers'] = {}): UpstreamResponse => ({
  status: 200,
  contentType: 'application/json',
  headers,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});
const two = { input: ['first', 'second'] };

describe('what is sent', () => {
  it('Gemini: every text is a request of its own, in the words of its API', () => {
    const batches = batchesFor(geminiModel, { ...two, dimensions: 768, task_type: 'RETRIEVAL_QUERY', user: 'u' });
    expect(batches.calls[0]?.path).toBe('/v1beta/models/gemini-embedding-001:batchEmbedContents');
    const settings = { model: 'models/gemini-embedding-001', taskType: 'RETRIEVAL_QUERY', outputDimensionality: 768 };
    expect(sent(batches)).toEqual([
      {
        requests: [
          { ...settings, content: { parts: [{ text: 'first' }] } },
          { ...settings, content: { parts: [{ text: 'second' }] } },
        ],
      },
    ]);
  });

  it('Gemini: it is what Google’s own client sends', async () => {
    const { origin, requests } = await recordingServer({ body: gemini.body });
    const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: origin, apiVersion: 'v1beta' } });
    const result = await client.models.embedContent({
      model: 'gemini-embedding-001',
      contents: two.input,
      config: { outputDimensionality: 768, taskType: 'RETRIEVAL_QUERY' },
    });
    // Its reader accepts the fixture.
    expect(result.embeddings?.map(({ values }) => values)).toEqual(gemini.body.embeddings.map(({ values }) => values));
    const batches = batchesFor(geminiModel, { ...two, dimensions: 768, taskType: 'RETRIEVAL_QUERY' });
    expect(requests[0]?.path).toBe(batches.calls[0]?.path);
    // It says the role, which the API does not ask for here.
    const said = JSON.stringify(requests[0]?.body).replaceAll(/,"role":"user"|"role":"user",/g, '');
    expect(sent(batches)[0]).toEqual(JSON.parse(said));
  });

  it('Bedrock: it goes where the official SDK sends it', async () => {
    const { origin, requests } = await recordingServer({ body: bedrock.titan });
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: origin,
      credentials: { accessKeyId: 'A', secretAccessKey: 's' },
      maxAttempts: 1,
      requestHandler: overHttp1,
    });
    const [call] = batchesFor(titan, { input: 'first', dimensions: 512 }).calls;
    await client.send(
      new InvokeModelCommand({
        modelId: titan.model,
        body: call?.body,
        contentType: 'application/json',
        accept: 'application/json',
      }),
    );
    expect(requests[0]).toMatchObject({ path: call?.path, headers: { ...call?.headers } });
  });

  it('Titan takes one text at a time, and its own settings', () => {
    expect(sent(batchesFor(titan, { ...two, dimensions: 512, normalize: false }))).toEqual([
      { inputText: 'first', dimensions: 512, normalize: false },
      { inputText: 'second', dimensions: 512, normalize: false },
    ]);
  });

  it('Cohere takes 96 texts at a time', () => {
    const input = Array.from({ length: 200 }, (_, index) => `text ${index}`);
    const bodies = sent(batchesFor(cohere3, { input }));
    expect(bodies.flatMap(({ texts }) => texts)).toEqual(input);
    expect(bodies.map(({ texts }) => (Array.isArray(texts) ? texts.length : 0))).toEqual([96, 96, 8]);
  });

  it('Cohere needs the type of the input; documents unless the client says otherwise', () => {
    expect(sent(batchesFor(cohere3, two))).toEqual([{ input_type: 'search_document', texts: ['first', 'second'] }]);
    expect(sent(batchesFor(cohere4, { ...two, input_type: 'search_query', truncate: 'END', dimensions: 256 }))).toEqual(
      [
        {
          input_type: 'search_query',
          truncate: 'END',
          texts: ['first', 'second'],
          output_dimension: 256,
          embedding_types: ['float'],
        },
      ],
    );
  });

  it.each<[string, Deployment, JsonObject, string]>([
    ['tokens', geminiModel, { input: [1, 2, 3] }, 'input'],
    ['lists of tokens', titan, { input: [[1, 2], [3]] }, 'input'],
    ['an empty text', geminiModel, { input: '' }, 'input'],
    ['an empty text in a list', cohere3, { input: ['a', ''] }, 'input[1]'],
    ['an empty list', titan, { input: [] }, 'input'],
    ['more than OpenAI takes', titan, { input: Array.from({ length: 2049 }, () => 'a') }, 'input'],
    ['an unknown encoding', geminiModel, { input: 'a', encoding_format: 'int8' }, 'encoding_format'],
    ['half a dimension', geminiModel, { input: 'a', dimensions: 0.5 }, 'dimensions'],
    ['dimensions of a model with one length', cohere3, { input: 'a', dimensions: 256 }, 'dimensions'],
    ['dimensions of a model with one length', titanG1, { input: 'a', dimensions: 256 }, 'dimensions'],
    ['a model that embeds nothing', deploymentOf('bedrock', 'anthropic.claude-opus-4-8'), { input: 'a' }, 'model'],
  ])('%s: refused by the name of the parameter', (_case, deployment, body, param) => {
    expectRefusal(() => batchesFor(deployment, body), param);
  });

  it('dimensions of a model with one length can be dropped', () => {
    expect(sent(batchesFor(titanG1, { input: 'a', dimensions: 256 }, true))).toEqual([{ inputText: 'a' }]);
  });
});

describe('what the client gets', () => {
  const vectors = [
    [0.5, -0.25, 0.125],
    [1, 0, -1],
  ];
  const counted = { 'x-amzn-bedrock-input-token-count': '9' };

  it.each<[string, Deployment, UpstreamResponse[], number[][], number | undefined]>([
    ['Gemini', geminiModel, [answer(gemini.body)], vectors, 7],
    ['Titan', titan, [answer(bedrock.titan), answer(bedrock.titan)], [vectors[0] ?? [], vectors[0] ?? []], 8],
    ['Cohere 3', cohere3, [answer(bedrock.cohere, counted)], vectors, 9],
    ['Cohere 4', cohere4, [answer(bedrock.cohereByType, counted)], vectors, 9],
    ['Cohere without a count', cohere3, [answer(bedrock.cohere)], vectors, undefined],
  ])(
    '%s: vectors in order, and the tokens that were counted',
    async (_name, deployment, responses, expected, tokens) => {
      // The official client asks for base64 when its user does not say, and decodes it.
      for (const { encoding_format, onTheWire } of [
        { encoding_format: 'float' as const, onTheWire: 'float' },
        { encoding_format: undefined, onTheWire: 'base64' },
      ]) {
        const reply = batchesFor(deployment, { ...two, encoding_format: onTheWire }).toReply(responses);
        const client = await openAIClientFor('application/json', reply.body);
        const stated = encoding_format === undefined ? {} : { encoding_format };
        const read = await client.embeddings.create({ model: 'm', input: two.input, ...stated });
        expect(read.data.map(({ embedding, index }) => [index, embedding])).toEqual([...expected.entries()]);
        expect(read.usage?.prompt_tokens).toBe(tokens);
        expect(reply.usage).toEqual(tokens === undefined ? undefined : { promptTokens: tokens, completionTokens: 0 });
      }
    },
  );

  it.each([
    ['fewer vectors than texts', answer({ embeddings: [{ values: [1] }] })],
    ['something that is no vector', answer({ embeddings: [{ values: ['a'] }, { values: [1] }] })],
    ['an empty vector', answer({ embeddings: [{ values: [] }, { values: [1] }] })],
    ['HTML', answer('<html>')],
    ['nothing', answer('')],
    ['cut JSON', answer('{"embeddings":[{"values":[0.1')],
  ])('%s is a failed attempt that may be billed', (_case, response) => {
    expect(() => batchesFor(geminiModel, two).toReply([response])).toThrow(
      expect.objectContaining({ name: 'UpstreamError', kind: 'unavailable', status: 502, mayBeBilled: true }),
    );
  });
});

describe('rerank on Bedrock', () => {
  const adapter = bedrockAdapter({ dropParams: false });
  const deployment = deploymentOf('bedrock', 'cohere.rerank-v3-5:0');
  const body = { model: 'm', query: 'capital', documents: ['a', { text: 'b' }, 'c'], top_n: 2 };
  const request = exampleRequest(body, { operation: 'rerank' });

  it('asks the model in its own format', () => {
    const call = adapter.toUpstream(request, deployment);
    expect(call.path).toBe('/model/cohere.rerank-v3-5%3A0/invoke');
    const common = { query: 'capital', documents: ['a', 'b', 'c'], top_n: 2 };
    expect(JSON.parse(call.body.toString())).toEqual({ ...common, api_version: 2 });
    const amazon = adapter.toUpstream(request, deploymentOf('bedrock', 'amazon.rerank-v1:0'));
    expect(JSON.parse(amazon.body.toString())).toEqual(common);
  });

  it('answers in Cohere’s format, with the documents on demand', () => {
    const { body: plain, usage } = adapter.toReply(answer(bedrock.rerank), request, deployment);
    expect(JSON.parse(plain.toString())).toEqual({ id: request.id, results: bedrock.rerank.results });
    expect(usage).toBeUndefined();
    const wanted = exampleRequest({ ...body, return_documents: true }, { operation: 'rerank' });
    expect(JSON.parse(adapter.toReply(answer(bedrock.rerank), wanted, deployment).body.toString())).toMatchObject({
      results: [
        { index: 2, relevance_score: 0.99, document: { text: 'c' } },
        { index: 0, relevance_score: 0.02, document: { text: 'a' } },
      ],
    });
  });

  it('refuses models that do not rerank, and documents without text', () => {
    expectRefusal(() => adapter.toUpstream(request, titan), 'model');
    const strange = exampleRequest({ ...body, documents: ['a', { title: 'b' }] }, { operation: 'rerank' });
    expectRefusal(() => adapter.toUpstream(strange, deployment), 'documents[1]');
  });

  it('an answer that is no ranking is a failed attempt', () => {
    expect(() => adapter.toReply(answer({}), request, deployment)).toThrow(
      expect.objectContaining({ name: 'UpstreamError', status: 502 }),
    );
  });
});
