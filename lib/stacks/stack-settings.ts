import { DefaultStackSynthesizer, type StackProps } from 'aws-cdk-lib';
import type { BucketPlace } from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';

/**
 * What all stacks have in common. Account and region are known at synth time, so nothing is looked up.
 * @param what for the description, for example `data of us-west-2`
 */
export const stackSettings = (platform: Platform, { region, account }: BucketPlace, what: string): StackProps => ({
  description: `Holdfast ${platform.name} ${platform.environment}: ${what}`,
  env: { account, region },
  terminationProtection: platform.environment === 'production',
  synthesizer: new DefaultStackSynthesizer({
    ...(platform.bootstrapQualifier !== undefined && { qualifier: platform.bootstrapQualifier }),
    // The rule would add a parameter that reads SSM, and a promotion must not depend on one more service.
    generateBootstrapVersionRule: false,
  }),
  tags: { ...platform.tags },
});
