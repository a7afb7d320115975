import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import type { RoutingSettings } from '../../../gateway/domain/recovery.ts';
import { firstInOrder, isWithinLimits, type Narrowed, narrow } from '../../../gateway/routing/eligibility.ts';
import { anything, exampleDeployment, routingSettings } from '../examples.ts';

const tagging = (over: Partial<RoutingSettings> = {}) => routingSettings({ tagFiltering: true, ...over });
const checking = routingSettings({ preCallChecks: true });
const wanting = (...tags: string[]) => ({ ...anything, tags });
const idsOf = (narrowed: Narrowed): readonly string[] | Narrowed['is'] =>
  narrowed.is === 'some' ? narrowed.deployments.map(({ id }) => id) : narrowed.is;

const free = exampleDeployment('free', { tags: ['free'] });
const paid = exampleDeployment('paid', { tags: ['paid', 'eu'] });
const fallback = exampleDeployment('fallback', { tags: ['default'] });
const untagged = exampleDeployment('untagged');

describe('tags', () => {
  it.each<[string, readonly Deployment[], readonly string[], Partial<RoutingSettings>, readonly string[] | string]>([
    ['any of the tags is enough', [free, paid, untagged], ['paid', 'us'], {}, ['paid']],
    ['all of them, when the settings ask for all', [free, paid], ['paid', 'eu'], { matchAnyTag: false }, ['paid']],
    ['one missing of all is too few', [free, paid], ['paid', 'us'], { matchAnyTag: false }, 'no-tag'],
    ['nobody has them: the default pool serves', [free, paid, fallback], ['us'], {}, ['fallback']],
    [
      'nobody has them and there is no default pool: nobody, not even those without tags',
      [free, untagged],
      ['us'],
      {},
      'no-tag',
    ],
    ['a request without tags goes to the default pool', [free, fallback, untagged], [], {}, ['fallback']],
    ['without a default pool it goes to those that carry no tags', [free, untagged], [], {}, ['untagged']],
    ['a request without tags never reaches a deployment that is reserved by tags', [free, paid], [], {}, 'no-tag'],
    ['an empty list of tags is none', [exampleDeployment('empty', { tags: [] })], [], {}, ['empty']],
    [
      'they mean nothing while filtering is off',
      [free, paid, untagged],
      ['us'],
      { tagFiltering: false },
      ['free', 'paid', 'untagged'],
    ],
    ['a group without deployments has no wrong tags', [], ['us'], {}, []],
  ])('%s', (_rule, deployments, tags, over, ids) => {
    expect(idsOf(narrow(deployments, wanting(...tags), tagging(over)))).toEqual(ids);
  });

  it('more tags on a request never reach more deployments when all are needed, and never fewer when any is enough', () => {
    const tag = fc.constantFrom('a', 'b', 'c', 'd');
    const tags = fc.uniqueArray(tag, { minLength: 1 });
    fc.assert(
      fc.property(fc.array(fc.option(tags, { nil: undefined }), { maxLength: 6 }), tags, tag, (owned, asked, more) => {
        const list = owned.map((own, index) => exampleDeployment(`d${index}`, own === undefined ? {} : { tags: own }));
        const size = (wanted: readonly string[], matchAnyTag: boolean): number => {
          const result = narrow(list, wanting(...wanted), tagging({ matchAnyTag }));
          return result.is === 'some' ? result.deployments.length : 0;
        };
        expect(size([...asked, more], false)).toBeLessThanOrEqual(size(asked, false));
        expect(size([...asked, more], true)).toBeGreaterThanOrEqual(size(asked, true));
      }),
    );
  });
});

