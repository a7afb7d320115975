import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { buildApp } from '../../lib/app.ts';
import type { Platform } from '../../lib/platform/platform.ts';

const resourceSchema = z.looseObject({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DeletionPolicy: z.string().optional(),
  UpdateReplacePolicy: z.string().optional(),
  Condition: z.string().optional(),
});

const parameterSchema = z.looseObject({
  Type: z.string(),
  Default: z.string().optional(),
  AllowedValues: z.array(z.string()).optional(),
});

export const templateSchema = z.looseObject({
  Resources: z.record(z.string(), resourceSchema),
  Parameters: z.record(z.string(), parameterSchema).default({}),
  Conditions: z.record(z.string(), z.unknown()).default({}),
  Outputs: z.record(z.string(), z.unknown()).default({}),
});

export type Resource = z.infer<typeof resourceSchema>;
export type Template = z.infer<typeof templateSchema>;

/** One stack as CDK wrote it. */
export interface Stack {
  readonly name: string;
  readonly region: string;
  readonly template: Template;
  /** Stacks that must stand before it. */
  readonly dependencies: readonly string[];
  readonly terminationProtection: boolean;
}

export interface Synthesis {
  readonly stacks: readonly Stack[];
  /** What CDK would have to look up in AWS. */
  readonly missing: readonly unknown[];
  /** Assets other than the templates: code that would have to be uploaded. */
  readonly assets: readonly string[];
}

/** The context of cdk.json, so that tests see the templates that are deployed. */
export const { context } = z
  .object({ context: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')));

const known = new WeakMap<Platform, Synthesis>();

/** All stacks of a platform, synthesized once; nothing is left behind on the disk. */
export function synthesize(platform: Platform): Synthesis {
  const before = known.get(platform);
  if (before !== undefined) return before;
  const synthesis = synthesizeAnew(platform);
  known.set(platform, synthesis);
  return synthesis;
}

function synthesizeAnew(platform: Platform): Synthesis {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
  try {
    const assembly = buildApp(platform, { outdir: directory, context, analyticsReporting: false }).synth();
    const names = new Set(assembly.stacks.map((stack) => stack.stackName));
    return {
      stacks: assembly.stacks.map((stack) => ({
        name: stack.stackName,
        region: stack.environment.region,
        template: templateSchema.parse(stack.template),
        dependencies: stack.dependencies.map((artifact) => artifact.id).filter((id) => names.has(id)),
        terminationProtection: stack.terminationProtection ?? false,
      })),
      missing: assembly.manifest.missing ?? [],
      assets: assembly.stacks.flatMap((stack) =>
        stack.assets.filter((asset) => !asset.path.endsWith('.template.json')).map((asset) => asset.path),
      ),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The stack of a name; throws when there is none. */
export function stackNamed(stacks: readonly Stack[], name: string): Stack {
  const stack = stacks.find((candidate) => candidate.name === name);
  if (stack === undefined) throw new Error(`no stack ${name} among ${stacks.map((each) => each.name).join(', ')}`);
  return stack;
}

/** All resources of a type in some stacks, with the stack they are in. */
export const resourcesOf = (
  stacks: readonly Stack[],
  type: string,
): (Resource & { readonly id: string; readonly stack: Stack })[] =>
  stacks.flatMap((stack) =>
    Object.entries(stack.template.Resources)
      .filter(([, resource]) => resource.Type === type)
      .map(([id, resource]) => ({ ...resource, id, stack })),
  );
