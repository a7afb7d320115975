import { describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../../../gateway/config/gateway-config.ts';
import { load, withOne } from './load-example.ts';

const configWith = (rest: string): GatewayConfig => load(withOne(rest)).config;
const recoveryWith = (rest: string) => configWith(rest).recovery;

describe('fallbacks', () => {
  const expected = new Map([
    ['chat', ['b', 'c']],
    ['b', ['c']],
  ]);

  it.each([
    ['a list of maps', '[{chat: [b, c]}, {b: [c]}]'],
    ['a list of maps with one name', '[{chat: [b, c]}, {b: c}]'],
    [
      'a list of models with fallback_models',
      '[{model: chat, fallback_models: [b, c]}, {model: b, fallback_models: c}]',
    ],
    ['a map', '{chat: [b, c], b: c}'],
    ['both kinds of entries', '[{model: chat, fallback_models: [b, c]}, {b: [c]}]'],
  ])('are read from %s, each of the three lists', (_form, text) => {
    expect(recoveryWith(`router_settings: {fallbacks: ${text}}`).fallbacks).toEqual(expected);
    expect(recoveryWith(`router_settings: {context_window_fallbacks: ${text}}`).contextWindowFallbacks).toEqual(
      expected,
    );
    expect(recoveryWith(`router_settings: {content_policy_fallbacks: ${text}}`).contentPolicyFallbacks).toEqual(
      expected,
    );
  });

  it('of a group that is called "model" are those of that group', () => {
    expect(recoveryWith('router_settings: {fallbacks: [{model: [b]}]}').fallbacks).toEqual(new Map([['model', ['b']]]));
  });

  it('for every group are default_fallbacks or the star', () => {
    expect(recoveryWith('router_settings: {default_fallbacks: [d]}').defaultFallbacks).toEqual(['d']);
    expect(recoveryWith('litellm_settings: {default_fallbacks: d}').defaultFallbacks).toEqual(['d']);
    expect(recoveryWith('router_settings: {fallbacks: [{"*": [d]}]}').defaultFallbacks).toEqual(['d']);
  });
});

describe('retries', () => {
  it('retry_policy as a map counts retries by kind; what may mean two things takes the larger', () => {
    const policy = `{TimeoutErrorRetries: 1, RateLimitErrorRetries: "2", BadRequestErrorRetries: 0,
      ContentPolicyViolationErrorRetries: 3, AuthenticationErrorRetries: 4, NotFoundErrorRetries: 5,
      InternalServerErrorRetries: 2, ServiceUnavailableErrorRetries: 6}`;
    expect(recoveryWith(`router_settings: {retry_policy: ${policy}}`).retriesByKind).toEqual({
      timeout: 1,
      'rate-limit': 2,
      'bad-request': 0,
      'context-window': 0,
      'content-policy': 3,
      authentication: 4,
      'not-found': 5,
      unavailable: 6,
    });
  });

  it('DefaultRetries stands for the kinds that are not named', () => {
    const { retriesByKind } = recoveryWith(
      'router_settings: {retry_policy: {TimeoutErrorRetries: 0, DefaultRetries: 4}}',
    );
    expect(retriesByKind).toMatchObject({ timeout: 0, unavailable: 4, 'bad-request': 4 });
  });

  it('retry_policy as a list is the least wait by status', () => {
    const settings = recoveryWith(
      'router_settings: {retry_policy: [{status_code: 429, retry_after: 60}], retry_after: 5}',
    );
    expect(settings.retryAfterSecondsByStatus).toEqual(new Map([[429, 60]]));
    expect(settings).toMatchObject({ retryAfterSeconds: 5, retriesByKind: {} });
  });

  it('model_group_retry_policy is by group', () => {
    const text = 'router_settings: {model_group_retry_policy: {chat: {TimeoutErrorRetries: 9}}}';
    expect(recoveryWith(text).retriesByKindOfGroup).toEqual(new Map([['chat', { timeout: 9 }]]));
  });
});

describe('router_settings, litellm_settings and defaults, in this order', () => {
  it.each<[string, (config: GatewayConfig) => unknown, unknown]>([
    ['', ({ recovery }) => recovery.numRetries, 2],
    ['litellm_settings: {num_retries: 7}', ({ recovery }) => recovery.numRetries, 7],
    ['router_settings: {num_retries: 1}\nlitellm_settings: {num_retries: 7}', ({ recovery }) => recovery.numRetries, 1],
    ['', ({ recovery }) => recovery.maxFallbacks, 5],
    ['', ({ requestTimeoutSeconds }) => requestTimeoutSeconds, 600],
    ['litellm_settings: {request_timeout: 6000}', ({ requestTimeoutSeconds }) => requestTimeoutSeconds, 6_000],
    [
      'litellm_settings: {request_timeout: 6000}\nrouter_settings: {timeout: 30}',
      ({ requestTimeoutSeconds }) => requestTimeoutSeconds,
      30,
    ],
    ['', ({ cooldown }) => cooldown.cooldownSeconds, 5],
    ['router_settings: {cooldown_time: 0}', ({ cooldown }) => cooldown.cooldownSeconds, 0],
    ['router_settings: {cooldown_time: "30"}', ({ cooldown }) => cooldown.cooldownSeconds, 30],
    ['', ({ cooldown }) => cooldown.allowedFails, undefined],
    ['router_settings: {allowed_fails: 0}', ({ cooldown }) => cooldown.allowedFails, 0],
    [
      'router_settings: {allowed_fails_policy: {TimeoutErrorAllowedFails: 0}}',
      ({ cooldown }) => cooldown.allowedFailsByKind,
      { timeout: 0 },
    ],
    ['', ({ cooldown }) => cooldown.enabled, true],
    ['', ({ maxRequestBytes }) => maxRequestBytes, 32 * 1024 * 1024],
    ['general_settings: {max_request_size_mb: "0.5"}', ({ maxRequestBytes }) => maxRequestBytes, 512 * 1024],
    ['', ({ redis }) => redis, undefined],
  ])('%s', (rest, read, expected) => {
    expect(read(configWith(rest))).toEqual(expected);
  });
});

describe('aliases', () => {
  it('are names for groups, hidden when they say so', () => {
    const text = 'router_settings: {model_group_alias: {a: chat, b: {model: chat, hidden: true}, c: {model: chat}}}';
    expect(configWith(text).aliases).toEqual(
      new Map([
        ['a', { group: 'chat', hidden: false }],
        ['b', { group: 'chat', hidden: true }],
        ['c', { group: 'chat', hidden: false }],
      ]),
    );
  });
});

describe('a deployment', () => {
  const one = (entry: string) => load(`model_list: [${entry}]`).config.groups.get('a')?.[0];

  it('takes its numbers as text too, also in scientific notation', () => {
    const entry = `{model_name: a, litellm_params: {model: gpt-4o, weight: "2", rpm: "10", tpm: "1000", timeout: "2.5",
      max_retries: "0", cooldown_time: "0", input_cost_per_token: "2.5e-06", output_cost_per_token: "0.00001"}}`;
    expect(one(entry)).toMatchObject({
      weight: 2,
      rpm: 10,
      tpm: 1_000,
      timeoutSeconds: 2.5,
      maxRetries: 0,
      cooldownSeconds: 0,
      prices: { inputCostPerToken: 0.0000025, outputCostPerToken: 0.00001 },
    });
  });

  it('has only the prices that somebody stated', () => {
    expect(one('{model_name: a, litellm_params: {model: gpt-4o}}')?.prices).toBeUndefined();
    expect(one('{model_name: a, litellm_params: {model: gpt-4o, input_cost_per_token: 1}}')?.prices).toEqual({
      inputCostPerToken: 1,
    });
  });

  it('takes limits from the entry before those of litellm_params', () => {
    expect(one('{model_name: a, rpm: 1, litellm_params: {model: gpt-4o, rpm: 2, tpm: 3}}')).toMatchObject({
      rpm: 1,
      tpm: 3,
    });
  });

  it.each([
    ['{timeout: 3}', 3, 3],
    ['{timeout: 3, stream_timeout: 1}', 3, 1],
    ['{stream_timeout: 1}', 600, 1],
    ['{}', 600, 600],
  ])('with %s has %d s for an answer and %d s for the first chunk', (params, timeoutSeconds, streamTimeoutSeconds) => {
    const inner = params.slice(1, -1);
    const entry = `{model_name: a, litellm_params: {model: gpt-4o${inner === '' ? '' : `, ${inner}`}}}`;
    expect(one(entry)).toMatchObject({ timeoutSeconds, streamTimeoutSeconds });
  });
});

describe('the longest silence inside a stream', () => {
  const idleWith = (params: string, rest: string): number | undefined =>
    load(`model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: sk-a-key${params}}
${rest}`).config.groups.get('chat')?.[0]?.streamIdleSeconds;

  it.each([
    ['', '', 30],
    ['', 'litellm_settings: {stream_idle_timeout: 20}', 20],
    ['', 'litellm_settings: {stream_idle_timeout: 20}\nrouter_settings: {stream_idle_timeout: "10"}', 10],
    [', stream_idle_timeout: 5', 'router_settings: {stream_idle_timeout: 10}', 5],
  ])('with %j and %j is %d s', (params, rest, seconds) => {
    expect(idleWith(params, rest)).toBe(seconds);
  });
});

describe('what is kept of spend', () => {
  it('is everything, for ever, within a gigabyte of disk, unless the file says otherwise', () => {
    expect(configWith('').spend).toEqual({
      keepRows: true,
      retentionDays: undefined,
      outboxMaxBytes: 1024 ** 3,
      outboxRetainSeconds: 1_800,
    });
    const stated = `general_settings:
  {disable_spend_logs: true, maximum_spend_logs_retention_period: 36h, outbox_max_bytes: 1000, outbox_retain_seconds: 60}`;
    expect(configWith(stated).spend).toEqual({
      keepRows: false,
      retentionDays: 2,
      outboxMaxBytes: 1_000,
      outboxRetainSeconds: 60,
    });
    expect(configWith('general_settings: {maximum_spend_logs_retention_period: 30d}').spend.retentionDays).toBe(30);
  });

  it('a retention that is no duration is refused, with the form', () => {
    expect(() => configWith('general_settings: {maximum_spend_logs_retention_period: "30"}')).toThrow(
      /write a number and s, m, h, d, w or mo/,
    );
  });
});
