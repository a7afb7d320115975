/**
 * The logs on disk that are not this process's own: those of the dead are sent to the ledger and closed, closed ones are
 * kept for a time and then deleted. Every process does it; the lock on each log lets only one.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SpendLedger } from '../domain/spend.ts';
import type { LogArchiver } from './archive.ts';
import { eventsOf, readDeadLog } from './dead-log.ts';
import { mayLeave } from './forgetting.ts';
import { type LogLock, lockLog } from './log-lock.ts';
import { Shipping, type ShippingEvents } from './shipping.ts';

export interface LogStoreOptions extends ShippingEvents {
  /** Folder of all logs. */
  readonly root: string;
  readonly ledger: SpendLedger;
  readonly retainSeconds: number;
  /** Whether no failover can lose the last of these events. */
  readonly mayForget: (logId: string, seq: number, isArchived: boolean) => boolean;
  readonly archiver?: LogArchiver | undefined;
  /** Logs of this process, which it ships itself. */
  readonly isOwn: (logId: string) => boolean;
  readonly onRecovered: (log: RecoveredLog) => void;
  readonly onFailed: (error: Error) => void;
}

export interface RecoveredLog {
  readonly id: string;
  /** Ends that the ledger did not have yet. */
  readonly events: number;
  readonly interrupted: number;
  /** Of them: what was being written when the process died. */
  readonly tornBytes: number;
}

/** What is known of a log that is complete. */
interface ClosedLog {
  readonly id: string;
  readonly lastSeq: number;
  readonly closedAtMs: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Without a name yet, or any more. */
const unnamed = /^\.(new|gone)-/;
/** A process needs milliseconds from a folder without a name to one with it, or to none. */
const abandonedAfterMs = 60_000;
const lockTries = 3;
const longestLockPauseMs = 80;

export class LogStore {
  readonly #options: LogStoreOptions;
  #sweeping: Promise<boolean> | undefined;
  #oldestUnarchivedAtMs: number | undefined;
  #stopped = false;

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /** Wall clock, when the oldest log was closed that the archive lacks, as the last look found it; undefined = it has all. */
  get oldestUnarchivedAtMs(): number | undefined {
    return this.#oldestUnarchivedAtMs;
  }

  /** Looks once at every log. Never rejects. @returns false when something has to be tried again. */
  sweep(): Promise<boolean> {
    this.#sweeping ??= this.#sweepAll().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  /** A recovery that has begun goes on to its next step only. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#sweeping;
  }

