import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { errorOf, faultsOf, load, withOne } from './load-example.ts';

const fiveFaults = await readFile(new URL('../../fixtures/config/five-faults.yaml', import.meta.url), 'utf8');

describe('a config with five different faults', () => {
  it('is told all five at once: where, in which line, what is wrong, what to write', () => {
    expect(faultsOf(fiveFaults)).toEqual([
      {
        path: 'model_list[0].model_name',
        line: 3,
        message: 'is missing; write the name that clients will call, for example gpt-4o',
      },
      { path: 'model_list[1].litellm_params.rpm', line: 10, message: '"many" is not a number' },
      {
        path: 'router_settings.routing_strategy',
        line: 17,
        message: expect.stringMatching(/^"fastest-first" is not known; choose one of simple-shuffle, least-busy, /),
      },
      {
        path: 'router_settings.retry_policy.RateLimitErrorRetry',
        line: 19,
        message: 'is not a key of this block; remove it or correct its spelling',
      },
      {
        path: 'model_list[2].litellm_params.api_base',
        line: 15,
        message: '"api.openai.com" is not an http or https address; write for example https://api.openai.com/v1',
      },
    ]);
  });

  it('as a message is one line for the file and one for each fault', () => {
    const { message } = errorOf(fiveFaults);
    expect(message.split('\n')[0]).toBe('config.yaml has 5 faults:');
    expect(message).toContain('  config.yaml:10 model_list[1].litellm_params.rpm: "many" is not a number');
    expect(errorOf(withOne('router_settings: {num_retries: -1}')).message).toMatch(/^config.yaml has 1 fault:/);
  });
});

