import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { everything, type Grant, withinGrantor } from '../../../gateway/domain/delegation.ts';
import { secondsOf } from '../../../gateway/domain/key-policy.ts';
import type { Limits } from '../../../gateway/domain/limits.ts';
import { expandModels, listAllows, listWithin } from '../../../gateway/domain/model-access.ts';
import { mayCall } from '../../../gateway/domain/routes.ts';

const now = Date.UTC(2030, 0, 1);
const grant = (over: Partial<Grant> = {}): Grant => ({ ...everything, ...over });

const name = fc.constantFrom('a', 'a/b', 'a/bc', 'b', 'a/*', 'a/b*', '*', 'all-proxy-models');
const names = fc.array(name, { maxLength: 3 });
const duration = fc.constantFrom(undefined, '1h', '24h', '7d', '30d');
const number = fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined });
const limits: fc.Arbitrary<Limits> = fc.record({
  maxMicros: number,
  duration,
  requestsPerMinute: number,
  tokensPerMinute: number,
  parallelRequests: number,
  models: fc.option(
    fc.dictionary(fc.constantFrom('a', 'b'), fc.record({ maxMicros: number, requestsPerMinute: number })),
    { nil: undefined },
  ),
});
const anyGrant: fc.Arbitrary<Grant> = fc.record({
  models: fc.array(names, { maxLength: 2 }),
  limits: fc.array(limits, { maxLength: 2 }),
  routes: fc.option(fc.array(fc.constantFrom('/key/info', '/key/*', '/v1/*', 'llm_api_routes'), { maxLength: 2 }), {
    nil: undefined,
  }),
  expiresAtMs: fc.option(fc.integer({ min: now, max: now + 5 }), { nil: undefined }),
  tags: fc.subarray(['x', 'y']),
  cacheControls: fc.option(fc.subarray(['no-cache', 'ttl']), { nil: undefined }),
  region: fc.constantFrom(undefined, 'eu', 'us'),
  mayMock: fc.boolean(),
});

/** A maker and a child that has most of it from there: two that know nothing of each other hardly ever fit. */
const related = fc
  .tuple(anyGrant, anyGrant, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }))
  .map(([maker, other, own]) => {
    const pick = <Field extends keyof Grant>(field: Field, index: number): Grant[Field] =>
      (own[index] === true ? other : maker)[field];
    const child: Grant = {
      models: own[0] === true ? [...maker.models, ...other.models] : pick('models', 1),
      limits:
        own[2] === true
          ? [...maker.limits, ...other.limits]
          : maker.limits.map((one, index) => ({ ...one, ...other.limits[index] })),
      routes: pick('routes', 3),
      expiresAtMs: pick('expiresAtMs', 4),
      tags: [...maker.tags, ...other.tags],
      cacheControls: pick('cacheControls', 5),
      region: pick('region', 6),
      mayMock: pick('mayMock', 7),
    };
    return { maker, child };
  });

