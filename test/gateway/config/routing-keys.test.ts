/** The names and defaults of LiteLLM's keys for routing, as they arrive at the router; what they do is tested with it. */
import { describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../../../gateway/config/gateway-config.ts';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { faultsOf, load, withOne } from './load-example.ts';

const configWith = (router: string): GatewayConfig => load(withOne(`router_settings: {${router}}`)).config;
const chat = (config: GatewayConfig): Deployment | undefined => config.groups.get('chat')?.[0];
const entryWith = (params: string, rest = '', router = ''): Deployment | undefined =>
  chat(
    load(`model_list:
  - {model_name: chat, litellm_params: {model: openai/gpt-4o, api_key: sk-a-key${params}}${rest}}
router_settings: {${router}}`).config,
  );

it('without any key: simple-shuffle, two retries at once, five fallbacks deep, five seconds of cooldown, no checks', () => {
  const { routing, recovery, cooldown } = configWith('');
  expect(routing).toEqual({
    strategy: 'simple-shuffle',
    latencyBuffer: 0,
    latencyTtlSeconds: 3_600,
    tagFiltering: false,
    matchAnyTag: true,
    preCallChecks: false,
    enforceRateLimits: false,
  });
  expect(recovery).toMatchObject({ numRetries: 2, retryAfterSeconds: 0, maxFallbacks: 5, defaultFallbacks: [] });
  expect(cooldown).toEqual({ enabled: true, cooldownSeconds: 5, allowedFails: undefined, allowedFailsByKind: {} });
});

describe('routing_strategy', () => {
  it.each([
    'simple-shuffle',
    'least-busy',
    'usage-based-routing',
    'usage-based-routing-v2',
    'latency-based-routing',
    'cost-based-routing',
  ])('%s is known by its name', (name) => {
    expect(configWith(`routing_strategy: ${name}`).routing.strategy).toBe(name);
  });

  it('of another name is a fault that lists the names', () => {
    const [fault] = faultsOf(withOne('router_settings: {routing_strategy: fastest}'));
    expect(JSON.stringify(fault)).toMatch(/routing_strategy.*latency-based-routing/);
  });

  it('takes ttl and lowest_latency_buffer as args; max_latency_list_size is taken and needs nothing, since no list is kept', () => {
    const args = 'routing_strategy_args: {ttl: 60, lowest_latency_buffer: 0.5, max_latency_list_size: 3}';
    expect(configWith(args).routing).toMatchObject({ latencyTtlSeconds: 60, latencyBuffer: 0.5 });
  });
});

describe('checks', () => {
  it.each(['enable_pre_call_checks', 'enable_pre_call_check'])('%s: true compares prompts with windows', (name) => {
    expect(configWith(`${name}: true`).routing.preCallChecks).toBe(true);
  });

  it('enforce_model_rate_limits among optional_pre_call_checks refuses what exceeds rpm or tpm; others change nothing', () => {
    const of = (checks: string) => configWith(`optional_pre_call_checks: [${checks}]`).routing.enforceRateLimits;
    expect(of('enforce_model_rate_limits, prompt_caching')).toBe(true);
    expect(of('prompt_caching')).toBe(false);
  });

  it('enable_tag_filtering looks at tags, any of them unless tag_filtering_match_any is false', () => {
    expect(configWith('enable_tag_filtering: true').routing).toMatchObject({ tagFiltering: true, matchAnyTag: true });
    const all = configWith('enable_tag_filtering: true, tag_filtering_match_any: false');
    expect(all.routing.matchAnyTag).toBe(false);
  });
});

describe('of a deployment', () => {
  it.each(['rpm', 'tpm'] as const)(
    '%s is the entry’s, else that of litellm_params, else that of model_info',
    (limit) => {
      const at = (entry: string, params: string, info: string) =>
        entryWith(
          params && `, ${limit}: ${params}`,
          `${entry && `, ${limit}: ${entry}`}${info && `, model_info: {${limit}: ${info}}`}`,
        )?.[limit];
      expect(at('1', '2', '3')).toBe(1);
      expect(at('', '2', '3')).toBe(2);
      expect(at('', '', '3')).toBe(3);
      expect(at('', '', '')).toBeUndefined();
    },
  );

  it('max_parallel_requests is its own, else default_max_parallel_requests, and never made from rpm or tpm', () => {
    const router = 'default_max_parallel_requests: 7';
    expect(entryWith(', max_parallel_requests: 3', '', router)?.maxParallelRequests).toBe(3);
    expect(entryWith('', '', router)?.maxParallelRequests).toBe(7);
    expect(entryWith(', rpm: 60, tpm: 60000')?.maxParallelRequests).toBeUndefined();
  });

  it('allowed_fails and allowed_fails_policy of model_info arrive, 0 included', () => {
    const info = ', model_info: {allowed_fails: 0, allowed_fails_policy: {TimeoutErrorAllowedFails: 4}}';
    expect(entryWith('', info)?.tolerance).toEqual({ allowedFails: 0, allowedFailsByKind: { timeout: 4 } });
    expect(entryWith('')?.tolerance).toBeUndefined();
  });

  it('weight, order, tags, region_name, cooldown_time and max_retries arrive as they are, an order of 0 included', () => {
    const given = ', weight: 2, order: 0, tags: [eu], region_name: eu-1, cooldown_time: 0, max_retries: 0';
    expect(entryWith(given)).toMatchObject({
      weight: 2,
      order: 0,
      tags: ['eu'],
      region: 'eu-1',
      cooldownSeconds: 0,
      maxRetries: 0,
    });
  });
});
