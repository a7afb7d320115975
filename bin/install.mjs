// Installs the dependencies when they are missing or older than the lock file. Plain JavaScript without imports of its
// own, because it runs before anything is installed, on whatever Node the machine has.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modifiedAt = (file) => (existsSync(root + file) ? statSync(root + file).mtimeMs : 0);

// npm writes the hidden lock file at the end of an install, so its age is the installation's.
const installedAt = modifiedAt('node_modules/.package-lock.json');
const current = installedAt >= modifiedAt('package-lock.json') && existsSync(`${root}node_modules/.bin/node`);

if (!current) {
  process.stderr.write('Installing dependencies (once, about half a minute) ...\n');
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (error || status !== 0) {
    process.stderr.write(
      `npm ci failed${error ? `: ${error.message}` : ` with exit code ${status}`}; see its words above.\n`,
    );
    process.exit(status || 1);
  }
}
