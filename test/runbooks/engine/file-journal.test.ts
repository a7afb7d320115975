import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileJournal } from '../../../runbooks/engine/file-journal.ts';
import { JournalBroken, type JournalEvent, PositionTaken } from '../../../runbooks/engine/journal.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const event = (step: string): JournalEvent => ({
  is: 'acting',
  step,
  at: '2026-01-01T00:00:00.000Z',
  session: 's',
  monotonicMs: 1,
});

describe('a journal in a folder', () => {
  it('gives back what was appended, in order; of a run that nobody began, nothing', async () => {
    const folder = join(await temporaryDirectory(), 'run-1');
    const journal = new FileJournal(folder);
    expect(await journal.read()).toEqual([]);
    await journal.append(0, event('one'));
    await journal.append(1, event('two'));
    expect(await new FileJournal(folder).read()).toEqual([event('one'), event('two')]);
  });

  it('lets one of many writers have a position, and tells the others', async () => {
    const folder = await temporaryDirectory();
    const attempts = Array.from({ length: 20 }, (_, index) =>
      new FileJournal(folder).append(0, event(`writer-${index}`)),
    );
    const results = await Promise.allSettled(attempts);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(PositionTaken);
    expect(await new FileJournal(folder).read()).toHaveLength(1);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is not fooled by what a writer left that died in the middle', async () => {
    const folder = await temporaryDirectory();
    const journal = new FileJournal(folder);
    await journal.append(0, event('one'));
    await writeFile(join(folder, '.0123.tmp'), '{"is":"act');
    expect(await journal.read()).toHaveLength(1);
    await journal.append(1, event('two'));
    expect(await journal.read()).toHaveLength(2);
  });

  it('with a hole or an event that nobody understands is not trusted', async () => {
    const folder = await temporaryDirectory();
    const journal = new FileJournal(folder);
    await journal.append(0, event('one'));
    await journal.append(1, event('two'));
    await writeFile(join(folder, '000003.json'), '{"is":"dancing"}');
    await expect(journal.read()).rejects.toThrow('Event 3 of the journal cannot be read');
    await rm(join(folder, '000003.json'));
    await rm(join(folder, '000001.json'));
    await expect(journal.read()).rejects.toThrow(JournalBroken);
  });
});