const models = ['a', 'a/b', 'a/bc', 'a/x', 'b', 'zzz'];
const mayUse = (grants: Grant, model: string): boolean => grants.models.every((list) => listAllows(list, model));
const most = (grants: Grant, value: (one: Limits) => number | undefined): number =>
  Math.min(...grants.limits.map((one) => value(one) ?? Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);
/** The most money in the first `seconds`. */
const moneyIn = (grants: Grant, seconds: number): number =>
  most(grants, ({ maxMicros, duration: length }) =>
    maxMicros === undefined
      ? undefined
      : maxMicros * (length === undefined ? 1 : Math.ceil(seconds / secondsOf(length, now))),
  );

describe('nobody gives away more than they have', () => {
  it('what passes can use no model, spend no money, ask no more often and live no longer than its maker', () => {
    fc.assert(
      fc.property(related, ({ child, maker }) => {
        fc.pre(withinGrantor(child, maker, now).length === 0);
        for (const model of models) if (mayUse(child, model)) expect(mayUse(maker, model)).toBe(true);
        for (const value of [
          (one: Limits) => one.requestsPerMinute,
          (one: Limits) => one.tokensPerMinute,
          (one: Limits) => one.parallelRequests,
          (one: Limits) => one.models?.['a']?.maxMicros,
          (one: Limits) => one.models?.['b']?.requestsPerMinute,
        ]) {
          expect(most(child, value)).toBeLessThanOrEqual(most(maker, value));
        }
        for (const seconds of [60, 86_400, 30 * 86_400])
          expect(moneyIn(child, seconds)).toBeLessThanOrEqual(moneyIn(maker, seconds));
        expect(child.expiresAtMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
          maker.expiresAtMs ?? Number.POSITIVE_INFINITY,
        );
        for (const path of ['/key/info', '/key/generate', '/v1/models']) {
          for (const groups of [['llm_api_routes'], ['management_routes']] as const) {
            const may = (one: Grant): boolean => one.routes === undefined || mayCall(one.routes, path, groups);
            if (may(child)) expect(may(maker)).toBe(true);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('a grant is within itself, and within everything', () => {
    fc.assert(
      fc.property(anyGrant, (one) => {
        fc.pre(one.models.every((list) => list.length > 0) && (one.routes === undefined || one.routes.length > 0));
        expect(withinGrantor(one, one, now)).toEqual([]);
        expect(withinGrantor(one, everything, now)).toEqual([]);
      }),
    );
  });

  it.each<[string, Partial<Grant>, Partial<Grant>, RegExp]>([
    ['no list of models where the maker has one', {}, { models: [['gpt-4o']] }, /^models: only gpt-4o$/],
    ['a pattern that is wider', { models: [['openai/*']] }, { models: [['openai/gpt-*']] }, /^models/],
    ['no budget where the maker has one', {}, { limits: [{ maxMicros: 5_000_000 }] }, /^max_budget: at most 5$/],
    [
      'the same budget more often',
      { limits: [{ maxMicros: 5, duration: '24h' }] },
      { limits: [{ maxMicros: 5, duration: '30d' }] },
      /per 30d/,
    ],
    [
      'a budget a day where the maker has one for ever',
      { limits: [{ maxMicros: 5, duration: '30d' }] },
      { limits: [{ maxMicros: 5 }] },
      /^max_budget/,
    ],
    ['all routes where the maker has some', {}, { routes: ['/key/info'] }, /^allowed_routes: only \/key\/info$/],
    ['no end where the maker has one', {}, { expiresAtMs: now }, /^duration: not beyond 2030-01-01T00:00:00.000Z$/],
    ['a lost tag', {}, { tags: ['eu'] }, /^tags: must hold eu$/],
    ['another region', { region: 'us' }, { region: 'eu' }, /^allowed_model_region: eu$/],
    [
      'more cache controls',
      { cacheControls: ['no-cache'] },
      { cacheControls: [] },
      /^allowed_cache_controls: only none$/,
    ],
  ])('%s is named with the most that is possible', (_case, child, maker, fault) => {
    const faults = withinGrantor(grant(child), grant(maker), now);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
  });
});

describe('lists of models', () => {
  it('a list within another lets nothing through that the other does not', () => {
    fc.assert(
      fc.property(names, names, (inner, outer) => {
        fc.pre(listWithin(inner, outer));
        for (const model of models) if (listAllows(inner, model)) expect(listAllows(outer, model)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('access groups are written out; all-team-models is all of the team, and nothing without one', () => {
    const groups = new Map([['beta', ['gpt-5', 'o4']]]);
    expect(expandModels(['beta', 'gpt-4o', 'o4'], groups, false)).toEqual(['gpt-5', 'o4', 'gpt-4o']);
    expect(expandModels(['all-team-models'], groups, true)).toEqual([]);
    expect(listAllows(expandModels(['all-team-models'], groups, false), 'gpt-4o')).toBe(false);
    const untouched = ['a'];
    expect(expandModels(untouched, groups, true)).toBe(untouched);
  });
});
