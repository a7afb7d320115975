/**
 * A drill's ledger on the disk of whoever drills: a later process of the same run counts on. Times in it are those of the wall
 * clock, in milliseconds since 1970, since a process's own clock means nothing to the next one.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { LedgerEntry, LoadEntry, WriteEntry } from './ledger-clients.ts';

const lineSchema = z.discriminatedUnion('is', [
  /** Clients have begun, in this process. */
  z.object({ is: z.literal('session'), atMs: z.number() }),
  z.object({ is: z.literal('mark'), mark: z.enum(['compared', 'broken', 'mended']), atMs: z.number() }),
  z.object({
    is: z.literal('request'),
    callId: z.string(),
    atMs: z.number(),
    tookMs: z.number(),
    tries: z.number(),
    isAnswered: z.boolean(),
  }),
  z.object({
    is: z.literal('write'),
    alias: z.string(),
    pinnedTo: z.string().optional(),
    atMs: z.number(),
    endMs: z.number(),
    isAcknowledged: z.boolean(),
  }),
]);
type LedgerLine = z.output<typeof lineSchema>;
/** `compared` = what was sent before it is what the time after the fault is compared with. */
export type LedgerMark = Extract<LedgerLine, { is: 'mark' }>['mark'];

/** What one process's clients were told. */
export interface LedgerSession {
  readonly requests: readonly LoadEntry[];
  readonly writes: readonly WriteEntry[];
}

export interface Ledger {
  readonly sessions: readonly LedgerSession[];
  /** When each was first made. */
  readonly marks: ReadonlyMap<LedgerMark, number>;
  /** In which no client ran, because a process had ended and the next had not begun. */
  readonly awaySeconds: number;
}

export class LedgerFile {
  readonly path: string;
  #failure: Error | undefined;

  /** @param folder made when the first line is written. */
  constructor(folder: string, runId: string) {
    this.path = join(folder, `${runId}.jsonl`);
  }

  begin(): void {
    mkdirSync(join(this.path, '..'), { recursive: true });
    // A process that was killed may have left half a line.
    this.#append({ is: 'session', atMs: Date.now() }, '\n');
    this.assertWritten();
  }

  mark(mark: LedgerMark): void {
    this.#append({ is: 'mark', mark, atMs: Date.now() });
    this.assertWritten();
  }

  /** Never throws: clients go on, and whoever measures is told. */
  keep(entry: LedgerEntry): void {
    const { timeOrigin } = performance;
    this.#append(
      entry.is === 'request'
        ? { ...entry, atMs: entry.atMs + timeOrigin }
        : { ...entry, atMs: entry.atMs + timeOrigin, endMs: entry.endMs + timeOrigin },
    );
  }

  /** @throws when a line could not be written. */
  assertWritten(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** @returns undefined when this machine has none. @throws when it cannot be read. */
  async read(): Promise<Ledger | undefined> {
    try {
      return ledgerOf(await readFile(this.path, 'utf8'));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #append(line: LedgerLine, before = ''): void {
    try {
      appendFileSync(this.path, `${before}${JSON.stringify(line)}\n`);
    } catch (error) {
      this.#failure ??= new Error(`${this.path} cannot be written`, { cause: error });
    }
  }
}

/** Pure. Half a line was being written when its process ended: it counts as not answered, and not as an error. */
export function ledgerOf(text: string): Ledger {
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .flatMap((one) => parsed(one));
  const sessions: { requests: LoadEntry[]; writes: WriteEntry[] }[] = [];
  const marks = new Map<LedgerMark, number>();
  let awayMs = 0;
  let lastMs: number | undefined;
  for (const line of lines) {
    if (line.is === 'mark') {
      if (!marks.has(line.mark)) marks.set(line.mark, line.atMs);
      continue;
    }
    if (line.is === 'session') {
      if (lastMs !== undefined) awayMs += Math.max(0, line.atMs - lastMs);
      sessions.push({ requests: [], writes: [] });
      lastMs = line.atMs;
    } else if (line.is === 'request') {
      sessions.at(-1)?.requests.push(line);
      lastMs = Math.max(lastMs ?? 0, line.atMs + line.tookMs);
    } else {
      const { pinnedTo, ...rest } = line;
      sessions.at(-1)?.writes.push(pinnedTo === undefined ? rest : { ...rest, pinnedTo });
      lastMs = Math.max(lastMs ?? 0, line.endMs);
    }
  }
  return { sessions, marks, awaySeconds: awayMs / 1000 };
}

function parsed(line: string): LedgerLine[] {
  if (line === '') return [];
  try {
    return [lineSchema.parse(JSON.parse(line))];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
