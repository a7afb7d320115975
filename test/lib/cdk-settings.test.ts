import { readFileSync } from 'node:fs';
import { CURRENTLY_RECOMMENDED_FLAGS } from 'aws-cdk-lib/cx-api';
import { expect, test } from 'vitest';
import { z } from 'zod';

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
const settings = z.looseObject({ app: z.string(), context: z.record(z.string(), z.unknown()) }).parse(read('cdk.json'));
const { devDependencies } = z.object({ devDependencies: z.record(z.string(), z.string()) }).parse(read('package.json'));

test('the CDK command line is the 2.x that reads this library’s assemblies; 3.0.0 is a stray publication', () => {
  expect(devDependencies['aws-cdk']).toMatch(/^2\.\d+\.\d+$/);
});

test('the app runs on the pinned Node, which strips types, and through no loader', () => {
  expect(settings.app).toBe('node_modules/.bin/node bin/app.ts');
});

test('nothing is reported to anyone', () => {
  expect(settings).toMatchObject({ versionReporting: false, notices: false });
  expect(settings.context['cli-telemetry']).toBe(false);
});

test('every feature flag is set, to the recommended value', () => {
  const { 'cli-telemetry': _, ...flags } = settings.context;
  // China and its own service names are not among the regions that a platform may name.
  expect(flags).toEqual({ ...CURRENTLY_RECOMMENDED_FLAGS, '@aws-cdk/core:target-partitions': ['aws'] });
});

test('findings of CloudFormation’s own validation are errors', () => {
  expect(settings.context['@aws-cdk/core:validateAgainstDefaultRules']).toBe(true);
});
