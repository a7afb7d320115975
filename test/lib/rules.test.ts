import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { CfnDBInstance } from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { expect, test, vi } from 'vitest';
import { acknowledge } from '../../lib/constructs/acknowledge.ts';
import { collectExceptions } from '../../lib/review/exceptions.ts';
import { readFindings } from '../../lib/review/findings.ts';
import { withRules } from '../../lib/review/rules.ts';
import { context } from './synthesize.ts';

/** What the rules say about one stack. */
function findingsIn(build: (stack: Construct) => void) {
  vi.stubEnv('CDK_VALIDATION', 'true');
  const outdir = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
  try {
    const app = new App({ outdir, context: { ...context, '@aws-cdk/core:failSynthOnValidationErrors': false } });
    build(new Stack(app, 'stack', { env: { account: '222222222222', region: 'us-east-1' } }));
    withRules(app).synth();
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
