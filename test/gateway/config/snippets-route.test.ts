/** Configurations as people find them in documents: each starts a gateway as it stands, and its requests go where it says. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type GatewayProcess, startGateway } from '../../../gateway/process.ts';
import { readSettings } from '../../../gateway/settings.ts';
import { openLog } from '../../../gateway/telemetry/log.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { masterKey } from '../../support/gateway.ts';
import { type Behaviour, json, type Recorder, startRecorder } from '../../support/recorder.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const snippet = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/config/snippets/${name}.yaml`, import.meta.url));

/** All providers at one address; each is known by its path, its wire format and its credential. */
let providers: Recorder;
let directory: string;
/** What a provider, or a model of it, answers instead of an answer. */
let failing: Readonly<Record<string, Behaviour>> = {};

const openAI = (text: string) => ({
  choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
});

const answerAs: Behaviour = (request, response) => {
  const { path, headers, body } = request;
  const asked = String(body['model']);
  const [provider, says]: readonly [string, unknown] = path.startsWith('/openai/deployments/gpt-4o/')
    ? ['azure', openAI(`azure ${String(headers['api-key'])}`)]
    : path === '/v1/messages'
      ? ['anthropic', { type: 'message', content: [{ type: 'text', text: `anthropic ${asked}` }], usage: {} }]
      : path.startsWith('/model/')
        ? ['bedrock', { output: { message: { content: [{ text: 'bedrock' }] } }, stopReason: 'end_turn', usage: {} }]
        : ['openai', openAI(`openai ${asked}`)];
  (failing[`${provider} ${asked}`] ?? failing[provider] ?? json(200, says))(request, response);
};

const invalidKey = json(401, { error: { message: 'invalid key', code: 'invalid_api_key' } });
const unavailable = json(503, { error: { message: 'down', type: 'api_error' } });
const tooLong = json(400, { error: { message: 'maximum context length', code: 'context_length_exceeded' } });

const running: GatewayProcess[] = [];

beforeAll(async () => {
  providers = await startRecorder(answerAs);
  directory = await temporaryDirectory();
});

afterAll(async () => {
  await Promise.all(running.map((gateway) => gateway.drain()));
  await providers.close();
});

beforeEach(() => {
  failing = {};
  providers.requests.length = 0;
});

interface Asks {
  readonly path: string;
  readonly body: object;
}

