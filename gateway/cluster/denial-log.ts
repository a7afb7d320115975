/**
 * Keys that were shut out here without the writer: on disk before anybody is told, since the writer may be away for
 * hours. Workers that share the data folder share the file. One line each; a torn last line is none.
 */
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const denialSchema = z.object({
  id: z.uuid(),
  keyHash: z.string().regex(/^[0-9a-f]{64}$/),
  actor: z.string(),
  atMs: z.number(),
});
export type Denial = z.output<typeof denialSchema>;

/** @returns undefined for a text that is none. */
export const denialOf = (text: string): Denial | undefined => denialSchema.safeParse(parse(text)).data;

export class DenialLog {
  readonly #directory: string;
  readonly #path: string;
  #readBytes = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, 'denials.jsonl');
  }

  /** Resolves when it has reached the disk. */
  async append(denial: Denial): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = await open(this.#path, 'a', 0o600);
    try {
      // A line break first: a line that a crash tore must not swallow this one.
      await file.appendFile(`\n${JSON.stringify(denial)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** What was added since the last call, by whomever. */
  async news(): Promise<Denial[]> {
    const size = await sizeOf(this.#path);
    if (size <= this.#readBytes) return [];
    const text = (await readFile(this.#path)).subarray(this.#readBytes);
    const whole = text.subarray(0, text.lastIndexOf(0x0a) + 1);
    this.#readBytes += whole.length;
    return whole
      .toString()
      .split('\n')
      .flatMap((line) => denialOf(line) ?? []);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