  async #sweepAll(): Promise<boolean> {
    const { root, isOwn, onFailed } = this.#options;
    let isDone = true;
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      if (this.#stopped) return;
      try {
        await work();
      } catch (error) {
        isDone = false;
        onFailed(error instanceof Error ? error : new Error(String(error)));
      }
    };
    let names: string[] = [];
    await attempt(async () => {
      names = await readdir(root);
    });
    const closed: ClosedLog[] = [];
    for (const name of names) {
      if (unnamed.test(name)) await attempt(() => this.#removeUnnamed(name));
      if (!uuid.test(name) || isOwn(name)) continue;
      await attempt(async () => {
        const directory = join(root, name);
        const mark = await readMark(directory, name);
        if (mark === undefined) await this.#withLock(name, () => this.#recover(name));
        // What was recovered just now goes to the archive at once: its disk is one that has seen a crash.
        const known = mark ?? (await readMark(directory, name));
        if (known !== undefined) closed.push(known);
      });
    }
    if (closed.length > 0) await attempt(() => this.#keep(closed));
    else this.#oldestUnarchivedAtMs = undefined;
    return isDone;
  }

  /** The first moment of a process that did not live to a second one, or the last of a log. */
  async #removeUnnamed(name: string): Promise<void> {
    const path = join(this.#options.root, name);
    const found = await stat(path).catch((error: unknown) => {
      // Named, or removed, by now.
      if (isAbsent(error)) return undefined;
      throw error;
    });
    if (found === undefined || Date.now() - found.mtimeMs < abandonedAfterMs) return;
    await this.#withLock(name, () => rm(path, { recursive: true, force: true }));
  }

  /** Half a log looks like one of a dead process whose requests never ended, so it loses its name before its files. */
  async #remove(id: string): Promise<void> {
    const gone = join(this.#options.root, `.gone-${id}`);
    await rename(join(this.#options.root, id), gone);
    await rm(gone, { recursive: true, force: true });
  }

  async #withLock(name: string, work: () => Promise<void>): Promise<void> {
    const lock = await this.#lock(join(this.#options.root, name));
    if (lock === undefined) return;
    try {
      await work();
    } finally {
      lock.release();
    }
  }

  /**
   * Two who try at once may both be refused, and would then both be back only with the next sweep: hence again, at random.
   * @returns undefined when the log lives, somebody else is at it, or it is gone.
   */
  async #lock(directory: string): Promise<LogLock | undefined> {
    for (let tries = 1; tries < lockTries && existsSync(directory); tries++) {
      const lock = lockLog(directory);
      if (lock !== undefined) return lock;
      await sleep(longestLockPauseMs * (0.25 + 0.75 * Math.random()));
    }
    return lockLog(directory);
  }

  async #recover(id: string): Promise<void> {
    const { root, ledger, onRecovered, archiver } = this.#options;
    const directory = join(root, id);
    if ((await readMark(directory, id)) !== undefined) return;
    const log = await readDeadLog(directory);
    const { appliedSeq = 0 } = (await ledger.positions([id])).get(id) ?? {};
    const here = eventsOf(id, directory, log, appliedSeq);
    // Nothing that is new waits for it.
    const source = archiver?.sourceOf(here, directory, () => false) ?? here;
    const shipping = new Shipping(source, ledger, appliedSeq, this.#options);
    while (!shipping.isDone) {
      if (this.#stopped) return;
      await shipping.step();
    }
    // A log that the ledger never heard of held nothing, and nothing of it is left.
    const known = source.lastSeq > 0 || (await ledger.positions([id])).has(id);
    if (known && !(await ledger.close(id, source.lastSeq))) throw new Error(`log ${id} could not be closed`);
    await writeMark(directory, source.lastSeq);
    onRecovered({
      id,
      events: Math.max(0, log.lastSeq - appliedSeq),
      interrupted: log.begins.length,
      tornBytes: log.tornBytes,
    });
  }

  /** The ledger of a replica that was promoted may lack the end of a log that was complete; it gets it again. */
  async #keep(logs: readonly ClosedLog[]): Promise<void> {
    const { root, ledger, retainSeconds, mayForget, archiver } = this.#options;
    const positions = await ledger.positions(logs.map(({ id }) => id));
    let oldestUnarchivedAtMs: number | undefined;
    for (const { id, lastSeq, closedAtMs } of logs) {
      const position = positions.get(id);
      const directory = join(root, id);
      const isMissing = position === undefined ? lastSeq > 0 : position.appliedSeq < lastSeq || !position.closed;
      if (isMissing) {
        await this.#withLock(id, async () => {
          await rm(join(directory, markName), { force: true });
          await this.#recover(id);
        });
        continue;
      }
      const isArchived = archiver && (await archiver.takeWhole(id, directory, lastSeq));
      if (isArchived === false) oldestUnarchivedAtMs = Math.min(closedAtMs, oldestUnarchivedAtMs ?? closedAtMs);
      const isOld = Date.now() - closedAtMs >= retainSeconds * 1000;
      const isSafe = mayForget(id, lastSeq, isArchived === true);
      if (mayLeave({ isOld, isShort: false, isArchived, isSafe })) {
        archiver?.forget(id);
        await this.#withLock(id, () => this.#remove(id));
      }
    }
    this.#oldestUnarchivedAtMs = oldestUnarchivedAtMs;
  }
}

const markName = 'closed';

/** Tells whoever comes next that nothing is left to be sent. A mark that a power loss takes is made again. */
export async function writeMark(directory: string, lastSeq: number): Promise<void> {
  const path = join(directory, markName);
  await writeFile(`${path}.tmp`, JSON.stringify({ lastSeq, closedAtMs: Date.now() }), { mode: 0o600 });
  await rename(`${path}.tmp`, path);
}

/** @returns undefined when there is none, or none that can be read: then the log is recovered, which changes nothing. */
async function readMark(directory: string, id: string): Promise<ClosedLog | undefined> {
  try {
    const mark: unknown = JSON.parse(await readFile(join(directory, markName), 'utf8'));
    if (typeof mark !== 'object' || mark === null) return undefined;
    const [lastSeq, closedAtMs] = [Reflect.get(mark, 'lastSeq'), Reflect.get(mark, 'closedAtMs')].map(Number);
    if (lastSeq === undefined || closedAtMs === undefined || !Number.isFinite(lastSeq + closedAtMs)) return undefined;
    return { id, lastSeq, closedAtMs };
  } catch (error) {
    if (error instanceof SyntaxError || isAbsent(error)) return undefined;
    throw error;
  }
}

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';
