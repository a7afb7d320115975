import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { CfnNatGateway, CfnSubnet } from 'aws-cdk-lib/aws-ec2';
import { CfnReplicationGroup } from 'aws-cdk-lib/aws-elasticache';
import { CfnListener } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { CfnDBInstance, CfnDBParameterGroup } from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { describe, expect, test, vi } from 'vitest';
import { acknowledge } from '../../lib/constructs/acknowledge.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { collectExceptions } from '../../lib/review/exceptions.ts';
import { readFindings } from '../../lib/review/findings.ts';
import { withRules } from '../../lib/review/rules.ts';
import { spec } from './specs.ts';
import { context } from './synthesize.ts';

/** What the rules say about one stack. */
function findingsIn(build: (stack: Construct) => unknown) {
  vi.stubEnv('CDK_VALIDATION', 'true');
  const outdir = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
  try {
    const app = new App({ outdir, context: { ...context, '@aws-cdk/core:failSynthOnValidationErrors': false } });
    build(new Stack(app, 'stack', { env: { account: '222222222222', region: 'us-east-1' } }));
    withRules(app, definePlatform(spec())).synth();
    return { findings: readFindings(outdir), exceptions: collectExceptions(app) };
  } finally {
    rmSync(outdir, { recursive: true });
    vi.unstubAllEnvs();
  }
}

const carelessDatabase = (stack: Construct): CfnDBInstance =>
  new CfnDBInstance(stack, 'Database', {
    engine: 'postgres',
    engineVersion: '9.9',
    dbInstanceClass: 'db.r6g.large',
    allocatedStorage: '100',
  });

test('an engine version that AWS does not have, and a database in one zone, are errors with their place', () => {
  const { findings } = findingsIn(carelessDatabase);
  const errors = findings.filter(({ severity }) => severity === 'error');
  expect(errors).toContainEqual(
    expect.objectContaining({ checker: 'CloudFormation Validate', where: ['stack/Database'] }),
  );
  expect(errors).toContainEqual(expect.objectContaining({ rule: 'AwsSolutions-RDS3', where: ['stack/Database'] }));
});

test('an acknowledged finding is gone, and is listed with its reason instead', () => {
  const { findings, exceptions } = findingsIn((stack) => {
    acknowledge(carelessDatabase(stack), 'AwsSolutions-RDS3', 'It is only a test.');
  });
  expect(findings.filter(({ rule }) => rule === 'AwsSolutions-RDS3')).toEqual([]);
  expect(exceptions).toEqual([{ rule: 'AwsSolutions-RDS3', reason: 'It is only a test.', where: ['stack/Database'] }]);
});

describe('our own rules find', () => {
  const { findings } = findingsIn((stack) => [
    new CfnDBInstance(stack, 'Database', {
      engine: 'postgres',
      engineVersion: '18.6',
      dbInstanceClass: 'db.r6g.large',
      allocatedStorage: '100',
      publiclyAccessible: true,
      backupRetentionPeriod: 1,
    }),
    new CfnNatGateway(stack, 'Nat', { subnetId: 'subnet-1' }),
    new CfnReplicationGroup(stack, 'Cache', {
      replicationGroupDescription: 'one node',
      cacheNodeType: 'cache.r7g.large',
    }),
    new CfnDBParameterGroup(stack, 'Parameters', { family: 'postgres18', description: 'none', parameters: {} }),
    new CfnListener(stack, 'Http', { loadBalancerArn: 'arn', protocol: 'HTTP', port: 80, defaultActions: [] }),
  ]);

  test.each([
    ['a database that answers the internet', 'HOLDFAST_DATABASE_PRIVATE'],
    ['a database that can be deleted by mistake', 'HOLDFAST_DATABASE_DELETION_PROTECTION'],
    ['a database in one zone', 'HOLDFAST_DATABASE_MULTI_AZ'],
    ['backups that do not reach back as far as the tier promises', 'HOLDFAST_DATABASE_BACKUPS'],
    ['a database without TLS', 'HOLDFAST_DATABASE_TLS'],
    ['a cache that does not fail over', 'HOLDFAST_CACHE_FAILOVER'],
    ['a cache without TLS', 'HOLDFAST_CACHE_TLS'],
    ['a listener without TLS', 'HOLDFAST_LISTENER_TLS'],
    ['one NAT gateway for all zones', 'HOLDFAST_NAT_PER_ZONE'],
  ])('%s, as an error', (_, rule) => {
    expect(findings.filter((finding) => finding.rule.includes(rule)).map(({ severity }) => severity)).toContain(
      'error',
    );
  });
});

test('a zone without a NAT gateway of its own is an error, also where the tier asks for fewer zones', () => {
  const natErrors = (nats: number): number => {
    const tags = [{ key: 'aws-cdk:subnet-type', value: 'Private' }];
    const { findings } = findingsIn((stack) => [
      ...['a', 'b', 'c', 'd'].map(
        (zone) => new CfnSubnet(stack, `Subnet-${zone}`, { vpcId: 'vpc-1', cidrBlock: '10.0.0.0/24', tags }),
      ),
      ...Array.from({ length: nats }, (_, index) => new CfnNatGateway(stack, `Nat${index}`, { subnetId: 'subnet-1' })),
    ]);
    return findings.filter(({ rule }) => rule.includes('HOLDFAST_NAT_PER_ZONE')).length;
  };
  expect(natErrors(4)).toBe(0);
  expect(natErrors(3)).toBeGreaterThan(0);
});
