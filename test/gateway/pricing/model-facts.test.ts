import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelCatalog, ModelPrices } from '../../../gateway/domain/prices.ts';
import { CostMapError, readCostMap } from '../../../gateway/pricing/cost-map.ts';
import { mergeFacts, stackCatalogs, unpriced, withFacts } from '../../../gateway/pricing/model-facts.ts';
import { loadPackageCatalog } from '../../../gateway/pricing/package-catalog.ts';
import { exampleDeployment, exampleGroup } from '../examples.ts';

let bundled: ModelCatalog;
beforeAll(async () => {
  bundled = await loadPackageCatalog();
});
const ofPackage = (provider: string, model: string) => bundled.find({ provider, model });

describe('the data package', () => {
  it.each([
    ['openai', 'gpt-4o', 0.0000025, 0.00001, 128_000, 16_384],
    ['azure', 'gpt-4o', 0.0000025, 0.00001, 128_000, 16_384],
    ['openai', 'gpt-5', 0.00000125, 0.00001, 272_000, 128_000],
    ['anthropic', 'claude-3-5-sonnet-20241022', 0.000003, 0.000015, 200_000, undefined],
    ['bedrock', 'amazon.nova-pro-v1:0', 0.0000008, 0.0000032, 300_000, undefined],
    ['bedrock', 'us-west-2/anthropic.claude-3-haiku-20240307-v1:0', 0.00000025, 0.00000125, 200_000, undefined],
    ['gemini', 'gemini-2.0-flash', 0.0000001, 0.0000004, 1_000_000, undefined],
    ['groq', 'llama-3.3-70b-versatile', 0.00000059, 0.00000079, undefined, undefined],
  ])('knows %s/%s to the last digit', (provider, model, input, output, maxInputTokens, maxOutputTokens) => {
    const found = ofPackage(provider, model);
    expect(found?.prices?.inputCostPerToken).toBe(input);
    expect(found?.prices?.outputCostPerToken).toBe(output);
    if (maxInputTokens !== undefined) expect(found?.maxInputTokens).toBe(maxInputTokens);
    expect(found?.maxOutputTokens).toBe(maxOutputTokens);
  });

  it('an inference profile of a region costs what it costs there, one for all regions what it costs there', () => {
    const priceOf = (model: string) => ofPackage('bedrock', model)?.prices?.inputCostPerToken;
    expect(priceOf('us.anthropic.claude-sonnet-4-5-20250929-v1:0')).toBe(0.0000033);
    expect(priceOf('global.anthropic.claude-sonnet-4-5-20250929-v1:0')).toBe(0.000003);
    const arn = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0';
    expect(priceOf(`converse/${arn}`)).toBe(0.0000033);
  });

  it('has the tiers of long prompts, cached tokens, and the hours of a day', () => {
    expect(ofPackage('gemini', 'gemini-2.5-pro')?.prices?.tiers).toEqual([
      {
        aboveTokens: 200_000,
        inputCostPerToken: 0.0000025,
        outputCostPerToken: 0.000015,
        cacheReadCostPerToken: 0.00000025,
      },
    ]);
    expect(ofPackage('anthropic', 'claude-sonnet-4-5')?.prices).toMatchObject({
      cacheReadCostPerToken: 0.0000003,
      cacheWriteCostPerToken: 0.00000375,
      hourCacheWriteCostPerToken: 0.000006,
    });
    expect(ofPackage('deepseek', 'deepseek-chat')?.prices?.periods).toMatchObject([
      { daily: { fromSeconds: 1_800, toSeconds: 59_400 }, inputCostPerToken: 0.00000027 },
    ]);
  });

  it('a price that was replaced on a day that has passed is gone', () => {
    const o3 = ofPackage('openai', 'o3')?.prices;
    expect(o3?.inputCostPerToken).toBe(0.000002);
    expect(o3?.periods).toBeUndefined();
  });

  it('what it has no price for is unknown, and what is free is free', () => {
    expect(ofPackage('openai', 'no-such-model')).toBeUndefined();
    expect(ofPackage('openrouter', 'google/lyria-3-pro-preview')?.prices).toBeUndefined();
    expect(ofPackage('openai', 'omni-moderation-latest')?.prices).toEqual({
      inputCostPerToken: 0,
      outputCostPerToken: 0,
    });
    expect(ofPackage('openrouter', 'openai/gpt-oss-20b:free')?.prices).toEqual({
      inputCostPerToken: 0,
      outputCostPerToken: 0,
    });
  });
});

