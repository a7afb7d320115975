import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { ModelDirectory } from '../../../gateway/routing/directory.ts';
import { exampleDeployment } from '../examples.ts';

const plain = exampleDeployment('id-plain', { modelGroup: 'gpt-4o', model: 'gpt-4o-2024' });
const local = exampleDeployment('id-local', { modelGroup: 'local', provider: 'hosted_vllm', model: 'llama' });
const second = exampleDeployment('id-second', { modelGroup: 'other', provider: 'hosted_vllm', model: 'llama' });
const wild = exampleDeployment('id-wild', { modelGroup: 'openai/*', model: '*' });
const special = exampleDeployment('id-special', { modelGroup: 'openai/gpt-*', model: 'gpt-*' });

const directoryOf = (deployments: readonly Deployment[], aliases: Readonly<Record<string, string>> = {}) => {
  const groups = new Map<string, Deployment[]>();
  for (const one of deployments) groups.set(one.modelGroup, [...(groups.get(one.modelGroup) ?? []), one]);
  return new ModelDirectory({
    groups,
    aliases: new Map(Object.entries(aliases).map(([alias, group]) => [alias, { group, hidden: false }])),
  });
};

describe('a name', () => {
  const directory = directoryOf([plain, local, second, wild, special], {
    cheap: 'local',
    'gpt-4o': 'local',
    best: 'openai/o3',
    'by-id': 'id-plain',
    'by-model': 'hosted_vllm/llama',
    dangling: 'nowhere',
    loop: 'loop',
  });

  it.each<[string, string, string | undefined, readonly string[]]>([
    ['a group', 'gpt-4o', 'gpt-4o', ['id-plain']],
    ['an alias of a group', 'cheap', 'local', ['id-local']],
    ['an alias of a name that a pattern fits', 'best', 'openai/*', ['id-wild']],
    ['an alias of a deployment id', 'by-id', 'id-plain', ['id-plain']],
    ['an alias of a model string', 'by-model', 'hosted_vllm/llama', ['id-local', 'id-second']],
    ['a deployment id', 'id-second', 'id-second', ['id-second']],
    [
      'a model string, whatever group its deployments are in',
      'hosted_vllm/llama',
      'hosted_vllm/llama',
      ['id-local', 'id-second'],
    ],
    ['a name that a pattern fits', 'openai/o3', 'openai/*', ['id-wild']],
    ['a name that two patterns fit: the more specific one', 'openai/gpt-5', 'openai/gpt-*', ['id-special']],
    ['an alias of nothing', 'dangling', undefined, []],
    ['an alias of itself', 'loop', undefined, []],
    ['a name of nothing', 'nowhere', undefined, []],
    ['a member of every object', '__proto__', undefined, []],
  ])('%s (%j) stands for %j', (_what, name, group, ids) => {
    expect(directory.resolve(name)).toBe(group);
    expect((group === undefined ? [] : directory.deployments(group)).map(({ id }) => id)).toEqual(ids);
  });

  it('of a group is never taken over by an alias, an id or a model string', () => {
    const twins = [
      exampleDeployment('id-1', { modelGroup: 'x' }),
      exampleDeployment('x', { modelGroup: 'y', provider: 'openai', model: 'z' }),
    ];
    const crowded = directoryOf(twins, { x: 'y' });
    expect(crowded.resolve('x')).toBe('x');
    expect(crowded.deployments('x').map(({ id }) => id)).toEqual(['id-1']);
  });

  it('that resolves always has at least one deployment', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.constantFrom('gpt-4o', 'cheap', 'openai/x', 'id-wild', 'hosted_vllm/llama', 'openai/*'),
        ),
        (name) => {
          const group = directory.resolve(name);
          if (group !== undefined) expect(directory.deployments(group)).not.toEqual([]);
        },
      ),
    );
  });
});

it('the list for clients has groups and visible aliases once each, without ids and model strings', () => {
  expect(directoryOf([plain, local, wild], { cheap: 'local', 'gpt-4o': 'local' }).names()).toEqual([
    'gpt-4o',
    'local',
    'openai/*',
    'cheap',
  ]);
});

describe('a deployment of a pattern', () => {
  const directory = directoryOf([plain, wild, special], { best: 'openai/o3' });

  it('is called with what the client put in the place of the star', () => {
    expect(directory.concrete(wild, 'openai/o3').model).toBe('o3');
    expect(directory.concrete(special, 'openai/gpt-5').model).toBe('gpt-5');
  });

  it('is called with what the alias put there', () => {
    expect(directory.concrete(wild, 'best').model).toBe('o3');
  });

  it('takes the client’s text as it is, also when it looks like a replacement pattern', () => {
    for (const rest of ['$&', '$$', "$'", '$`', '*']) {
      expect(directory.concrete(wild, `openai/${rest}`).model).toBe(rest);
    }
  });

  it('keeps its id, so that its load and its cooldown are one, and is found again as configured', () => {
    const concrete = directory.concrete(wild, 'openai/o3');
    expect(concrete.id).toBe(wild.id);
    expect(directory.configured(concrete)).toBe(wild);
  });

  it('has the prices and limits of the model that was asked for, looked up once', () => {
    let looked = 0;
    const listed = { ...wild, listedAs: { provider: 'openai', model: '*' } };
    const priced = new ModelDirectory({
      groups: new Map([['openai/*', [listed]]]),
      aliases: new Map(),
      withFacts: (deployment) => {
        looked++;
        return { ...deployment, maxInputTokens: deployment.listedAs?.model.length ?? 0 };
      },
    });
    expect(priced.concrete(listed, 'openai/o3').maxInputTokens).toBe(2);
    expect(priced.concrete(listed, 'openai/o3')).toBe(priced.concrete(listed, 'openai/o3'));
    expect(looked).toBe(1);
    expect(priced.concrete(listed, 'openai/gpt-5').maxInputTokens).toBe(5);
    // What a client invents does not stay for ever.
    for (let name = 0; name < 5_000; name++) priced.concrete(listed, `openai/${name}`);
    expect(priced.concrete(listed, 'openai/o3').maxInputTokens).toBe(2);
  });

  it('any other deployment stays what it is', () => {
    expect(directory.concrete(plain, 'openai/o3')).toBe(plain);
  });
});
