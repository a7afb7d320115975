import { appendFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DenialLog } from '../../../gateway/cluster/denial-log.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const denial = (digit: number) => ({
  id: `01a1fed2-0000-7000-8000-00000000000${digit}`,
  keyHash: String(digit).repeat(64),
  actor: 'an administrator (b)',
  atMs: digit,
});

it('keys that were shut out are told to every process that shares the folder, once each', async () => {
  const directory = await temporaryDirectory();
  const [one, other] = [new DenialLog(directory), new DenialLog(directory)];
  expect(await other.news()).toEqual([]);
  await one.append(denial(1));
  expect(await other.news()).toEqual([denial(1)]);
  expect(await other.news()).toEqual([]);
  await other.append(denial(2));
  expect(await one.news()).toEqual([denial(1), denial(2)]);
});

it('a line that a crash tore takes nothing else with it', async () => {
  const directory = await temporaryDirectory();
  const log = new DenialLog(directory);
  await log.append(denial(1));
  await log.append(denial(2));
  const path = join(directory, 'denials.jsonl');
  await truncate(path, (await stat(path)).size - 20);
  await log.append(denial(3));
  await appendFile(path, '{"id":');
  expect(await new DenialLog(directory).news()).toEqual([denial(1), denial(3)]);
});
