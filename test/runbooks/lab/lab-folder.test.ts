import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { takeFolder } from '../../../bin/lab.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

it('a second lab in the same folder deletes nothing of the first, be it that this one is still being started', async () => {
  const directory = join(await temporaryDirectory(), 'data', 'lab');
  const first = await takeFolder(directory);
  await writeFile(join(directory, 'database'), 'in use');
  expect(await takeFolder(directory)).toBeUndefined();
  expect(await readFile(join(directory, 'database'), 'utf8')).toBe('in use');
  first?.release();
  const next = await takeFolder(directory);
  await expect(readFile(join(directory, 'database'))).rejects.toThrow('ENOENT');
  next?.release();
});