describe('regions', () => {
  const eu = exampleDeployment('eu', { region: 'eu' });
  const ireland = exampleDeployment('ireland', { region: 'eu-west-1' });
  const belgium = exampleDeployment('belgium', { region: 'europe-west1' });
  const virginia = exampleDeployment('virginia', { region: 'us-east-1' });
  const nowhere = exampleDeployment('nowhere');
  const everywhere = [eu, ireland, belgium, virginia, nowhere];

  it.each<[string, string | undefined, readonly string[], readonly string[] | string]>([
    ['a region allows what lies in it, and nobody whose region is unknown', 'eu', [], ['eu', 'ireland', 'belgium']],
    ['a part of one allows only that part', undefined, ['EU-West-1'], ['ireland']],
    ['a request narrows what the configuration allows', 'eu', ['eu-west-1'], ['ireland']],
    ['a request does not widen it', 'eu', ['us'], 'no-region'],
    ['nobody is there', 'ap-southeast-2', [], 'no-region'],
    ['a name that only begins alike is another one', 'us-e', [], 'no-region'],
    ['without a rule anybody serves', undefined, [], ['eu', 'ireland', 'belgium', 'virginia', 'nowhere']],
  ])('%s', (_rule, allowedRegion, regions, ids) => {
    const settings = routingSettings(allowedRegion === undefined ? {} : { allowedRegion });
    expect(idsOf(narrow(everywhere, { ...anything, regions }, settings))).toEqual(ids);
  });

  it('hold also while no other check was asked for, and go before the tags', () => {
    const settings = tagging({ allowedRegion: 'ap', preCallChecks: false });
    expect(idsOf(narrow(everywhere, wanting('none'), settings))).toBe('no-region');
  });
});

describe('context windows', () => {
  const small = exampleDeployment('small', { maxInputTokens: 100 });
  const large = exampleDeployment('large', { maxInputTokens: 1_000 });
  const unstated = exampleDeployment('unstated');
  const prompt = (promptTokens: number) => ({ ...anything, promptTokens });

  it.each<[number, readonly string[]]>([
    [100, ['small', 'large', 'unstated']],
    [101, ['large', 'unstated']],
    [1_001, ['unstated']],
  ])('a prompt of %i tokens goes to %j: to those that hold it, or say nothing', (tokens, ids) => {
    expect(idsOf(narrow([small, large, unstated], prompt(tokens), checking))).toEqual(ids);
  });

  it('a prompt that none holds is too long, and the largest window is named', () => {
    expect(narrow([small, large], prompt(1_001), checking)).toEqual({ is: 'too-long', largestWindow: 1_000 });
  });

  it('only those that have the tags count', () => {
    const tagged = { ...small, tags: ['paid'] };
    const settings = tagging({ preCallChecks: true });
    expect(narrow([tagged, large], { tags: ['paid'], promptTokens: 500 }, settings)).toEqual({
      is: 'too-long',
      largestWindow: 100,
    });
  });

  it('are not looked at while the checks are off', () => {
    expect(idsOf(narrow([small], prompt(1_000_000), routingSettings()))).toEqual(['small']);
  });
});

describe('rpm and tpm', () => {
  const load = { inFlight: 0, requests: 9, tokens: 900, firstChunkSeconds: undefined, secondsPerToken: undefined };

  it.each<[string, Partial<Deployment>, boolean]>([
    ['the last request of the minute fits', { rpm: 10 }, true],
    ['the one after it does not', { rpm: 9 }, false],
    ['the last token of the minute fits', { tpm: 1_000 }, true],
    ['one more does not', { tpm: 999 }, false],
    ['both must have room', { rpm: 10, tpm: 999 }, false],
    ['a limit of 0 lets nothing through', { rpm: 0 }, false],
    ['without limits there is always room', {}, true],
  ])('%s', (_rule, limits, fits) => {
    expect(isWithinLimits(exampleDeployment('a', limits), load, 100)).toBe(fits);
  });
});

describe('order', () => {
  it('keeps exactly those with the lowest number; those without one come last', () => {
    const order = fc.option(fc.nat(3), { nil: undefined });
    fc.assert(
      fc.property(fc.array(order, { minLength: 1, maxLength: 8 }), (orders) => {
        const list = orders.map((own, index) =>
          exampleDeployment(`d${index}`, own === undefined ? {} : { order: own }),
        );
        const stated = orders.filter((own) => own !== undefined);
        const first = stated.length === 0 ? undefined : Math.min(...stated);
        expect(firstInOrder(list)).toEqual(list.filter((deployment) => deployment.order === first));
      }),
    );
  });

  it('of nobody is nobody', () => {
    expect(firstInOrder([])).toEqual([]);
  });
});
