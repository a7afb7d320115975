/** `holdfast k8s diff`: the manifests of holdfast.config.ts against those of the last `synth`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeDifference, readManifests } from '../k8s/compare.ts';
import { loadPlatform } from './platform.ts';
import { fail, say } from './say.ts';

/** @returns the exit code, like diff's: 0 the same, 1 different, 2 nothing to compare with */
export async function k8sDiff(last: string = join(import.meta.dirname, '..', 'dist', 'k8s')): Promise<number> {
  const platform = await loadPlatform();
  if (platform === undefined) return 2;
  const before = readManifests(last);
  if (before === undefined) return fail('There is no dist/k8s to compare with: run `npm run synth` first.', 2);
  const { synthesizeManifests } = await import('../k8s/app.ts');
  const fresh = mkdtempSync(join(tmpdir(), 'holdfast-k8s-diff-'));
  try {
    synthesizeManifests(platform, fresh);
    const lines = describeDifference(before, readManifests(fresh) ?? new Map());
    say(lines.length === 0 ? 'dist/k8s is what synth would write.' : lines.join('\n'));
    return lines.length === 0 ? 0 : 1;
  } finally {
    rmSync(fresh, { recursive: true });
  }
}
