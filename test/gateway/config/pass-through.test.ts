/** `pass_through_endpoints`, raw provider routes and the APIs that a deployment speaks, as the file states them. */
import { describe, expect, it } from 'vitest';
import { faultsOf, load, withOne } from './load-example.ts';

const endpoints = (...lines: readonly string[]): string =>
  withOne(`general_settings:\n  pass_through_endpoints:\n${lines.map((line) => `    - {${line}}`).join('\n')}`);
const passThrough = (text: string, environment: Readonly<Record<string, string>> = {}) =>
  load(text, { environment }).config.passThrough;

describe('an endpoint', () => {
  it('says little: everything has its default', () => {
    expect(passThrough(endpoints('path: /bria/, target: "https://api.example.com/v1/"'))).toEqual([
      {
        path: '/bria',
        includeSubpath: false,
        methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
        origin: 'https://api.example.com',
        basePath: '/v1',
        query: {},
        headers: {},
        forwardHeaders: false,
        needsKey: true,
        timeoutSeconds: 600,
      },
    ]);
  });

  it('takes variables anywhere in a header', () => {
    const text = endpoints(
      'path: /a, target: "https://a.example", headers: {Authorization: "Bearer os.environ/ONE-os.environ/TWO"}',
    );
    const [endpoint] = passThrough(text, { ONE: 'first', TWO: 'second' });
    expect(endpoint?.headers).toEqual({ authorization: 'Bearer first-second' });
  });

  it('a price is exact', () => {
    const prices = ['0.1', '0.0000015', '1e-7'].map((price) =>
      endpoints(`path: /a, target: "https://a.example", cost_per_request: ${price}`),
    );
    expect(prices.map((text) => passThrough(text)[0]?.costMicros)).toEqual([100_000n, 2n, 1n]);
  });

  it('several may share a path by method', () => {
    expect(
      passThrough(
        endpoints(
          'path: /a, target: "https://a.example", methods: [get]',
          'path: /a, target: "https://b.example", methods: [post, put]',
        ),
      ).map(({ methods }) => methods),
    ).toEqual([['GET'], ['POST', 'PUT']]);
  });
});

it('all faults of all endpoints come at once, each with its place and mend, and none shows a secret', () => {
  const faults = faultsOf(
    endpoints(
      'path: bria, target: "https://a.example"',
      'path: "/a/:id", target: ftp://a.example',
      'path: /key, target: "https://user:s3cret@a.example"',
      'path: /twice, target: "https://a.example", headers: {X-Key: "s3cret os.environ/NOWHERE"}',
      'path: /twice, target: "https://a.example", headers: {"X Key": s3cret}',
    ),
  );
  expect(faults.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    expect.stringMatching(/endpoints\[0\]\.path: must start with a slash/),
    expect.stringMatching(/endpoints\[1\]\.path: may hold letters/),
    expect.stringMatching(/endpoints\[1\]\.target: .*is not an http or https address/),
    expect.stringMatching(/endpoints\[2\]\.path: "\/key" is a path of the gateway itself/),
    expect.stringMatching(/endpoints\[2\]\.target: the address holds a user or password/),
    expect.stringMatching(/endpoints\[3\]\.headers\.X-Key: the environment variable NOWHERE is not set/),
    expect.stringMatching(/endpoints\[4\]\.path: "\/twice" is taken by pass_through_endpoints\[3\]/),
    expect.stringMatching(/endpoints\[4\]\.headers\.X Key: is not a header/),
  ]);
  expect(faults.every(({ line }) => line !== undefined)).toBe(true);
  expect(JSON.stringify(faults)).not.toContain('s3cret');
});

it('a method that does not exist, and a misspelled key, are told', () => {
  expect(faultsOf(endpoints('path: /a, target: "https://a.example", methods: [FETCH]'))).toMatchObject([
    {
      path: 'general_settings.pass_through_endpoints[0].methods[0]',
      message: expect.stringContaining('choose one of GET'),
    },
  ]);
  const { warnings } = load(endpoints('path: /a, target: "https://a.example", forward_header: true'));
  expect(warnings).toMatchObject([{ path: 'general_settings.pass_through_endpoints[0].forward_header' }]);
});

