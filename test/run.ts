/**
 * `npm test`: type check, lint, format, tests; ends with the sum of all suites alone on a line. Arguments narrow the tests.
 * Tests of faults measure how long requests take and want the machine for themselves: `npm run test:faults`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const binaries = join(root, 'node_modules/.bin');
// Tools that start with `env node` must find the pinned one, also when this runs without npm.
const options = {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${binaries}:${process.env['PATH'] ?? ''}` },
} as const;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let passed = 0;
let failed = 0;

/** A check counts as one test. */
function check(name: string, command: string, args: readonly string[]): void {
  const startedAt = performance.now();
  const { status } = spawnSync(join(binaries, command), args, options);
  if (status === 0) passed++;
  else failed++;
  say(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}

const only = process.argv.slice(2);
if (only.length === 0) {
  check('types', 'tsc', ['-p', 'tsconfig.json']);
  check('lint', 'oxlint', ['--type-aware', '--deny-warnings']);
  check('format', 'biome', ['check', '--error-on-warnings', '.']);
}

const directory = mkdtempSync(join(tmpdir(), 'holdfast-report-'));
const report = join(directory, 'vitest.json');
const vitest = spawnSync(
  join(binaries, 'vitest'),
  [
    'run',
    '--config',
    'test/vitest.config.ts',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    // All files share two processes: a new one for each would cost a sixth of the run. A part has them, to be sure.
    ...(only.length === 0 ? ['--no-isolate', '--exclude', 'test/faults/**'] : only),
  ],
  options,
);
let tests = { passed: 0, failed: 0 };
if (existsSync(report)) {
  const result: unknown = JSON.parse(readFileSync(report, 'utf8'));
  tests = { passed: numberOf(result, 'numPassedTests'), failed: numberOf(result, 'numFailedTests') };
}
// A file that cannot be loaded, or a server that cannot be started, fails without a test that failed.
if (vitest.status !== 0 && tests.failed === 0) tests.failed = 1;
passed += tests.passed;
failed += tests.failed;
rmSync(directory, { recursive: true });
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function numberOf(result: unknown, field: string): number {
  const value: unknown = typeof result === 'object' && result !== null ? Reflect.get(result, field) : undefined;
  return typeof value === 'number' ? value : 0;
}
