import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import type { ModelPrices, PriceList } from '../../../gateway/domain/prices.ts';
import type { JsonObject, ModelRequest } from '../../../gateway/domain/request.ts';
import { reachableDeployments } from '../../../gateway/pipeline/reachable.ts';
import { billedFor } from '../../../gateway/pricing/billed.ts';
import { costMicros } from '../../../gateway/pricing/cost.ts';
import { CostEstimator } from '../../../gateway/pricing/estimate.ts';
import { ModelDirectory } from '../../../gateway/routing/directory.ts';
import { exampleDeployment, exampleGroup, exampleRequest, recovery } from '../examples.ts';

const gpt4o: ModelPrices = { inputCostPerToken: 0.0000025, outputCostPerToken: 0.00001 };
const chat = (over: JsonObject = {}, content: unknown = 'Hello!') =>
  exampleRequest({ model: 'chat', messages: [{ role: 'user', content }], ...over });

const estimator = (...deployments: readonly Partial<Deployment>[]) =>
  new CostEstimator({
    defaultOutputTokens: 4_096,
    deploymentsFor: () => deployments.map((over, index) => exampleDeployment(`d${index}`, over)),
  });
const estimate = (prices: ModelPrices | undefined, request: ModelRequest, promptTokens?: number) =>
  estimator(prices === undefined ? {} : { prices }).estimateMicros(request, 'chat', promptTokens);

