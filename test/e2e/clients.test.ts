import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embed, generateText, streamText } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';

const said = 'This is the upstream. You said: Hello!';

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({ name: 'the upstream' });
  gateway = await startTestGateway({ config: configFor([upstream.url]), databaseUrl: database.url });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

describe('LangChain for JavaScript, unmodified', () => {
  const model = () =>
    new ChatOpenAI({
      model: 'chat',
      apiKey: masterKey,
      maxRetries: 0,
      configuration: { baseURL: `${gateway.url}/v1` },
    });

  it('invokes', async () => {
    expect((await model().invoke('Hello!')).content).toBe(said);
  });

  it('streams', async () => {
    let text = '';
    for await (const chunk of await model().stream('Hello!')) text += chunk.text;
    expect(text).toBe(said);
  });

  it('embeds', async () => {
    const embeddings = new OpenAIEmbeddings({
      model: 'chat',
      apiKey: masterKey,
      configuration: { baseURL: `${gateway.url}/v1` },
    });
    expect((await embeddings.embedQuery('one')).length).toBe(256);
  });
});

describe('the Vercel AI SDK, unmodified', () => {
  const provider = () => createOpenAICompatible({ name: 'holdfast', apiKey: masterKey, baseURL: `${gateway.url}/v1` });

  it('generates', async () => {
    const { text, usage } = await generateText({
      model: provider().chatModel('chat'),
      prompt: 'Hello!',
      maxRetries: 0,
    });
    expect(text).toBe(said);
    expect(usage.outputTokens).toBeGreaterThan(0);
  });

  it('streams', async () => {
    const { textStream } = streamText({ model: provider().chatModel('chat'), prompt: 'Hello!', maxRetries: 0 });
    let text = '';
    for await (const delta of textStream) text += delta;
    expect(text).toBe(said);
  });

  it('embeds', async () => {
    const { embedding } = await embed({ model: provider().embeddingModel('chat'), value: 'one', maxRetries: 0 });
    expect(embedding.length).toBe(256);
  });
});

/** A virtual environment that `.ci/run` makes; elsewhere: `python3 -m venv .cache/python && .cache/python/bin/pip install -r test/fixtures/python/requirements.txt` */
const python = fileURLToPath(new URL('../../.cache/python/bin/python', import.meta.url));

describe.skipIf(process.env['CI'] === undefined && !existsSync(python))(
  'the Python clients, unmodified (skipped where .cache/python is missing, never in CI)',
  () => {
    it('openai and langchain-openai chat, stream and embed', async () => {
      const script = fileURLToPath(new URL('../fixtures/python/clients.py', import.meta.url));
      const { stdout } = await promisify(execFile)(python, [script, `${gateway.url}/v1`, masterKey], {
        timeout: 60_000,
      });
      expect(JSON.parse(stdout)).toEqual({
        openai: { chat: said, stream: said, embedding: 256 },
        langchain: { invoke: said, stream: said },
      });
    }, 70_000);
  },
);
