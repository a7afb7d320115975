import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { LastConfigFile } from '../../../gateway/stores/last-config.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const content = { savedAtMs: 1, source: 's3://b/k', text: 'master_key: sk-secret', additions: '', models: [] };

it('the last configuration is found again by those of the same source, and shows nothing on disk', async () => {
  const directory = await temporaryDirectory();
  for (const saltKey of [undefined, 'salt-of-the-test']) {
    const file = new LastConfigFile(directory, saltKey);
    await file.save(content);
    expect(await new LastConfigFile(directory, saltKey).load('s3://b/k')).toEqual(content);
    expect(await file.load('s3://other/k')).toBeUndefined();
    expect(await readFile(join(directory, 'last-config.sealed'), 'utf8')).not.toContain('secret');
  }
});

it('one that was edited, cut, or sealed by somebody else is none', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'last-config.sealed');
  await new LastConfigFile(directory, 'salt-of-the-test').save(content);
  const sealed = await readFile(path, 'utf8');
  expect(await new LastConfigFile(directory, 'another salt key').load('s3://b/k')).toBeUndefined();
  for (const text of ['', 'x', sealed.slice(0, 40), `${sealed.slice(0, 60)}AAAA${sealed.slice(64)}`]) {
    await writeFile(path, text);
    expect(await new LastConfigFile(directory, 'salt-of-the-test').load('s3://b/k')).toBeUndefined();
  }
});
