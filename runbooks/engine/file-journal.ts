/** A journal in a folder: one file an event, named by its position. A file that exists is never written again. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Journal,
  JournalAway,
  JournalBroken,
  type JournalEvent,
  type Journals,
  PositionTaken,
  parseEvent,
} from './journal.ts';
import { messageOf } from './look.ts';

/** `000001.json` is the first event. Object stores use the same names. */
export const eventFileName = (position: number): string => `${String(position + 1).padStart(6, '0')}.json`;

export class FileJournal implements Journal {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(): Promise<readonly JournalEvent[]> {
    const names = (await namesIn(this.#folder)).filter((name) => /^\d{6}\.json$/.test(name)).toSorted();
    const missing = names.findIndex((name, position) => name !== eventFileName(position));
    if (missing !== -1) throw new JournalBroken(missing, `the file ${eventFileName(missing)} is missing`);
    return Promise.all(
      names.map(async (name, position) => parseEvent(position, await readFile(join(this.#folder, name), 'utf8'))),
    );
  }

  async append(position: number, event: JournalEvent): Promise<void> {
    try {
      await this.#keep(position, event);
    } catch (error) {
      throw error instanceof PositionTaken ? error : new JournalAway(position > 0, messageOf(error));
    }
  }

  async #keep(position: number, event: JournalEvent): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    // Whole and on disk before it has its name; and the name is given by `link`, which never replaces a file.
    const temporary = join(this.#folder, `.${randomBytes(6).toString('hex')}.tmp`);
    try {
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(`${JSON.stringify(event)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(temporary, join(this.#folder, eventFileName(position))).catch((error: unknown) => {
        throw codeOf(error) === 'EEXIST' ? new PositionTaken(position) : error;
      });
    } finally {
      await rm(temporary, { force: true });
    }
    await syncFolder(this.#folder);
  }
}

export class FileJournals implements Journals {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  of(runId: string): Journal {
    return new FileJournal(join(this.#folder, runId));
  }

  async runs(): Promise<readonly string[]> {
    const names = await namesIn(this.#folder);
    const begun = await Promise.all(
      names.map(async (name) => ((await namesIn(join(this.#folder, name))).length > 0 ? [name] : [])),
    );
    return begun.flat().toSorted();
  }
}

/** The names, too, survive a loss of power. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);
