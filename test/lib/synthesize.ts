import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { z } from 'zod';
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

/** Loaded when it is needed, which takes longer than most of these tests. */
const loadApp = (): typeof import('../../lib/app.ts') => createRequire(import.meta.url)('../../lib/app.ts');

/** The context of cdk.json, so that tests see the templates that are deployed. */
export const { context } = z
  .object({ context: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')));

/**
 * All stacks of a platform. A run of tests makes each platform's once, whichever file asks first: half of these suites is
 * waiting for CDK, and a file that finds everything made does not even load it.
 */
export function synthesize(platform: Platform): Synthesis {
  const key = createHash('sha256').update(JSON.stringify(platform)).update(String(newestSource)).digest('hex');
  const known = inThisFile.get(key) ?? madeBefore(key);
  const synthesis = known ?? synthesizeAnew(platform);
  if (known === undefined) keep(key, synthesis);
  inThisFile.set(key, synthesis);
  return synthesis;
}

/** When a file that templates are made from was last changed: a run that watches must see it. */
const root = new URL('../..', import.meta.url).pathname;
const newestSource = ['lib/**/*.ts', 'gateway/contract.ts', 'runbooks/catalog.ts', 'cdk.json']
  .flatMap((pattern) => globSync(pattern, { cwd: root }))
  .reduce((newest, path) => Math.max(newest, statSync(join(root, path)).mtimeMs), 0);

const inThisFile = new Map<string, Synthesis>();
const fileOf = (key: string): string => join(inject('runDirectory'), `synthesis-${key}.json`);

const synthesisSchema = z.object({
  stacks: z.array(
    z.object({
      name: z.string(),
      region: z.string(),
      template: templateSchema,
      dependencies: z.array(z.string()),
      terminationProtection: z.boolean(),
    }),
  ),
  missing: z.array(z.unknown()),
  assets: z.array(z.string()),
});

const madeBefore = (key: string): Synthesis | undefined =>
  existsSync(fileOf(key)) ? synthesisSchema.parse(JSON.parse(readFileSync(fileOf(key), 'utf8'))) : undefined;

/** Whole or not at all: another file may read it at this moment. */
function keep(key: string, synthesis: Synthesis): void {
  const unfinished = `${fileOf(key)}.${process.pid}`;
  writeFileSync(unfinished, JSON.stringify(synthesis));
  renameSync(unfinished, fileOf(key));
}

/** Nothing is left behind on the disk. */
function synthesizeAnew(platform: Platform): Synthesis {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
  try {
    const assembly = loadApp().buildApp(platform, { outdir: directory, context, analyticsReporting: false }).synth();
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
