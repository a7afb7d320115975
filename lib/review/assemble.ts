import { buildApp } from '../app.ts';
import type { Platform } from '../platform/platform.ts';
import type { ChartsOf } from '../stacks/manifests.ts';
import { collectExceptions, type Exception } from './exceptions.ts';
import { type Finding, readFindings } from './findings.ts';
import { withRules } from './rules.ts';
import { type SynthesizedStack, templateSchema } from './template.ts';

export interface Assembly {
  readonly stacks: readonly SynthesizedStack[];
  readonly findings: readonly Finding[];
  readonly exceptions: readonly Exception[];
}

export interface AssembleOptions {
  /** Directory of the cloud assembly. */
  readonly directory: string;
  /** Context of cdk.json, so that this synth and that of the CDK command line make the same templates. */
  readonly context: Readonly<Record<string, unknown>>;
  /** Manifests of a region, where a stack is to apply them. */
  readonly chartsOf?: ChartsOf;
}

/** Synthesizes all stacks into a cloud assembly, checks them, and tells what came out. Nothing outside is asked. */
export function assemble(platform: Platform, options: AssembleOptions): Assembly {
  const app = withRules(
    buildApp(
      platform,
      {
        outdir: options.directory,
        // The findings are read from the report and shown in the review, not thrown at the reader as a wall of text.
        context: { ...options.context, '@aws-cdk/core:failSynthOnValidationErrors': false },
      },
      options.chartsOf,
    ),
    platform,
  );
  const assembly = app.synth();
  const stacks: SynthesizedStack[] = assembly.stacks.map((stack) => ({
    name: stack.stackName,
    region: stack.environment.region,
    template: templateSchema.parse(stack.template),
  }));
  const place = (region: string): number => platform.regions.findIndex((candidate) => candidate.region === region);
  stacks.sort((left, right) => place(left.region) - place(right.region));
  return { stacks, findings: readFindings(options.directory), exceptions: collectExceptions(app) };
}
