/** Keeps the keys in memory, and what they belong to, current: from the database by polling, from the snapshot when there is no database. */
import { StoreUnavailable } from '../domain/keys.ts';
import type { Logger } from '../telemetry/log.ts';
import type { IdentityStore } from './identity.ts';
import type { SnapshotFile } from './snapshot.ts';

export interface KeyMirrorOptions {
  readonly store: IdentityStore;
  readonly snapshot: SnapshotFile;
  readonly writesSnapshot: boolean;
  readonly logger: Logger;
}

/** The database cannot be reached and nothing is known from earlier: no key could be checked. */
export class NothingKnown extends Error {
  constructor(cause: unknown) {
    super('the database cannot be reached and there is no snapshot of an earlier run', { cause });
    this.name = 'NothingKnown';
  }
}

/** Bounds how long a revoked key still works in another process. */
const pollEveryMs = 1_000;
const snapshotEveryMs = 5_000;

export class KeyMirror {
  readonly #options: KeyMirrorOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #changed = true;
  #savedAtMs = 0;
  #restoredAtMs: number | undefined;
  #up = false;

  constructor(options: KeyMirrorOptions) {
    this.#options = options;
  }

  /** Whether the database answered when it was last asked. */
  get up(): boolean {
    return this.#up;
  }

  /** Age of the snapshot that this process started from; undefined once the database has been heard. */
  get snapshotAgeSeconds(): number | undefined {
    return this.#restoredAtMs === undefined ? undefined : (Date.now() - this.#restoredAtMs) / 1000;
  }

  /** @throws NothingKnown when neither the database nor a snapshot can be used. */
  async start(): Promise<void> {
    try {
      await this.#options.store.poll();
      this.#up = true;
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      const snapshot = await this.#options.snapshot.load();
      if (snapshot === undefined) throw new NothingKnown(error.cause);
      this.#options.store.memory.restore(snapshot.content, snapshot.whole);
      this.#restoredAtMs = snapshot.savedAtMs;
      this.#changed = false;
      this.#options.logger.warn(
        { keys: snapshot.content.key.length },
        'started from the snapshot: the database cannot be reached',
      );
    }
    this.#schedule();
  }

  /** Takes over now what changed in the database. */
  async refresh(): Promise<void> {
    if (await this.#options.store.poll()) this.#changed = true;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), pollEveryMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    try {
      await this.refresh();
      if (!this.#up) this.#options.logger.info('the database answers');
      this.#up = true;
      this.#restoredAtMs = undefined;
    } catch (error) {
      if (this.#up) this.#options.logger.warn({ err: error }, 'the database cannot be reached; known keys are served');
      this.#up = false;
    }
    try {
      await this.#save();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the snapshot could not be written');
    }
    this.#schedule();
  }

  async #save(): Promise<void> {
    if (!this.#options.writesSnapshot || !this.#changed || Date.now() - this.#savedAtMs < snapshotEveryMs) return;
    this.#savedAtMs = Date.now();
    await this.#options.snapshot.save({ savedAtMs: this.#savedAtMs, ...this.#options.store.known() });
    this.#changed = false;
  }
}
