import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/**
 * Rules that every synth checks, beside CloudFormation's own: a finding either is mended or is acknowledged, with a
 * reason, where it arises.
 */
export function withRules(app: App): App {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return app;
}
