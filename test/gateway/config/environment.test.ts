import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { faultsOf, load, withOne } from './load-example.ts';

const deployments = (...given: Parameters<typeof load>): Deployment[] =>
  [...load(...given).config.groups.values()].flat();

const oneOf = (...given: Parameters<typeof load>): Deployment => {
  const [deployment] = deployments(...given);
  if (deployment === undefined) throw new Error('there is no deployment');
  return deployment;
};

/** An entry with these litellm_params beside one that can always be called. */
const besides = (params: string, rest = ''): string =>
  `model_list:
  - model_name: spare
    litellm_params: {model: gpt-4o, api_key: sk-spare}
  - model_name: chat
    litellm_params: ${params}
${rest}`;

describe('os.environ/NAME', () => {
  it('is the variable’s value, wherever text may stand', () => {
    const text = `
model_list:
  - model_name: os.environ/NAME
    litellm_params: {model: os.environ/MODEL, api_key: os.environ/KEY, rpm: os.environ/RPM, api_base: os.environ/BASE}
    model_info: {id: os.environ/ID}
general_settings: {master_key: os.environ/MASTER, database_url: os.environ/DB}
router_settings: {fallbacks: [{chat: [os.environ/NAME]}], disable_cooldowns: os.environ/YES, timeout: os.environ/TIME}`;
    const environment = {
      NAME: 'chat',
      MODEL: 'openai/gpt-4o',
      KEY: 'sk-x',
      RPM: '12',
      BASE: 'http://h:1/v1',
      ID: 'the-id',
      MASTER: 'sk-master-key',
      DB: 'postgresql://u:p@h/d',
      YES: 'True',
      TIME: '2.5',
    };
    const { config } = load(text, { environment });
    expect(config.groups.get('chat')?.[0]).toMatchObject({
      id: 'the-id',
      model: 'gpt-4o',
      origin: 'http://h:1',
      basePath: '/v1',
      rpm: 12,
      headers: { authorization: 'Bearer sk-x' },
    });
    expect(config).toMatchObject({
      masterKey: 'sk-master-key',
      databaseUrl: 'postgresql://u:p@h/d',
      requestTimeoutSeconds: 2.5,
      cooldown: { enabled: false },
    });
    expect(config.recovery.fallbacks.get('chat')).toEqual(['chat']);
  });

  it('is left alone inside other text, and is not resolved twice', () => {
    const environment = { A: 'os.environ/B', B: 'secret' };
    expect(
      oneOf('model_list: [{model_name: "x os.environ/B", litellm_params: {model: gpt-4o, api_key: os.environ/A}}]', {
        environment,
      }),
    ).toMatchObject({
      modelGroup: 'x os.environ/B',
      headers: { authorization: 'Bearer os.environ/B' },
    });
  });

  it.each([
    ['api_key', '{model: gpt-4o, api_key: os.environ/GONE}'],
    ['api_base', '{model: gpt-4o, api_key: sk-x, api_base: os.environ/GONE}'],
    ['the model itself', '{model: os.environ/GONE, api_key: sk-x}'],
    ['a number', '{model: gpt-4o, api_key: sk-x, rpm: os.environ/GONE}'],
    ['a tag', '{model: gpt-4o, api_key: sk-x, tags: [os.environ/GONE]}'],
  ])('that is not set, in %s of a deployment, leaves that deployment out and says so', (_case, params) => {
    for (const environment of [{}, { GONE: '' }, { GONE: undefined }]) {
      const { config, warnings } = load(besides(params), { environment });
      expect([...config.groups.keys()]).toEqual(['spare']);
      expect(warnings).toEqual([
        {
          path: 'model_list[1].litellm_params',
          line: 5,
          message: 'the environment variable GONE is not set; this deployment is left out',
        },
      ]);
    }
  });

  it('that is not set is a fault with ignore_invalid_deployments: false', () => {
    const text = besides(
      '{model: gpt-4o, api_key: os.environ/GONE}',
      'router_settings: {ignore_invalid_deployments: false}',
    );
    expect(faultsOf(text)).toMatchObject([{ path: 'model_list[1].litellm_params', line: 5 }]);
  });

  it('that is not set anywhere else is a fault with its line', () => {
    expect(faultsOf(withOne('general_settings:\n  master_key: os.environ/GONE'))).toEqual([
      {
        path: 'general_settings.master_key',
        line: 5,
        message: 'the environment variable GONE is not set; set it, or remove the line',
      },
    ]);
  });

  it('when no deployment is left that is a fault, and so is each reason', () => {
    expect(
      faultsOf('model_list: [{model_name: a, litellm_params: {model: gpt-4o, api_key: os.environ/GONE}}]'),
    ).toMatchObject([
      { path: 'model_list', message: expect.stringContaining('no deployment is left') },
      { message: expect.stringContaining('GONE is not set') },
    ]);
  });
});

