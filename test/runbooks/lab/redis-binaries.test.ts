import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { findRedis } from '../../../runbooks/lab/redis-binaries.ts';
import { canRun, runCommand } from '../../../runbooks/lab/run-command.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = await temporaryDirectory();
const installed = await canRun({ command: 'redis-server', args: ['--version'] });
const debian = await canRun({ command: 'apt-get', args: ['--version'] });

describe('Redis on a machine that has none', () => {
  it.runIf(debian && !installed)('is fetched once by two processes at once, and nothing else stays', async () => {
    const found = await Promise.all([
      findRedis({ cacheDirectory: directory }),
      findRedis({ cacheDirectory: directory }),
    ]);
    for (const redis of found) {
      const version = await runCommand(redis.command('redis-server', ['--version']), { timeoutSeconds: 10 });
      expect(version).toMatch(/^Redis server v=\d/);
    }
    const entries = await readdir(directory);
    expect(entries).toHaveLength(1);
    expect(await readdir(`${directory}/${entries[0]}`)).not.toContain('downloads');
  });
});