describe("LiteLLM's price map", () => {
  const map = (models: object) => readCostMap(JSON.stringify(models), 'prices.json');

  it('is read as LiteLLM writes it: prices, tiers, limits, models under their own or their provider’s name', () => {
    const catalog = map({
      sample_spec: { input_cost_per_token: 'the price of a token', max_tokens: 'LEGACY parameter' },
      'gpt-x': {
        litellm_provider: 'openai',
        mode: 'chat',
        input_cost_per_token: 1.25e-6,
        output_cost_per_token: 1e-5,
        cache_read_input_token_cost: 1.25e-7,
        input_cost_per_token_above_272k_tokens: 2.5e-6,
        output_cost_per_token_above_272k_tokens: 1.5e-5,
        output_cost_per_reasoning_token: null,
        max_input_tokens: 272_000,
        max_output_tokens: 128_000,
        max_tokens: 128_000,
        supports_vision: true,
        supported_regions: ['global'],
      },
      'azure/gpt-x': { input_cost_per_token: 2e-6, output_cost_per_token: 2e-5 },
      'anthropic.claude-x-v1:0': { input_cost_per_token: 3e-6, output_cost_per_token: 1.5e-5 },
      embed: { mode: 'embedding', input_cost_per_token: 2e-8, max_tokens: 8_191, max_input_tokens: 8_191 },
    });
    expect(catalog.find({ provider: 'openai', model: 'gpt-x' })).toEqual({
      prices: {
        inputCostPerToken: 0.00000125,
        outputCostPerToken: 0.00001,
        cacheReadCostPerToken: 0.000000125,
        tiers: [{ aboveTokens: 272_000, inputCostPerToken: 0.0000025, outputCostPerToken: 0.000015 }],
      },
      maxInputTokens: 272_000,
      maxOutputTokens: 128_000,
    });
    expect(catalog.find({ provider: 'azure', model: 'gpt-x' })?.prices?.inputCostPerToken).toBe(0.000002);
    expect(catalog.find({ provider: 'bedrock', model: 'us.anthropic.claude-x-v1:0' })?.prices?.inputCostPerToken).toBe(
      0.000003,
    );
    expect(catalog.find({ provider: 'openai', model: 'embed' })).not.toHaveProperty('maxOutputTokens');
    expect(catalog.find({ provider: 'openai', model: 'sample_spec' })).toBeUndefined();
  });

  it('reports every fault at once, with its place and its mend', () => {
    const read = () =>
      map({
        a: { input_cost_per_token: '0.1' },
        b: { output_cost_per_token: -1, input_cost_per_token_above_200k_tokens: true },
        c: { max_input_tokens: -5 },
      });
    expect(read).toThrow(CostMapError);
    expect(read).toThrow(/^prices\.json has 4 faults:\n {2}a\.input_cost_per_token: "0\.1" is no price; write dollars/);
    expect(read).toThrow(
      /b\.output_cost_per_token: -1[^]*b\.input_cost_per_token_above_200k_tokens: true[^]*c\.max_input_tokens: -5/,
    );
  });

  it.each(['', '[]', '{"a": 1}', 'null', '{"a": {'])('that is none is refused in words: %s', (text) => {
    expect(() => readCostMap(text, 'prices.json')).toThrow(/^prices\.json has \d+ faults?:\n {2}\S+: /);
  });

  it('an image whose price depends on its size has no price for all sizes', () => {
    const catalog = map({
      'dall-e-3': { input_cost_per_image: 0.04 },
      'hd/1024-x-1792/dall-e-3': { input_cost_per_image: 0.12 },
      flux: { output_cost_per_image: 0.03 },
    });
    expect(catalog.find({ provider: 'openai', model: 'dall-e-3' })?.prices).toBeUndefined();
    expect(catalog.find({ provider: 'openai', model: 'flux' })?.prices).toEqual({ costPerImage: 0.03 });
  });
});

describe('the nearest place that states something', () => {
  const far: ModelPrices = {
    inputCostPerToken: 0.000003,
    outputCostPerToken: 0.000015,
    cacheReadCostPerToken: 0.0000003,
    tiers: [{ aboveTokens: 200_000, inputCostPerToken: 0.000006, outputCostPerToken: 0.00002 }],
    periods: [{ fromMs: 1, inputCostPerToken: 0.000004, cacheReadCostPerToken: 0.0000004 }],
  };
  const catalog = (prices: ModelPrices): ModelCatalog => ({ find: () => ({ prices, maxInputTokens: 1_000 }) });
  const listedAs = { provider: 'openai', model: 'm' };

  it('wins: the entry, then the map, then the package; limits and prices each for itself', () => {
    const found = withFacts(
      exampleDeployment('a', { listedAs, prices: { outputCostPerToken: 1 } }),
      stackCatalogs(
        { find: () => ({ prices: { inputCostPerToken: 2 }, maxOutputTokens: 5 }) },
        catalog({ inputCostPerToken: 3, outputCostPerToken: 3 }),
      ),
    );
    expect(found.prices).toEqual({ inputCostPerToken: 2, outputCostPerToken: 1 });
    expect(found).toMatchObject({ maxInputTokens: 1_000, maxOutputTokens: 5 });
  });

  it('a model whose owner says it is free does not pay the list’s price of cached tokens or of long prompts', () => {
    const free = { inputCostPerToken: 0, outputCostPerToken: 0 };
    expect(mergeFacts({ prices: free }, { prices: far }).prices).toEqual({
      ...free,
      periods: [{ fromMs: 1, ...free }],
    });
  });

  it('a detail that the entry states replaces that detail, in every tier and at every time', () => {
    expect(mergeFacts({ prices: { cacheReadCostPerToken: 0 } }, { prices: far }).prices).toEqual({
      ...far,
      cacheReadCostPerToken: 0,
      periods: [{ fromMs: 1, inputCostPerToken: 0.000004, cacheReadCostPerToken: 0 }],
    });
  });

  it('a deployment that no list can know keeps what its entry states, and is named when it states nothing', () => {
    const own = exampleDeployment('own', { prices: { inputCostPerToken: 0, outputCostPerToken: 0 } });
    const unknown = exampleDeployment('unknown');
    expect(withFacts(unknown, catalog(far))).toBe(unknown);
    expect(unpriced(exampleGroup(own, unknown, exampleDeployment('pattern', { model: '*' })))).toEqual([unknown]);
  });
});
