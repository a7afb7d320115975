/** `npm run synth`: every stack and manifest of every region, checked, and a review of it that a person can read. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { z } from 'zod';
import { evidenceFolder } from '../lib/platform/evidence.ts';
import { assemble } from '../lib/review/assemble.ts';
import { changesSince } from '../lib/review/changes.ts';
import { reviewAsHtml, reviewAsJson, reviewAsMarkdown } from '../lib/review/document.ts';
import { review } from '../lib/review/review.ts';
import { type Template, templateSchema } from '../lib/review/template.ts';
import { reviewAsText } from '../lib/review/text.ts';
import { readEvidence } from './evidence.ts';
import { loadPlatform } from './platform.ts';
import { stackedCharts } from './stacked-charts.ts';

const cdkSettings = z.object({ context: z.record(z.string(), z.unknown()) });

const root = join(import.meta.dirname, '..');

/**
 * Writes `cdk.out/` and `dist/k8s/` and prints the review. It needs no credentials, network or Docker.
 * @returns the exit code: 1 when the configuration is wrong or a rule is broken
 */
export async function synth(options: { json?: boolean; environment?: string }): Promise<number> {
  const platform = await loadPlatform(options.environment, process.env['CDK_DEFAULT_ACCOUNT']);
  if (platform === undefined) return 1;
  const directory = join(root, 'cdk.out');
  const before = readTemplates(directory);
  // Stacks of a region that is no longer configured must not stay behind, or a deployment would take them along.
  rmSync(directory, { recursive: true, force: true });
  const chartsOf = await stackedCharts(platform);
  const assembly = assemble(platform, {
    directory,
    context: readContext(),
    ...(chartsOf !== undefined && { chartsOf }),
  });
  const { synthesizeManifests } = await import('../k8s/app.ts');
  const manifests = synthesizeManifests(platform, join(root, 'dist', 'k8s')).map((manifest) => ({
    ...manifest,
    file: join('dist', 'k8s', manifest.file),
    text: readFileSync(join(root, 'dist', 'k8s', manifest.file), 'utf8'),
  }));
  const result = review(platform, assembly, manifests, {
    today: new Date().toISOString().slice(0, 10),
    evidence: readEvidence(join(root, evidenceFolder)),
    changes: before && changesSince(before, templatesOf(assembly.stacks)),
  });
  writeFileSync(join(directory, 'review.md'), reviewAsMarkdown(result));
  writeFileSync(join(directory, 'review.html'), reviewAsHtml(result));
  const heading = (title: string): string => styleText('bold', title, { stream: process.stdout });
  process.stdout.write(`${options.json === true ? reviewAsJson(result) : reviewAsText(result, heading)}\n`);
  return result.deployable ? 0 : 1;
}

function readContext(): Record<string, unknown> {
  const { context } = cdkSettings.parse(JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8')));
  return context;
}

const templatesOf = (
  stacks: readonly { readonly name: string; readonly template: Template }[],
): Record<string, Template> => Object.fromEntries(stacks.map(({ name, template }) => [name, template]));

/** Templates of the last synth by stack; undefined when there was none. */
function readTemplates(directory: string): Record<string, Template> | undefined {
  const suffix = '.template.json';
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(suffix)) : [];
  if (files.length === 0) return undefined;
  return Object.fromEntries(
    files.map((name) => [
      name.slice(0, -suffix.length),
      templateSchema.parse(JSON.parse(readFileSync(join(directory, name), 'utf8'))),
    ]),
  );
}
