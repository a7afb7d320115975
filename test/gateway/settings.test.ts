import { describe, expect, it } from 'vitest';
import { readSettings } from '../../gateway/settings.ts';

describe('the database and Redis', () => {
  it('are taken from URLs', () => {
    expect(readSettings({ DATABASE_URL: 'postgresql://u:p@h/d', REDIS_URL: 'rediss://h:1' })).toMatchObject({
      databaseUrl: 'postgresql://u:p@h/d',
      redisUrl: 'rediss://h:1',
    });
  });

  it('are put together from the separate variables of compose files, whatever stands in the passwords', () => {
    const settings = readSettings({
      POSTGRES_HOST: 'db',
      POSTGRES_PORT: '6432',
      POSTGRES_USER: 'litellm',
      POSTGRES_PASSWORD: 'p@ss/w:rd?',
      POSTGRES_DB: 'litellm',
      REDIS_HOST: 'redis',
      REDIS_PASSWORD: 'p@ss/w:rd?',
    });
    const database = new URL(settings.databaseUrl ?? '');
    expect([database.hostname, database.port, database.username, database.pathname]).toEqual([
      'db',
      '6432',
      'litellm',
      '/litellm',
    ]);
    expect(decodeURIComponent(database.password)).toBe('p@ss/w:rd?');
    const redis = new URL(settings.redisUrl ?? '');
    expect([redis.hostname, redis.port, decodeURIComponent(redis.password)]).toEqual(['redis', '6379', 'p@ss/w:rd?']);
  });

  it('are absent when nothing names them; a blank variable names nothing', () => {
    expect(readSettings({ DATABASE_URL: '', REDIS_HOST: '' })).toMatchObject({
      databaseUrl: undefined,
      redisUrl: undefined,
    });
  });

  it('a URL wins over the separate variables', () => {
    expect(readSettings({ DATABASE_URL: 'postgresql://a/b', POSTGRES_HOST: 'other' }).databaseUrl).toBe(
      'postgresql://a/b',
    );
  });
});

it('every fault is reported at once, by the name of its variable and without its value', () => {
  const faulty = {
    PORT: '70000',
    LITELLM_MASTER_KEY: 'hunter2-is-secret',
    LITELLM_LOG: 'LOUD',
    HOLDFAST_DRAIN_DEADLINE_SECONDS: '-1',
  };
  expect(() => readSettings(faulty)).toThrow(/4 faults/);
  expect(() => readSettings(faulty)).toThrow(
    /PORT: must be 1 to 65535[\s\S]*LITELLM_MASTER_KEY: must start with sk-[\s\S]*LITELLM_LOG[\s\S]*DRAIN_DEADLINE/,
  );
  expect(() => readSettings(faulty)).not.toThrow(/hunter2/);
});