describe('environment_variables of the file', () => {
  const text = (value: string) =>
    `environment_variables: {KEY: ${value}}\nmodel_list: [{model_name: a, litellm_params: {model: gpt-4o, api_key: os.environ/KEY}}]`;
  const keyWith = (value: string, environment: Record<string, string | undefined>) =>
    oneOf(text(value), { environment }).headers['authorization'];

  it('are used where the process has none, or a blank one', () => {
    expect(keyWith('sk-file', {})).toBe('Bearer sk-file');
    expect(keyWith('sk-file', { KEY: '' })).toBe('Bearer sk-file');
    expect(keyWith('sk-file', { KEY: undefined })).toBe('Bearer sk-file');
    expect(keyWith('12345', {})).toBe('Bearer 12345');
  });

  it('lose against the process’s own', () => {
    expect(keyWith('sk-file', { KEY: 'sk-process' })).toBe('Bearer sk-process');
  });

  it('may themselves stand for another variable', () => {
    expect(keyWith('os.environ/OTHER', { OTHER: 'sk-other' })).toBe('Bearer sk-other');
  });
});

describe('defaults of providers', () => {
  const params = (text: string, environment: Record<string, string>) =>
    oneOf(`model_list: [{model_name: a, litellm_params: ${text}}]`, { environment });

  it.each<[string, Record<string, string>, string, string, string | undefined]>([
    ['{model: gpt-4o}', { OPENAI_API_KEY: 'sk-o' }, 'https://api.openai.com', '/v1', 'Bearer sk-o'],
    [
      '{model: openai/gpt-4o}',
      { OPENAI_API_KEY: 'sk-o', OPENAI_BASE_URL: 'http://b/x/' },
      'http://b',
      '/x',
      'Bearer sk-o',
    ],
    [
      '{model: openai/gpt-4o}',
      { OPENAI_API_KEY: 'sk-o', OPENAI_BASE_URL: '' },
      'https://api.openai.com',
      '/v1',
      'Bearer sk-o',
    ],
    ['{model: groq/llama}', { GROQ_API_KEY: 'gsk' }, 'https://api.groq.com', '/openai/v1', 'Bearer gsk'],
    [
      '{model: hosted_vllm/Qwen/Qwen3}',
      { HOSTED_VLLM_API_BASE: 'http://v:8000/v1' },
      'http://v:8000',
      '/v1',
      undefined,
    ],
    ['{model: ollama/x}', {}, 'http://localhost:11434', '/v1', undefined],
    ['{model: x, base_url: "http://u/v1", api_key: sk-1}', {}, 'http://u', '/v1', 'Bearer sk-1'],
    ['{model: meta/llama, api_base: "http://u", api_key: sk-1}', {}, 'http://u', '', 'Bearer sk-1'],
    ['{model: x, custom_llm_provider: hosted_vllm, api_base: "http://u"}', {}, 'http://u', '', undefined],
  ])('%s with %j', (text, environment, origin, basePath, authorization) => {
    const deployment = params(text, environment);
    expect(deployment).toMatchObject({ origin, basePath });
    expect(deployment.headers['authorization']).toBe(authorization);
  });

  it('a provider without a key is left out, and its variable named', () => {
    const { warnings } = load(besides('{model: groq/llama}'));
    expect(warnings[0]?.message).toBe('has no api_key and GROQ_API_KEY is not set; this deployment is left out');
  });
});

describe('the demo', () => {
  const text = `model_list:
  - {model_name: a, litellm_params: {model: gpt-4o, api_key: os.environ/ONE}}
  - {model_name: a, litellm_params: {model: gpt-4o, api_key: os.environ/TWO}}
  - {model_name: a, litellm_params: {model: gpt-4o, api_key: os.environ/THREE}}
  - {model_name: b, litellm_params: {model: groq/llama}}`;

  it('answers for every deployment, whatever is not set, in turn', () => {
    const made = deployments(text, { environment: {}, demoUpstreams: ['http://d:1/v1', 'http://d:2/v1'] });
    expect(made.map(({ origin }) => origin)).toEqual(['http://d:1', 'http://d:2', 'http://d:1', 'http://d:2']);
    expect(new Set(made.map(({ id }) => id)).size).toBe(4);
    expect(made.every(({ provider }) => provider === 'demo')).toBe(true);
  });

  it('no key of a real provider is sent to it', () => {
    const environment = { ONE: 'sk-real', TWO: 'sk-real', THREE: 'sk-real', GROQ_API_KEY: 'sk-real' };
    const made = deployments(text, { environment, demoUpstreams: ['http://d:1/v1'] });
    expect(JSON.stringify(made)).not.toContain('sk-real');
  });
});
