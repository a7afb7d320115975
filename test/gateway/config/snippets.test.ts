/** Configurations as people find them in documents; each must load as it stands. */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { load } from './load-example.ts';

const directory = fileURLToPath(new URL('../../fixtures/config/snippets/', import.meta.url));
const read = (name: string): string => readFileSync(`${directory}${name}.yaml`, 'utf8');
const names = globSync(`${directory}*.yaml`)
  .map((path) => basename(path, '.yaml'))
  .toSorted();

const environment = {
  OPENAI_API_KEY: 'sk-openai',
  AZURE_API_KEY: 'azure-key',
  AZURE_API_BASE: 'https://example.openai.azure.com',
  ANTHROPIC_API_KEY: 'sk-ant',
  AWS_ACCESS_KEY_ID: 'AKIA',
  AWS_SECRET_ACCESS_KEY: 'aws-secret',
  REDIS_HOST: 'redis',
  REDIS_PORT: '6379',
  REDIS_PASSWORD: 'redis-secret',
  REDIS_SENTINEL_HOST: 'sentinel',
};

const configOf = (name: string) => load(read(name), { environment }).config;

describe('every snippet', () => {
  it('is here', () => {
    expect(names).toHaveLength(8);
  });

  it.each(names)('%s loads without a fault, and can call gpt-4o', (name) => {
    expect(configOf(name).groups.get('gpt-4o')?.length).toBeGreaterThan(0);
  });
});

describe('what a snippet asks for is what the gateway does', () => {
  it('retries', () => {
    const { recovery, cooldown, groups } = configOf('retries');
    expect(recovery).toMatchObject({
      numRetries: 3,
      retryAfterSeconds: 5,
      retriesByKind: { timeout: 3, 'rate-limit': 3, unavailable: 2, 'bad-request': 0, authentication: 0 },
    });
    expect(cooldown).toMatchObject({
      allowedFails: 3,
      cooldownSeconds: 30,
      allowedFailsByKind: { 'rate-limit': 100, timeout: 50, unavailable: 50 },
    });
    expect(groups.get('gpt-4o')?.[0]?.maxRetries).toBe(2);
  });

  it('waits by status and fallbacks by model', () => {
    const { recovery } = configOf('retry-by-status');
    expect([...recovery.retryAfterSecondsByStatus]).toEqual([
      [429, 60],
      [500, 10],
      [503, 30],
    ]);
    expect(recovery.fallbacks).toEqual(new Map([['gpt-4o', ['azure/gpt-4o', 'claude-sonnet-4']]]));
  });

  it('a chain of fallbacks, and one name instead of a list', () => {
    const { recovery } = configOf('fallbacks');
    expect(recovery.fallbacks).toEqual(
      new Map([
        ['gpt-4o', ['claude-3-5-sonnet']],
        ['claude-3-5-sonnet', ['gemini-2.0-flash']],
      ]),
    );
    expect(recovery.contextWindowFallbacks.get('claude-3-5-sonnet')).toEqual(['gpt-4o']);
    expect(load(read('fallbacks'), { environment }).warnings).toEqual([]);
  });

  it('time-outs', () => {
    expect(configOf('complete')).toMatchObject({ requestTimeoutSeconds: 120 });
    expect(configOf('complete').groups.get('gpt-4o')?.[0]?.timeoutSeconds).toBe(120);
    expect(configOf('multi-provider')).toMatchObject({ requestTimeoutSeconds: 30, cooldown: { cooldownSeconds: 60 } });
  });

  it('Sentinels', () => {
    expect(configOf('sentinel').redis).toEqual({
      target: { is: 'sentinel', name: 'mymaster', sentinels: [{ host: 'sentinel', port: 26_379 }] },
      password: 'redis-secret',
      database: 0,
    });
  });

  it('what is not acted on is said', () => {
    const paths = load(read('complete'), { environment }).warnings.map(({ path }) => path);
    expect(paths).toContain('litellm_settings.set_verbose');
  });
});