it('an endpoint without a key, and one that takes over a path of a model, are warned of', () => {
  const { warnings } = load(
    endpoints('path: /a, target: "https://a.example", auth: false', 'path: /v1/rerank, target: "https://a.example"'),
  );
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining('may use /a without a key'),
    expect.stringContaining('no longer reaches the models'),
  ]);
});

describe('the raw routes of providers', () => {
  const deployment = (params: string): string =>
    `model_list:\n  - {model_name: m, litellm_params: {${params}}, model_info: {id: lender}}\n`;
  const routeOf = (text: string, environment: Readonly<Record<string, string>> = {}) =>
    passThrough(text, environment).map(({ path, origin, basePath, headers, providerRoute }) => ({
      path,
      base: origin + basePath,
      headers,
      deployment: providerRoute?.deploymentId,
    }));

  it('take the key of a deployment that lends it before that of the environment', () => {
    const text = deployment(
      'model: anthropic/claude, api_key: sk-entry, api_base: "https://proxy.example/v1/messages", use_in_pass_through: true',
    );
    expect(routeOf(text, { ANTHROPIC_API_KEY: 'sk-environment', COHERE_API_KEY: 'co' })).toEqual([
      { path: '/anthropic', base: 'https://proxy.example', headers: { 'x-api-key': 'sk-entry' }, deployment: 'lender' },
      {
        path: '/cohere',
        base: 'https://api.cohere.com',
        headers: { authorization: 'Bearer co' },
        deployment: undefined,
      },
    ]);
  });

  it('are none when nobody lends a key, or only one that signs calls', () => {
    expect(routeOf(deployment('model: anthropic/claude, api_key: sk-entry'))).toEqual([]);
    expect(
      routeOf(
        deployment(
          'model: bedrock/claude, aws_region_name: us-east-1, aws_access_key_id: a, aws_secret_access_key: b, use_in_pass_through: true',
        ),
      ),
    ).toEqual([]);
  });

  it('are left out where an endpoint of the file has their path', () => {
    const text = endpoints('path: /openai, target: "https://a.example"');
    expect(passThrough(text, { OPENAI_API_KEY: 'sk-o' }).map(({ origin }) => origin)).toEqual(['https://a.example']);
  });
});

describe('the APIs that a deployment speaks itself', () => {
  const speaks = (params: string) =>
    load(`model_list:\n  - {model_name: m, litellm_params: {api_key: sk-k, ${params}}}\n`, {
      environment: {},
    }).config.groups.get('m')?.[0]?.speaks;

  it.each([
    ['model: openai/gpt-5', ['responses']],
    ['model: gpt-5, api_base: "https://eu.api.openai.com/v1"', ['responses']],
    ['model: openai/any, api_base: "http://vllm:8000/v1"', undefined],
    ['model: openai/any, api_base: "http://vllm:8000/v1", use_responses_api: true', ['responses']],
    ['model: openai/gpt-5, use_responses_api: false', undefined],
    ['model: hosted_vllm/any, api_base: "http://vllm:8000/v1"', ['completions']],
    ['model: hosted_vllm/any, api_base: "http://vllm:8000/v1", use_responses_api: true', ['responses', 'completions']],
    ['model: text-completion-openai/davinci-002', ['completions']],
    ['model: azure/d, api_base: "https://r.openai.azure.com", api_version: 2025-04-01-preview', ['responses']],
    ['model: azure/d, api_base: "https://r.openai.azure.com", api_version: preview', ['responses']],
    ['model: azure/d, api_base: "https://r.openai.azure.com", api_version: 2024-10-21', undefined],
    ['model: azure/d, api_base: "https://r.openai.azure.com/openai/v1"', ['responses']],
    ['model: anthropic/claude', ['messages']],
    ['model: anthropic/claude, use_responses_api: true', ['messages']],
    ['model: gemini/gemini-2.0-flash', undefined],
    ['model: groq/any', undefined],
  ])('{%s}: %j', (params, apis) => {
    expect(speaks(params)).toEqual(apis);
  });
});
