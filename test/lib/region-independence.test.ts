import { describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { dnsStackName, regionalStackKinds, stackName } from '../../lib/platform/names.ts';
import { synthesize } from './synthesize.ts';

const synthesis = synthesize(shipped);
const { stacks } = synthesis;
const regionNames = shipped.regions.map(({ region }) => region);

test('each region has a stack of every kind of its own, and one dns stack stands above them', () => {
  const expected = regionNames.flatMap((region) => regionalStackKinds.map((kind) => stackName(shipped, region, kind)));
  expect(stacks.map(({ name }) => name).sort()).toEqual([...expected, dnsStackName(shipped)].sort());
});

test('a stack depends on stacks of its own region only', () => {
  const regionOf = new Map(stacks.map(({ name, region }) => [name, region]));
  for (const { name, region, dependencies } of stacks) {
    expect(
      dependencies.filter((dependency) => regionOf.get(dependency) !== region),
      name,
    ).toEqual([]);
  }
});

test('the dns stack depends on no stack at all and stands outside the primary region', () => {
  const dns = stacks.find(({ name }) => name === dnsStackName(shipped));
  expect(dns?.dependencies).toEqual([]);
  expect(dns?.region).not.toBe(shipped.primary.region);
});

describe.each(stacks.map((stack) => ({ name: stack.name, stack })))('$name', ({ stack }) => {
  const text = JSON.stringify(stack.template);

  test('exports and imports nothing', () => {
    expect(text).not.toMatch(/Fn::ImportValue|"Export"|Custom::CrossRegionExport/);
  });

  test('reads outputs of stacks in its own region only', () => {
    const regions = [...text.matchAll(/"Fn::GetStackOutput":\{"StackName":"[^"]+","Region":"([^"]+)"/g)].map(
      (match) => match[1],
    );
    expect(regions.filter((region) => region !== stack.region)).toEqual([]);
    expect(text.split('Fn::GetStackOutput').length - 1).toBe(regions.length);
  });

  test('runs no code of its own at deployment: no custom resource, no Lambda', () => {
    expect(text).not.toMatch(/"Type":"(Custom::|AWS::Lambda::|AWS::CloudFormation::CustomResource)/);
  });

  test('has no parameter that reads another service', () => {
    const types = Object.values(stack.template.Parameters).map((parameter) => parameter.Type);
    expect(types.filter((type) => type !== 'String' && type !== 'Number')).toEqual([]);
  });

  test('cannot be deleted by mistake', () => {
    expect(stack.terminationProtection).toBe(true);
  });
});

test('nothing is looked up: zones and the hosted zone come from the configuration', () => {
  expect(synthesis.missing).toEqual([]);
});

test('nothing but templates is uploaded', () => {
  expect(synthesis.assets).toEqual([]);
});
