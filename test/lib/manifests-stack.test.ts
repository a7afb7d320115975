import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { appliedCharts, chartsOf } from '../../k8s/app.ts';
import { manifestsStackName, stackName } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { assemble } from '../../lib/review/assemble.ts';
import { specOf } from './specs.ts';
import { context, type Resource, templateSchema } from './synthesize.ts';

const layer = 'arn:aws:lambda:us-east-1:222222222222:layer:kubectl:3';
const platform = definePlatform({
  ...specOf('standard', 'single-region'),
  cluster: {
    addons: ['drills', 'telemetry', 'monitoring', 'exporters', 'vault', 'backup', 'vllm', 'agentgateway'],
    applyByStack: { kubectlLayerArns: { 'us-east-1': layer } },
  },
});

describe('a stack that applies the manifests', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  vi.stubEnv('CDK_VALIDATION', 'true');
  const { stacks, findings } = assemble(platform, {
    directory,
    context,
    chartsOf: (region) => appliedCharts(platform, region),
  });
  vi.unstubAllEnvs();
  const templateOf = (name: string) =>
    templateSchema.parse(JSON.parse(readFileSync(join(directory, `${name}.template.json`), 'utf8')));
  const { Resources } = templateOf(manifestsStackName(platform, 'us-east-1'));
  const ofType = (type: string): Resource[] => Object.values(Resources).filter(({ Type }) => Type === type);

  test('breaks no rule, and needs neither a network nor an account to be made', () => {
    expect(findings).toEqual([]);
    expect(JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')).missing ?? []).toEqual([]);
  });

  test('applies every file but the drills, each after the one before it, and takes nothing away when it goes', () => {
    const applied = ofType('Custom::AWSCDK-EKS-KubernetesResource');
    const charts = appliedCharts(platform, platform.primary);
    expect(applied).toHaveLength(charts.length);
    expect(charts.length).toBeLessThan(chartsOf(platform, platform.primary).length);
    expect(JSON.stringify(applied)).not.toContain('chaos-mesh.org');
    const ids = Object.keys(Resources).filter((id) => applied.some((resource) => resource === Resources[id]));
    for (const [index, { DeletionPolicy, ...resource }] of applied.entries()) {
      expect(DeletionPolicy).toBe('Retain');
      const before = index === 0 ? 'Access' : ids[index - 1];
      expect(resource['DependsOn'], charts[index]?.name).toContain(before);
    }
  });

  test('hands each file to Lambda in one call, which takes 256 KiB', () => {
    for (const { Properties } of ofType('Custom::AWSCDK-EKS-KubernetesResource')) {
      expect(JSON.stringify(Properties).length).toBeLessThan(200_000);
    }
  });

  test('runs kubectl from the given layer inside the network, as an administrator of this one cluster', () => {
    const [kubectl] = ofType('AWS::Lambda::Function').filter(({ Properties }) => 'Layers' in Properties);
    expect(kubectl?.Properties['Layers']).toContain(layer);
    expect(kubectl?.Properties['VpcConfig']).toMatchObject({ SubnetIds: expect.anything() });
    expect(ofType('AWS::EKS::AccessEntry').map(({ Properties }) => Properties['ClusterName'])).toEqual([
      'acme-production-us-east-1',
    ]);
  });

  test('stands apart: no other stack has a function in it, or waits for this one', () => {
    const others = stacks.filter(({ name }) => name !== manifestsStackName(platform, 'us-east-1'));
    expect(JSON.stringify(others)).not.toContain('AWS::Lambda::Function');
    expect(others.map(({ name }) => name)).toContain(stackName(platform, 'us-east-1', 'data'));
  });
});

test.each([
  ['without a layer in a region', {}, 'eks', /kubectlLayerArns\.us-east-1: "" is not the ARN/],
  [
    'with a layer of another region',
    { 'us-east-1': layer.replace('us-east-1', 'eu-west-1') },
    'eks',
    /of its own region/,
  ],
  ['on a cluster that stacks do not reach', { 'us-east-1': layer }, 'generic', /clusters of kind "eks" alone/],
] as const)('it is refused %s', (_, kubectlLayerArns, kind, fault) => {
  const cluster = { kind, applyByStack: { kubectlLayerArns } };
  expect(() => definePlatform({ ...specOf('standard', 'single-region'), cluster })).toThrow(fault);
});
