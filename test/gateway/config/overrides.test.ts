import { describe, expect, it } from 'vitest';
import { explainConfig } from '../../../gateway/config/explain.ts';
import { ConfigError, loadConfig } from '../../../gateway/config/load.ts';

const file = `model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
router_settings: {num_retries: 2, routing_strategy: simple-shuffle}
general_settings: {database_url: "postgresql://user:hunter2@db/litellm?password=hunter2"}
`;
const environment = { OPENAI_API_KEY: 'sk-very-secret' };

const load = (variables: Readonly<Record<string, string>>) =>
  loadConfig(file, { source: 'config.yaml', environment: { ...environment, ...variables } }).config;

describe('a variable LITELLM_<SETTING>', () => {
  it('goes before the setting of the file, as a number, a word or a block', () => {
    const config = load({
      LITELLM_NUM_RETRIES: '7',
      LITELLM_ROUTING_STRATEGY: 'least-busy',
      LITELLM_MODEL_GROUP_ALIAS: '{"alias": "chat"}',
      LITELLM_DROP_PARAMS: 'true',
    });
    expect(config.recovery.numRetries).toBe(7);
    expect(config.routing.strategy).toBe('least-busy');
    expect([...config.aliases.keys()]).toEqual(['alias']);
    expect(config.dropParams).toBe(true);
  });

  it('that is blank says nothing, and one of another name is nobody’s', () => {
    expect(load({ LITELLM_NUM_RETRIES: '', LITELLM_NO_SUCH_SETTING: '1' }).recovery.numRetries).toBe(2);
  });

  it('at fault is named itself, and not a line of the file', () => {
    let thrown: unknown;
    try {
      load({ LITELLM_ALLOWED_FAILS: 'many' });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    expect(String(thrown)).toContain('config.yaml LITELLM_ALLOWED_FAILS (router_settings.allowed_fails): ');
  });
});

describe('the explanation of a configuration', () => {
  const rows = explainConfig(file, 'config.yaml', { ...environment, LITELLM_NUM_RETRIES: '7' });
  const row = (setting: string) => rows.find((one) => one.setting === setting);

  it('names the line, the variable that the line names, or the variable that goes before it', () => {
    expect(row('model_list[0].model_name')).toMatchObject({ value: 'chat', from: 'config.yaml:2' });
    expect(row('model_list[0].litellm_params.api_key')?.from).toBe('OPENAI_API_KEY, named in config.yaml:3');
    expect(row('router_settings.num_retries')).toMatchObject({ value: '7', from: 'LITELLM_NUM_RETRIES' });
  });

  it('holds no secret', () => {
    expect(JSON.stringify(rows)).not.toMatch(/hunter2|very-secret/);
    expect(row('general_settings.database_url')?.value).toBe('postgresql://***@db/litellm?***');
  });
});