describe('the most that a request may cost', () => {
  it('is its prompt and the longest answer it allows, `n` times', () => {
    // 1,000 x 2.5 + n x 200 x 10 millionths.
    expect(estimate(gpt4o, chat({ max_tokens: 200 }), 1_000)).toBe(4_500);
    expect(estimate(gpt4o, chat({ max_completion_tokens: 200, n: 3 }), 1_000)).toBe(8_500);
  });

  it('without max_tokens counts the longest answer of the model, else the default', () => {
    expect(estimator({ prices: gpt4o, maxOutputTokens: 16_384 }).estimateMicros(chat(), 'chat', 0)).toBe(163_840);
    expect(estimate(gpt4o, chat(), 0)).toBe(40_960);
  });

  it('counts a token for three bytes when nobody counted', () => {
    const request = chat({ max_tokens: 0 }, 'a'.repeat(30_000));
    expect(estimate(gpt4o, request)).toBe(Math.ceil(Math.ceil(request.bytes.length / 3) * 2.5));
  });

  it('is that of the dearest deployment, and of the dearest step of its prices', () => {
    const cheap = { prices: { inputCostPerToken: 0.0000001, outputCostPerToken: 0.0000004 }, maxOutputTokens: 8_192 };
    const tiered = { prices: { ...gpt4o, tiers: [{ aboveTokens: 200_000, inputCostPerToken: 0.000005 }] } };
    const both = estimator(cheap, tiered);
    expect(both.estimateMicros(chat({ max_tokens: 100 }), 'chat', 1_000)).toBe(3_500);
    expect(both.estimateMicros(chat({ max_tokens: 100 }), 'chat', 200_000)).toBe(501_000);
    expect(both.estimateMicros(chat({ max_tokens: 100 }), 'chat', 200_001)).toBe(1_001_005);
  });

  it('is that of a shorter prompt, where by some mistake of a list a longer one is cheaper: the count may be too high', () => {
    const tiers = [
      { aboveTokens: 100, inputCostPerToken: 0.0001 },
      { aboveTokens: 200, inputCostPerToken: 0.000001 },
    ];
    expect(estimate({ ...gpt4o, tiers }, chat({ max_tokens: 0 }), 300)).toBe(30_000);
  });

  it('is unknown, and not 0, when one of the deployments has no price', () => {
    expect(estimator({ prices: gpt4o }, {}).estimateMicros(chat(), 'chat')).toBeUndefined();
    expect(estimate({ inputCostPerToken: 1 }, chat())).toBeUndefined();
    expect(estimate({ costPerImage: 1 }, chat())).toBeUndefined();
  });

  it('is 0 where everything is stated to cost nothing', () => {
    expect(estimate({ inputCostPerToken: 0, outputCostPerToken: 0 }, chat())).toBe(0);
  });

  it('a picture counts by the picture and not by its bytes, sound by its length', () => {
    const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(3_000_000)}` } };
    const pictures = estimate(gpt4o, chat({ max_tokens: 0 }, [{ type: 'text', text: 'What?' }, image, image]));
    expect(pictures).toBeGreaterThanOrEqual(25_000);
    expect(pictures).toBeLessThan(26_000);
    const sound = { type: 'input_audio', input_audio: { data: 'A'.repeat(1_000_000), format: 'wav' } };
    const heard = estimate({ ...gpt4o, inputAudioCostPerToken: 0.00004 }, chat({ max_tokens: 0 }, [sound]));
    expect(heard).toBeGreaterThanOrEqual(400_000);
    expect(heard).toBeLessThan(410_000);
  });

  it('what is kept in the cache for an hour counts at that price, when the request asks for it', () => {
    const prices = { ...gpt4o, cacheWriteCostPerToken: 0.000003, hourCacheWriteCostPerToken: 0.000005 };
    const part = (ttl: string) => [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl } }];
    expect(estimate(prices, chat({ max_tokens: 0 }, part('5m')), 1_000)).toBe(3_000);
    expect(estimate(prices, chat({ max_tokens: 0 }, part('1h')), 1_000)).toBe(5_000);
  });

  it.each<[string, ModelRequest, ModelPrices, number, number]>([
    [
      'embeddings',
      exampleRequest({ input: 'a'.repeat(3_000) }, { operation: 'embeddings' }),
      { inputCostPerToken: 0.00000002 },
      20,
      21,
    ],
    [
      'images by the piece',
      exampleRequest({ prompt: 'A house', n: 2 }, { operation: 'images' }),
      { costPerImage: 0.04 },
      80_000,
      80_000,
    ],
    [
      'images by the token',
      exampleRequest({ prompt: 'A house', n: 2 }, { operation: 'images' }),
      { inputCostPerToken: 0.000005, outputCostPerToken: 0.00004 },
      560_000,
      560_100,
    ],
    [
      'speech by the character',
      exampleRequest({ input: 'a'.repeat(100) }, { operation: 'speech' }),
      { costPerCharacter: 0.000015 },
      1_500,
      1_500,
    ],
    [
      'speech by the token',
      exampleRequest({ input: 'a'.repeat(100) }, { operation: 'speech' }),
      { inputCostPerToken: 0.0000006, outputCostPerToken: 0.000012 },
      3_600,
      3_650,
    ],
    [
      'a rerank',
      exampleRequest({ query: 'q', documents: ['a'] }, { operation: 'rerank' }),
      { costPerQuery: 0.002 },
      2_000,
      2_000,
    ],
    [
      'moderation',
      exampleRequest({ input: 'a' }, { operation: 'moderations' }),
      { inputCostPerToken: 0, outputCostPerToken: 0 },
      0,
      0,
    ],
  ])('%s: by what they are paid for', (_what, request, prices, least, most) => {
    const cost = estimate(prices, request);
    expect(cost).toBeGreaterThanOrEqual(least);
    expect(cost).toBeLessThanOrEqual(most);
  });

  it('a transcription costs at most what so many bytes can last', () => {
    const upload = exampleRequest({ file: '(file)' }, { operation: 'transcriptions', bytes: Buffer.alloc(2_000_000) });
    expect(estimate({ costPerSecond: 0.0001 }, upload)).toBe(100_000);
    expect(estimate({ inputCostPerToken: 0.0000025, outputCostPerToken: 0.00001 }, upload)).toBe(112_500);
  });

  it('never is less than what the request then costs, whatever its prices and however its tokens split', () => {
    const price = fc.integer({ min: 0, max: 100_000 }).map((nanos) => Number(`${nanos}e-9`));
    const units = fc.record(
      {
        cacheReadCostPerToken: price,
        cacheWriteCostPerToken: price,
        hourCacheWriteCostPerToken: price,
        reasoningCostPerToken: price,
        costPerRequest: price,
      },
      { requiredKeys: [] },
    );
    const list: fc.Arbitrary<PriceList> = fc
      .tuple(
        units,
        price,
        price,
        fc.array(
          fc.record({
            aboveTokens: fc.integer({ min: 1, max: 3_000 }),
            inputCostPerToken: price,
            outputCostPerToken: price,
          }),
          { maxLength: 2 },
        ),
      )
      .map(([details, inputCostPerToken, outputCostPerToken, tiers]) => ({
        ...details,
        inputCostPerToken,
        outputCostPerToken,
        tiers: tiers.toSorted((a, b) => a.aboveTokens - b.aboveTokens),
      }));
    const part = fc.integer({ min: 0, max: 1_000 });
    fc.assert(
      fc.property(
        fc.array(list, { minLength: 1, maxLength: 3 }),
        list,
        part,
        part,
        part,
        part,
        part,
        part,
        (lists, dated, plain, cached, written, output, reasoned, tooMany) => {
          const deployments = lists.map((prices, index) => ({
            prices: index === 0 ? { ...prices, periods: [{ ...dated, fromMs: 5 }] } : prices,
          }));
          const request = { ...chat({ max_tokens: output + reasoned, cache: '1h' }), startedAtMs: 10 };
          // A cached token may be dearer than others only by mistake of a list, and is not asked for.
          const isCheaper = [...lists, dated].every((prices) =>
            [prices, ...(prices.tiers ?? [])].every(
              (at) => (prices.cacheReadCostPerToken ?? 0) <= (at.inputCostPerToken ?? 0),
            ),
          );
          const usage = {
            promptTokens: plain + cached + written,
            completionTokens: output + reasoned,
            cachedPromptTokens: isCheaper ? cached : 0,
            cacheWriteTokens: written,
            hourCacheWriteTokens: Math.floor(written / 2),
            reasoningTokens: reasoned,
          };
          const most = estimator(...deployments).estimateMicros(request, 'chat', usage.promptTokens + tooMany);
          for (const { prices } of deployments) {
            expect(Number(costMicros(usage, prices, billedFor(request)))).toBeLessThanOrEqual(most ?? Number.NaN);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('output that nobody has limited', () => {
  const cheapAndLong = {
    prices: { inputCostPerToken: 0.0000001, outputCostPerToken: 0.0000004 },
    maxOutputTokens: 65_536,
  };
  const dearAndShort = {
    prices: { inputCostPerToken: 0.000003, outputCostPerToken: 0.000015 },
    maxOutputTokens: 8_192,
  };

  it('is told apart, and limited to any number of tokens the request costs no more than that says', () => {
    const both = estimator(cheapAndLong, dearAndShort);
    const open = both.estimate(chat({ n: 2 }), 'chat', 1_000);
    expect(open.openOutput).toEqual({ tokens: 65_536, microsPerToken: 30 });
    expect(open.tokens).toBe(1_000 + 2 * 65_536);
    for (const tokens of [0, 1, 5_000, 10_000, 65_536]) {
      const limited = both.estimate(chat({ n: 2, max_tokens: tokens }), 'chat', 1_000);
      expect(limited.openOutput).toBeUndefined();
      expect(limited.micros).toBeLessThanOrEqual((open.micros ?? 0) - (65_536 - tokens) * 30);
    }
  });

  it('of a single model is exact, and tokens are known where prices are not', () => {
    expect(estimator(dearAndShort).estimate(chat(), 'chat', 1_000)).toEqual({
      micros: 3_000 + 8_192 * 15,
      tokens: 9_192,
      openOutput: { tokens: 8_192, microsPerToken: 15 },
    });
    expect(estimator({}).estimate(chat({ max_tokens: 50 }), 'chat', 1_000)).toEqual({
      micros: undefined,
      tokens: 1_050,
    });
  });
});

describe('who may serve a request', () => {
  const dear = exampleDeployment('dear', {
    modelGroup: 'dear',
    prices: { inputCostPerToken: 1, outputCostPerToken: 1 },
  });
  const cheap = exampleDeployment('cheap', { prices: gpt4o });
  const groups = new Map([
    ...exampleGroup(cheap),
    ['middle', [{ ...cheap, id: 'middle', modelGroup: 'middle' }]],
    ['dear', [dear]],
  ]);
  const directory = new ModelDirectory({ groups, aliases: new Map([['alias', { group: 'dear', hidden: false }]]) });
  const reach = (settings: Parameters<typeof recovery>[0], group = 'chat') =>
    reachableDeployments(directory, recovery(settings), group, '').map(({ id }) => id);

  it('is everybody it may fall back to, over several steps and by any kind of failure', () => {
    expect(reach({})).toEqual(['cheap']);
    expect(
      reach({
        fallbacks: new Map([
          ['chat', ['middle']],
          ['middle', ['alias']],
        ]),
      }),
    ).toEqual(['cheap', 'middle', 'dear']);
    expect(reach({ contextWindowFallbacks: new Map([['chat', ['dear']]]) })).toEqual(['cheap', 'dear']);
    expect(reach({ defaultFallbacks: ['dear'] })).toEqual(['cheap', 'dear']);
    expect(
      reach({
        fallbacks: new Map([
          ['chat', ['middle']],
          ['middle', ['dear']],
        ]),
        maxFallbacks: 1,
      }),
    ).toEqual(['cheap', 'middle']);
    expect(reach({ fallbacks: new Map([['chat', ['nobody', 'chat']]]) })).toEqual(['cheap']);
  });

  it('a fallback that the client names counts, too', () => {
    const all = new CostEstimator({
      defaultOutputTokens: 1,
      deploymentsFor: (group, model) => reachableDeployments(directory, recovery(), group, model),
    });
    const request = chat({ max_tokens: 1 });
    expect(all.estimateMicros(request, 'chat', 1)).toBe(13);
    const asked = { ...request, overrides: { disableFallbacks: false, fallbacks: [{ model: 'dear' }] } };
    expect(all.estimateMicros(asked, 'chat', 1)).toBe(2_000_000);
  });

  it('a model behind a pattern has the price of that model', () => {
    const pattern = exampleDeployment('any', {
      modelGroup: 'openai/*',
      model: '*',
      listedAs: { provider: 'openai', model: '*' },
    });
    const wild = new ModelDirectory({
      groups: new Map([['openai/*', [pattern]]]),
      aliases: new Map(),
      withFacts: (deployment) =>
        deployment.listedAs?.model === 'gpt-4o' ? { ...deployment, prices: gpt4o } : deployment,
    });
    const all = new CostEstimator({
      defaultOutputTokens: 1,
      deploymentsFor: (group, model) => reachableDeployments(wild, recovery(), group, model),
    });
    const asking = (model: string) => exampleRequest({ model, messages: [] }, { model });
    expect(all.estimateMicros(asking('openai/gpt-4o'), 'openai/*', 0)).toBe(10);
    expect(all.estimateMicros(asking('openai/unheard-of'), 'openai/*', 0)).toBeUndefined();
  });
});