describe('text that is not YAML', () => {
  it.each<[string, string, number, RegExp]>([
    ['a bad indent', 'model_list:\n  - model_name: a\n   litellm_params: {}\n', 3, /./],
    ['an open bracket', 'model_list: [\n', 2, /./],
    ['an open quote', 'a: 1\nb: "x\n', 3, /Missing closing "quote/],
    ['a key that appears twice', 'litellm_settings: {}\nrouter_settings: {}\nlitellm_settings: {}\n', 3, /unique/],
    ['a key that appears twice, deep inside', withOne('router_settings:\n  timeout: 1\n  timeout: 2'), 6, /unique/],
    ['an alias of nothing', 'a: *nothing\n', 1, /Unresolved alias/],
    ['two documents', 'a: 1\n---\nb: 2\n', 2, /multiple documents/],
    ['a tab as indent', 'a:\n\tb: 1\n', 2, /tab/i],
    ['an alias inside of itself', 'a: &a [*a]\n', 1, /./],
    [
      'aliases that expand to billions',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${'bcdefghi'
        .split('')
        .map((name, index) => `${name}: &${name} [${`*${'abcdefgh'[index]},`.repeat(9)}]\n`)
        .join('')}`,
      1,
      /./,
    ],
  ])('%s: says in which line', (_case, text, line, message) => {
    const [fault] = faultsOf(text);
    expect(fault).toMatchObject({ path: '(syntax)', line });
    expect(fault?.message).toMatch(message);
    expect(fault?.message).toMatch(/the file must be valid YAML|write out what the aliases stand for/);
  });

  it.each(['', '# only a comment\n', 'null', 'just text', '[]', '3'])('%j is no config', (text) => {
    expect(faultsOf(text).length).toBeGreaterThan(0);
  });
});

describe('a value that cannot be used', () => {
  it.each<[string, string, string]>([
    ['router_settings: {num_retries: -1}', 'router_settings.num_retries', '-1 is too small; the least is 0'],
    ['router_settings: {num_retries: 1.5}', 'router_settings.num_retries', '1.5 is not a whole number'],
    ['router_settings: {timeout: 0}', 'router_settings.timeout', '0 is too small; the least is more than 0'],
    ['router_settings: {timeout: 1e10}', 'router_settings.timeout', '10000000000 is too large; the most is 86400'],
    [
      'router_settings: {disable_cooldowns: maybe}',
      'router_settings.disable_cooldowns',
      '"maybe" is not true or false',
    ],
    ['router_settings: []', 'router_settings', 'a list is not a block of keys'],
    [
      'general_settings: {master_key: 12345678}',
      'general_settings.master_key',
      'the value is not text; put it in quotes',
    ],
    ['general_settings: {master_key: sk-}', 'general_settings.master_key', 'is too short; the least is 4 characters'],
    [
      'general_settings: {database_url: "mysql://x"}',
      'general_settings.database_url',
      'the value has the wrong form; write postgresql://user:password@host:5432/database',
    ],
    [
      'router_settings: {fallbacks: gpt-4o}',
      'router_settings.fallbacks',
      '"gpt-4o" has the wrong shape; write a list such as - gpt-4o: [claude-3-5-sonnet]',
    ],
    ['router_settings: {fallbacks: [{chat: 3}]}', 'router_settings.fallbacks[0].chat', '3 has the wrong shape'],
    [
      'router_settings: {retry_policy: [{status_code: 429}]}',
      'router_settings.retry_policy[0].retry_after',
      'is missing',
    ],
  ])('%s: %s: %s', (rest, path, message) => {
    expect(faultsOf(withOne(rest)).map((fault) => [fault.path, fault.message])).toEqual([[path, message]]);
  });

  it.each([
    ['antropic/claude', 'provider "antropic" is not known'],
    ['constructor/x', 'provider "constructor" is not known'],
  ])('a misspelled provider in %s is not sent to OpenAI', (model, message) => {
    expect(faultsOf(`model_list: [{model_name: a, litellm_params: {model: ${model}}}]`)[0]?.message).toContain(message);
  });

  it('the same deployment twice names the first one', () => {
    const entry = '{model_name: a, litellm_params: {model: gpt-4o}}';
    const [fault] = faultsOf(`model_list:\n  - ${entry}\n  - ${entry}\n`);
    expect(fault).toMatchObject({ path: 'model_list[1]', line: 3 });
    expect(fault?.message).toContain('is the same deployment as model_list[0]');
  });
});

describe('a key that nobody acts on', () => {
  it('is a warning with its line, and not a fault', () => {
    const { warnings } = load(`${withOne('router_settings:\n  num_retrys: 3\n')}caches: {type: redis}\nx: 1\n`);
    expect(warnings.map(({ path, line }) => [path, line])).toEqual([
      ['router_settings.num_retrys', 5],
      ['caches', 6],
      ['x', 7],
    ]);
  });

  it('is found inside an entry of model_list too', () => {
    const { warnings } = load('model_list: [{model_name: a, litellm_params: {model: gpt-4o, api_keys: x}, extra: 1}]');
    expect(warnings.map(({ path }) => path)).toEqual(['model_list[0].litellm_params.api_keys', 'model_list[0].extra']);
  });

  it('names in fallbacks that stand for nothing are warnings, on both sides', () => {
    const { warnings } = load(withOne('router_settings: {fallbacks: [{caht: [chat]}, {chat: [nowhere]}]}'));
    expect(warnings.map(({ message }) => message)).toEqual([
      '"caht" is not a model_name of model_list, so its fallbacks are never used',
      '"nowhere" (fallback of "chat") is not a model_name that can be called',
    ]);
  });

  it.each(['"*": [chat]', 'chat: [other]', 'chat: [the-id]', 'chat: ["openai/gpt-4o"]', 'other: [chat]'])(
    'fallbacks {%s} are no reason for a warning',
    (entry) => {
      const text = `model_list:
  - {model_name: chat, litellm_params: {model: openai/gpt-4o}, model_info: {id: the-id}}
router_settings: {fallbacks: [{${entry}}], model_group_alias: {other: chat}}`;
      expect(load(text).warnings).toEqual([]);
    },
  );
});
