/** Events of a log out of its archive: which segment holds them, and what is done while it cannot be asked. */
import { randomUUIDv7 } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogArchiver } from '../../../gateway/outbox/archive.ts';
import { ArchivedEvents, withArchive } from '../../../gateway/outbox/archived-events.ts';
import { readDeadLog } from '../../../gateway/outbox/dead-log.ts';
import { segmentPath } from '../../../gateway/outbox/segment.ts';
import type { EventSource } from '../../../gateway/outbox/stored-events.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { event, openLog } from './open-log.ts';

const directory = await temporaryDirectory();
const log = openLog(join(directory, 'a'), { segmentBytes: 2_048 });
for (let count = 0; count < 60; count++) log.end(event());
log.close();
const { segments, lastSeq } = await readDeadLog(log.directory);
const bytesOf = (number: number): Buffer => readFileSync(segmentPath(log.directory, number));

/** Every number that is read, from one on, by a reader that takes a few at once and goes over gaps. */
async function allFrom(archived: ArchivedEvents, fromSeq: number, most: number): Promise<number[]> {
  const seen: number[] = [];
  for (let next = fromSeq; ; ) {
    const batch = await archived.read(next, most);
    if (batch === undefined) return seen;
    expect(batch.texts.length).toBeGreaterThan(0);
    seen.push(...batch.texts.map((_, index) => batch.first + index));
    next = batch.first + batch.texts.length;
  }
}

describe('events of an archived log', () => {
  it('are found by number, whichever segments are gone', async () => {
    expect(segments.length).toBeGreaterThan(6);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: lastSeq }),
        fc.integer({ min: 1, max: 20 }),
        fc.uniqueArray(fc.integer({ min: 1, max: segments.length })),
        async (fromSeq, most, gone) => {
          const archived = new ArchivedEvents({
            range: async () => ({ first: 1, last: segments.length }),
            get: async (number) => (gone.includes(number) ? undefined : bytesOf(number)),
          });
          const left = segments.filter(({ number }) => !gone.includes(number));
          const expected = left.flatMap(({ firstSeq, lastSeq: to }) =>
            Array.from({ length: to - firstSeq + 1 }, (_, index) => firstSeq + index),
          );
          expect(await allFrom(archived, fromSeq, most)).toEqual(expected.filter((seq) => seq >= fromSeq));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are read segment after segment without a search', async () => {
    const asked: number[] = [];
    const archived = new ArchivedEvents({
      range: async () => ({ first: 1, last: segments.length }),
      get: async (number) => {
        asked.push(number);
        return bytesOf(number);
      },
    });
    await archived.read(1, 1);
    asked.length = 0;
    await allFrom(archived, 1, 3);
    // Behind the last event it looks everywhere.
    expect(asked.slice(0, segments.length - 1)).toEqual(segments.map(({ number }) => number).slice(1));
  });

  it('are waited for while the archive cannot be asked, and given up only where new spend needs the room', async () => {
    const here: EventSource = { id: 'a', lastSeq: 9, read: async () => ({ first: 5, texts: ['five'] }) };
    const away = new ArchivedEvents({
      range: async () => ({ first: 1, last: 1 }),
      get: () => Promise.reject(new Error('the archive is away')),
    });
    await expect(withArchive(here, away, () => false).read(1, 10)).rejects.toThrow('the archive is away');
    expect(await withArchive(here, away, () => true).read(1, 10)).toEqual({ first: 5, texts: ['five'] });
    expect(await withArchive(here, away, () => false).read(5, 10)).toEqual({ first: 5, texts: ['five'] });
  });

  it('are never asked for under the name of a segment that left the disk before it was archived', async () => {
    const stored = new Map<string, Uint8Array>();
    const asked: string[] = [];
    const archive = {
      put: async (name: string, bytes: Uint8Array) => void stored.set(name, bytes),
      get: async (name: string) => {
        asked.push(name);
        return stored.get(name);
      },
    };
    const short = openLog(join(directory, randomUUIDv7()), { segmentBytes: 2_048 });
    for (let count = 0; count < 30; count++) short.end(event());
    short.close();
    for (const number of [1, 2]) rmSync(segmentPath(short.directory, number));
    await new LogArchiver(archive, (error) => expect.fail(error.message)).take(short.id, short.directory, 99);
    for (const name of readdirSync(short.directory)) if (name.endsWith('.seg')) rmSync(join(short.directory, name));
    // Another process: what it knows is in the note.
    const again = new LogArchiver(archive, (error) => expect.fail(error.message));
    const empty: EventSource = { id: short.id, lastSeq: 30, read: async () => ({ first: 31, texts: [] }) };
    const batch = await again.sourceOf(empty, short.directory, () => false).read(1, 100);
    expect(batch.first).toBeGreaterThan(1);
    expect(batch.texts.length).toBeGreaterThan(0);
    expect(asked.filter((name) => !stored.has(name))).toEqual([]);
  });
});
