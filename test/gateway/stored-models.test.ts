import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../gateway/config/load.ts';
import { loadWithModels } from '../../gateway/stored-models.ts';
import { secretSeal } from '../../gateway/stores/secret-seal.ts';

const options = { source: 'config.yaml', environment: {} };
const saltKey = 'salt-of-the-test';
const file =
  'model_list: [{model_name: file, litellm_params: {model: openai/m, api_key: sk-file}, model_info: {id: file}}]';
const stored = (modelId: string, params: Readonly<Record<string, unknown>>) => ({
  modelId,
  modelName: 'stored',
  params: { model: 'openai/m', api_key: 'sk-x', ...params },
  info: {},
});
const idsOf = (models: Parameters<typeof loadWithModels>[2], text = file) => {
  const { config, warnings } = loadWithModels(text, options, models, saltKey);
  return {
    ids: [...config.groups.values()].flat().map(({ id }) => id),
    warnings: warnings.map(({ message }) => message).filter((message) => message.includes('over the API')),
  };
};

describe('deployments that were made over the API', () => {
  it('follow those of the file, with their secrets opened', () => {
    const sealed = `sealed:${secretSeal(saltKey).seal('sk-secret')}`;
    const { config } = loadWithModels(file, options, [stored('one', { api_key: sealed })], saltKey);
    expect(JSON.stringify(config.groups.get('stored'))).toContain('sk-secret');
    expect(idsOf([stored('one', {})])).toEqual({ ids: ['file', 'one'], warnings: [] });
  });

  it('are enough by themselves', () => {
    expect(idsOf([stored('one', {})], 'model_list: []').ids).toEqual(['one']);
  });

  it('that cannot be used are left out and named, and all others are not', () => {
    const unreadable = stored('other-salt', { api_key: `sealed:${secretSeal('another salt key').seal('sk-secret')}` });
    const { ids, warnings } = idsOf([
      stored('bad', { rpm: 'many' }),
      stored('one', {}),
      unreadable,
      stored('file', { rpm: 3 }),
    ]);
    expect(ids).toEqual(['file', 'one']);
    expect(warnings.join('\n')).toMatch(/other-salt: /);
    expect(warnings.join('\n')).toMatch(/bad: litellm_params\.rpm: /);
    expect(warnings.join('\n')).toMatch(/file: is the same deployment/);
  });

  it('hide no fault of the file', () => {
    expect(() => idsOf([stored('one', {})], `${file}\nrouter_settings: {num_retries: many}`)).toThrow(ConfigError);
  });
});
