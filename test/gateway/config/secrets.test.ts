import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { ConfigError, formatFault, loadConfig } from '../../../gateway/config/load.ts';

const secret = 'MARKER5ECRET';
const environment = { SECRET: `sk-${secret}`, BASE: `https://user:${secret}@host/v1?key=${secret}` };

/** A secret in every field that may hold one. */
const full = `environment_variables:
  OTHER_KEY: sk-${secret}
model_list:
  - model_name: chat
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-${secret}
      api_base: "https://user:${secret}@host/v1"
  - model_name: chat
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: os.environ/SECRET
      api_base: os.environ/BASE
general_settings:
  master_key: sk-${secret}
  database_url: postgresql://user:${secret}@host/db
router_settings:
  redis_host: host
  redis_password: ${secret}
  redis_url: redis://:${secret}@host
`;

/** Everything that a person gets to see of a file. */
function shown(text: string): string {
  try {
    return loadConfig(text, { source: 'config.yaml', environment })
      .warnings.map((warning) => formatFault('config.yaml', warning))
      .join('\n');
  } catch (error) {
    if (error instanceof ConfigError) return `${error.message}${JSON.stringify(error.faults)}`;
    throw error;
  }
}

it('the whole file loads, so that the damage below is what breaks it', () => {
  expect(shown(full)).toBe('');
});

it.each([
  ['a wrong kind of address', full.replace('"https://user', '"ftp://user')],
  ['an address without its scheme', full.replace('"https://user', '"user')],
  ['a wrong kind of database', full.replace('postgresql://', 'mysql://')],
  ['a master key without sk-', full.replace(`master_key: sk-${secret}`, `master_key: ${secret}`)],
  ['a variable with a secret where a number belongs', full.replace('api_key: os.environ', 'rpm: os.environ')],
  ['a variable with a secret where a choice belongs', `${full}  routing_strategy: os.environ/SECRET\n`],
  ['a variable with a secret where a list belongs', `${full}  fallbacks: os.environ/SECRET\n`],
  ['an alias', full.replace(`api_key: sk-${secret}`, `api_key: *${secret}`)],
  ['a tag', full.replace(`api_key: sk-${secret}`, `api_key: !${secret} x`)],
  ['an escape', full.replace(`api_key: sk-${secret}`, `api_key: "\\x${secret}"`)],
  ['text behind a quote', full.replace(`api_key: sk-${secret}`, `api_key: "x" ${secret}`)],
  ['a directive', `%${secret}\n---\n${full}`],
  ['a character that is reserved', full.replace(`api_key: sk-${secret}`, `api_key: @${secret}`)],
  ['a bracket too much', full.replace(`api_key: sk-${secret}`, `api_key: [sk-${secret}]]`)],
  ['a key that appears twice', full.replace('master_key:', `master_key: sk-${secret}\n  master_key:`)],
  ['a block scalar', full.replace(`api_key: sk-${secret}`, `api_key: |${secret}`)],
])('%s: no message shows the secret', (_case, text) => {
  expect(text).not.toBe(full);
  expect(shown(text)).not.toContain('5ECRET');
});

it('wherever the file is damaged, no message shows a secret', () => {
  const damage = fc.record({
    at: fc.nat(full.length - 1),
    remove: fc.integer({ min: 0, max: 6 }),
    insert: fc.constantFrom(
      '',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ':',
      ': ',
      '\n',
      '\n  ',
      '- ',
      '*',
      '&',
      '!',
      '|',
      '>',
      '#',
      '%',
      '@',
      '\t',
      '\\',
      ',',
      '? ',
    ),
  });
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), (damages) => {
      let text = full;
      for (const { at, remove, insert } of damages) text = text.slice(0, at) + insert + text.slice(at + remove);
      // A secret that the damage turned into a key, a comment or a name of something else is no value any more.
      const paths = shown(text).replaceAll(/model_list\S*|(router|general)_settings\S*|environment_variables\S*/g, '');
      expect(paths).not.toContain('MARKER5ECRET');
    }),
    { numRuns: 3_000 },
  );
});