const chat: Asks = { path: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Hello!' }] } };

/** Starts a gateway on the file as it stands: only the environment says where the providers are. */
async function gatewayOn(path: string): Promise<(model: string, asks?: Asks) => Promise<object>> {
  const { origin } = providers;
  const settings = readSettings({
    CONFIG_FILE_PATH: path,
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    LITELLM_MASTER_KEY: masterKey,
    HOLDFAST_DRAIN_NOTICE_SECONDS: '0',
    HOLDFAST_DATA_DIRECTORY: directory,
  });
  const environment = {
    OPENAI_API_KEY: 'sk-openai',
    OPENAI_BASE_URL: `${origin}/v1`,
    AZURE_API_KEY: 'azure-key',
    AZURE_API_BASE: origin,
    ANTHROPIC_API_KEY: 'sk-ant',
    ANTHROPIC_BASE_URL: origin,
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'aws-secret',
    AWS_BEDROCK_RUNTIME_ENDPOINT: origin,
    // Named by some snippets for what is not a matter of routing; nothing listens there.
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: '1',
    REDIS_PASSWORD: 'redis-secret',
    REDIS_SENTINEL_HOST: '127.0.0.1',
  };
  const gateway = await startGateway({
    settings: { ...settings, environment },
    log: openLog('silent'),
    metricsText: () => () => Promise.resolve({ contentType: 'text/plain', body: '' }),
    writesSnapshot: false,
  });
  running.push(gateway);
  return async (model, asks = chat) => {
    const response = await fetch(`http://127.0.0.1:${gateway.port}${asks.path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, ...asks.body }),
    });
    const body: unknown = await response.json();
    const says = /"(?:content|text)":"([^"]*)"/.exec(JSON.stringify(body))?.[1] ?? body;
    const header = (name: string): string | null => response.headers.get(`x-litellm-${name}`);
    return { says, group: header('model-group'), fallbacks: Number(header('attempted-fallbacks')) };
  };
}

it.each(['cache', 'complete', 'prometheus', 'retries', 'sentinel'])(
  '%s: gpt-4o is answered by its one deployment, with the model and the key of the entry',
  async (name) => {
    const ask = await gatewayOn(snippet(name));
    expect(await ask('gpt-4o')).toEqual({ says: 'openai gpt-4o', group: 'gpt-4o', fallbacks: 0 });
    expect(providers.last().headers.authorization).toBe('Bearer sk-openai');
  },
);

it('retries: an invalid key is not retried, as its policy says', async () => {
  const ask = await gatewayOn(snippet('retries'));
  failing = { openai: invalidKey };
  expect(await ask('gpt-4o')).toMatchObject({ says: { error: { code: '401' } } });
  expect(providers.requests).toHaveLength(1);
});

it.each([
  ['complete', 'left out, as drop_params says', { says: 'openai gpt-4o' }, 1],
  ['retries', 'refused by name', { says: { error: { param: 'tools[0].type', code: '400' } } }, 0],
])('%s: a tool that runs at OpenAI is %s, where its server only chats', async (name, _, answer, calls) => {
  const ask = await gatewayOn(snippet(name));
  const body = { input: 'Hello!', tools: [{ type: 'web_search' }] };
  expect(await ask('gpt-4o', { path: '/v1/responses', body })).toMatchObject(answer);
  expect(providers.requests).toHaveLength(calls);
});

describe('fallbacks', () => {
  it('every group is answered by its own deployment; when one fails by the next of the chain', async () => {
    const ask = await gatewayOn(snippet('fallbacks'));
    expect(await ask('gpt-4o')).toMatchObject({ says: 'openai gpt-4o', fallbacks: 0 });
    expect(await ask('claude-3-5-sonnet')).toMatchObject({ says: 'openai stands-for-claude', fallbacks: 0 });
    expect(await ask('gemini-2.0-flash')).toMatchObject({ says: 'openai stands-for-gemini', fallbacks: 0 });
    failing = { 'openai gpt-4o': invalidKey };
    expect(await ask('gpt-4o')).toEqual({ says: 'openai stands-for-claude', group: 'claude-3-5-sonnet', fallbacks: 1 });
    failing = { 'openai gpt-4o': invalidKey, 'openai stands-for-claude': invalidKey };
    expect(await ask('gpt-4o')).toEqual({ says: 'openai stands-for-gemini', group: 'gemini-2.0-flash', fallbacks: 2 });
  });

  it.each([
    ['gemini-2.0-flash', 'openai stands-for-gemini'],
    ['claude-3-5-sonnet', 'openai stands-for-claude'],
  ])('a prompt that is too long for %s goes to gpt-4o', async (model, deployment) => {
    const ask = await gatewayOn(snippet('fallbacks'));
    failing = { [deployment]: tooLong };
    expect(await ask(model)).toEqual({ says: 'openai gpt-4o', group: 'gpt-4o', fallbacks: 1 });
  });
});

describe('multi-provider', () => {
  it.each([
    ['gpt-4o', ['openai gpt-4o', 'azure azure-key']],
    ['claude-sonnet-4', ['anthropic claude-sonnet-4-20250514', 'bedrock']],
  ])('%s is answered by both of its providers, in their own formats', async (model, both) => {
    const ask = await gatewayOn(snippet('multi-provider'));
    const answers = new Set<unknown>();
    // Until it is known, each latency counts as none, so both are asked within the first requests.
    for (let round = 0; round < 30 && answers.size < 2; round++) {
      answers.add(Reflect.get(await ask(model), 'says'));
    }
    expect(answers).toEqual(new Set(both));
  });

  it.each([
    ['gpt-4o', 'openai', 'azure azure-key'],
    ['gpt-4o', 'azure', 'openai gpt-4o'],
    ['claude-sonnet-4', 'anthropic', 'bedrock'],
    ['claude-sonnet-4', 'bedrock', 'anthropic claude-sonnet-4-20250514'],
  ])('%s: while %s is down, every request is answered by the other', async (model, down, says) => {
    const ask = await gatewayOn(snippet('multi-provider'));
    failing = { [down]: unavailable };
    for (let round = 0; round < 6; round++)
      expect(await ask(model)).toMatchObject({ says, group: model, fallbacks: 0 });
  });
});

describe('retry-by-status', () => {
  it('each group is answered by its own deployment; the fallback that is a group of the file takes over', async () => {
    const ask = await gatewayOn(snippet('retry-by-status'));
    expect(await ask('gpt-4o')).toMatchObject({ says: 'openai gpt-4o' });
    expect(await ask('claude-sonnet-4')).toMatchObject({ says: 'openai stands-for-claude' });
    failing = { 'openai gpt-4o': invalidKey };
    expect(await ask('gpt-4o')).toMatchObject({ says: 'openai stands-for-claude', group: 'claude-sonnet-4' });
  });

  it('with the model_list that stands above it in its document, the fallback azure/gpt-4o is the Azure deployment', async () => {
    const path = join(directory, 'config.yaml');
    const list = readFileSync(snippet('multi-provider'), 'utf8').split('router_settings:')[0] ?? '';
    const settings = readFileSync(snippet('retry-by-status'), 'utf8').split('router_settings:')[1] ?? '';
    const openAIAlone = list.replace(/ +# Azure[\s\S]*?(?= +# Anthropic)/, '');
    const azure = /- model_name: gpt-4o\n[^-]*azure[\s\S]*?(?= +# Anthropic)/.exec(list)?.[0] ?? '';
    // The document has both under one name; a name of its own shows that the model string finds the deployment.
    const renamed = azure.replace('gpt-4o', 'elsewhere');
    await writeFile(path, `${openAIAlone}  ${renamed}\nrouter_settings:${settings}`);
    const ask = await gatewayOn(path);
    failing = { openai: invalidKey };
    expect(await ask('gpt-4o')).toMatchObject({ says: 'azure azure-key', group: 'elsewhere', fallbacks: 1 });
    failing = { openai: invalidKey, azure: invalidKey };
    expect(await ask('gpt-4o')).toMatchObject({ group: 'claude-sonnet-4', fallbacks: 2 });
  });
});
