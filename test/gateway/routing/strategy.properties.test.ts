import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { limitsBind } from '../../../gateway/routing/eligibility.ts';
import { type Wanted } from '../../../gateway/routing/router.ts';
import { strategies } from '../../../gateway/routing/strategy.ts';
import { exampleDeployment } from '../examples.ts';
import { begin, names, price, routerOf } from './strategy-router.ts';

const strategy = fc.constantFrom(...names);
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });

/** Deployments with everything that may exclude them, and what has happened to each. */
const situation = fc.record({
  strategy,
  latencyBuffer: fc.constantFrom(0, 0.5),
  matchAnyTag: fc.boolean(),
  tags: fc.subarray(['red', 'blue']),
  allowedRegion: optional(fc.constantFrom('eu', 'us')),
  regions: fc.subarray(['eu', 'us-east-1'], { maxLength: 1 }),
  enforceRateLimits: fc.boolean(),
  promptTokens: fc.nat(200),
  stream: fc.boolean(),
  deployments: fc.array(
    fc.record({
      weight: optional(fc.nat(3)),
      rpm: optional(fc.nat(4)),
      tpm: optional(fc.nat(400)),
      order: optional(fc.nat(2)),
      tags: optional(fc.subarray(['red', 'blue', 'default'])),
      region: optional(fc.constantFrom('eu', 'eu-west-1', 'us-east-1', 'us-west-2')),
      maxInputTokens: optional(fc.integer({ min: 1, max: 200 })),
      maxParallelRequests: optional(fc.integer({ min: 1, max: 3 })),
      priced: fc.boolean(),
      requests: fc.nat(4),
      running: fc.nat(3),
      tokens: fc.nat(400),
      seconds: optional(fc.double({ min: 0, max: 10, noNaN: true })),
      cooling: fc.boolean(),
      failed: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

it('no strategy picks one that is cooling, tag-filtered, in another region, too small, over its limits or full while another is eligible; nor a higher order before a lower one', () => {
  fc.assert(
    fc.property(situation, (made) => {
      const facts = new Map(made.deployments.map((fact, index) => [`d${index}`, fact]));
      const deployments = made.deployments.map((fact, index) =>
        exampleDeployment(`d${index}`, {
          ...(fact.weight === undefined ? {} : { weight: fact.weight }),
          ...(fact.rpm === undefined ? {} : { rpm: fact.rpm }),
          ...(fact.tpm === undefined ? {} : { tpm: fact.tpm }),
          ...(fact.order === undefined ? {} : { order: fact.order }),
          ...(fact.tags === undefined ? {} : { tags: fact.tags }),
          ...(fact.region === undefined ? {} : { region: fact.region }),
          ...(fact.maxInputTokens === undefined ? {} : { maxInputTokens: fact.maxInputTokens }),
          ...(fact.maxParallelRequests === undefined ? {} : { maxParallelRequests: fact.maxParallelRequests }),
          ...(fact.priced ? price(1) : {}),
        }),
      );
      const routed = routerOf(
        {
          strategy: made.strategy,
          latencyBuffer: made.latencyBuffer,
          matchAnyTag: made.matchAnyTag,
          tagFiltering: true,
          preCallChecks: true,
          enforceRateLimits: made.enforceRateLimits,
          ...(made.allowedRegion === undefined ? {} : { allowedRegion: made.allowedRegion }),
        },
        deployments,
      );
      for (const [id, fact] of facts) {
        for (let request = 0; request < fact.requests; request++) routed.load.begin(id)();
        begin(routed, id, fact.running);
        routed.load.use(id, fact.tokens);
        if (fact.seconds !== undefined)
          routed.load.measured(id, { seconds: fact.seconds, stream: made.stream, completionTokens: 10 });
        if (fact.cooling) routed.router.adopt(id, 30_000);
      }
      const wanted: Wanted = {
        tags: made.tags,
        stream: made.stream,
        promptTokens: made.promptTokens,
        regions: made.regions,
      };
      const failed = new Set([...facts].flatMap(([id, fact]) => (fact.failed ? [id] : [])));

      // The same rules said plainly, each on its own.
      const has = (fact: (typeof made.deployments)[number]): boolean =>
        made.matchAnyTag
          ? made.tags.some((tag) => fact.tags?.includes(tag) === true)
          : made.tags.every((tag) => fact.tags?.includes(tag) === true);
      const isIn = (region: string | undefined, allowed: string): boolean =>
        region === allowed || region?.startsWith(`${allowed}-`) === true;
      const all = [...facts].filter(
        ([, fact]) =>
          (made.allowedRegion === undefined || isIn(fact.region, made.allowedRegion)) &&
          made.regions.every((region) => isIn(fact.region, region)),
      );
      const isDefault = ([, fact]: (typeof all)[number]): boolean => fact.tags?.includes('default') === true;
      const matching = made.tags.length > 0 ? all.filter(([, fact]) => has(fact)) : [];
      const defaults = all.filter(isDefault);
      const tagged =
        matching.length > 0
          ? matching
          : defaults.length > 0 || made.tags.length > 0
            ? defaults
            : all.filter(([, fact]) => (fact.tags?.length ?? 0) === 0);
      const open = tagged.filter(
        ([, fact]) =>
          (fact.maxInputTokens ?? Infinity) >= made.promptTokens &&
          fact.running < (fact.maxParallelRequests ?? Infinity),
      );
      const inLimits = open.filter(
        ([, fact]) =>
          fact.requests + fact.running < (fact.rpm ?? Infinity) &&
          fact.tokens + made.promptTokens <= (fact.tpm ?? Infinity),
      );
      const pool = limitsBind[made.strategy] || made.enforceRateLimits ? inLimits : open;
      const serving = pool.filter(([, fact]) => !fact.cooling);
      const may = serving.length > 0 ? serving : pool;
      const untried = may.filter(([id]) => !failed.has(id));
      const left = untried.length > 0 ? untried : may;
      const best = left.filter((one) => inLimits.includes(one));
      const ready = best.length > 0 ? best : left;
      const lowest = Math.min(...ready.map(([, fact]) => fact.order ?? Infinity));
      const allowed = ready.filter(([, fact]) => (fact.order ?? Infinity) === lowest).map(([id]) => id);

      expect(routed.router.availability('chat', failed, wanted)).toMatchObject({
        eligible: may.length,
        untried: untried.length,
      });
      const chosen = routed.router.choose('chat', failed, wanted);
      if (allowed.length === 0) expect(chosen).toBeUndefined();
      else expect(allowed).toContain(chosen?.id);
    }),
    { numRuns: 2_000 },
  );
});

it('every strategy returns one of its candidates, whatever the load is, and nobody only from nobody', () => {
  const number = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true }));
  const candidate = fc.record({
    inFlight: fc.nat(),
    requests: fc.nat(),
    tokens: fc.nat(),
    firstChunkSeconds: optional(number),
    secondsPerToken: optional(number),
    cost: optional(number),
    weight: optional(number),
  });
  fc.assert(
    fc.property(
      strategy,
      fc.array(candidate, { maxLength: 8 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.boolean(),
      number,
      (name, facts, drawn, stream, latencyBuffer) => {
        const idle = { inFlight: 0, requests: 0, tokens: 0, firstChunkSeconds: undefined, secondsPerToken: undefined };
        const candidates = facts.map(({ cost, weight }, index) =>
          exampleDeployment(`d${index}`, {
            ...(cost === undefined ? {} : price(cost)),
            ...(weight === undefined ? {} : { weight }),
          }),
        );
        const chosen = strategies[name]({
          candidates,
          loadOf: (id) => facts[Number(id.slice(1))] ?? idle,
          need: { stream, promptTokens: 1 },
          random: () => drawn,
          latencyBuffer,
        });
        if (candidates.length === 0) expect(chosen).toBeUndefined();
        else expect(candidates).toContain(chosen);
      },
    ),
    { numRuns: 2_000 },
  );
});
