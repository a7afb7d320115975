/** `npm run synth`: every stack and manifest of every region, checked, and a review of it that a person can read. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { z } from 'zod';
import { assemble } from '../lib/review/assemble.ts';
import { review, reviewAsJson } from '../lib/review/review.ts';
import { exceptionsAsMarkdown, reviewAsText } from '../lib/review/text.ts';
import { loadPlatform } from './platform.ts';

const cdkSettings = z.object({ context: z.record(z.string(), z.unknown()) });

const root = join(import.meta.dirname, '..');

/**
 * Writes `cdk.out/` and `dist/k8s/` and prints the review. It needs no credentials, network or Docker.
 * @returns the exit code: 1 when the configuration is wrong or a rule is broken
 */
export async function synth(options: { json?: boolean }): Promise<number> {
  const platform = await loadPlatform();
  if (platform === undefined) return 1;
  const directory = join(root, 'cdk.out');
  // Stacks of a region that is no longer configured must not stay behind, or a deployment would take them along.
  rmSync(directory, { recursive: true, force: true });
  const assembly = assemble(platform, { directory, context: readContext() });
  const { synthesizeManifests } = await import('../k8s/app.ts');
  const manifests = synthesizeManifests(platform, join(root, 'dist', 'k8s')).map((manifest) => ({
    ...manifest,
    file: join('dist', 'k8s', manifest.file),
  }));
  const result = review(platform, assembly, manifests);
  writeFileSync(join(directory, 'review.md'), exceptionsAsMarkdown(result));
  const heading = (title: string): string => styleText('bold', title, { stream: process.stdout });
  process.stdout.write(`${options.json === true ? reviewAsJson(result) : reviewAsText(result, heading)}\n`);
  return result.deployable ? 0 : 1;
}

function readContext(): Record<string, unknown> {
  const { context } = cdkSettings.parse(JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8')));
  return context;
}
