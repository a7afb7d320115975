import { type App, CloudFormationValidatePlugin, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { Platform } from '../platform/platform.ts';
import { guardRules } from './guard-rules.ts';

/**
 * Rules that every synth checks: CloudFormation's own with those of CDK and ours beside them, and AWS Solutions. A finding
 * either is mended or is acknowledged, with a reason, where it arises.
 */
export function withRules(app: App, platform: Platform): App {
  Validations.of(app).addPlugins(
    new CloudFormationValidatePlugin({ guardRules: [{ name: 'holdfast', content: guardRules(platform) }] }),
    new AwsSolutionsChecks(app),
  );
  return app;
}
