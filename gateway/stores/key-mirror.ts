/** Keeps the keys in memory, and what they belong to, current: from the database by polling, from the snapshot when there is no database. */
import { setTimeout as sleep } from 'node:timers/promises';
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
const slowDatabase = new StoreUnavailable(new Error('the database did not answer in time'));

export class KeyMirror {
  readonly #options: KeyMirrorOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #changed = true;
  #savedAtMs = 0;
  #restoredAtMs: number | undefined;
  #up = false;
  #round: Promise<void> | undefined;
  #again = false;

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

  /**
   * @param patienceMs is waited for the database when there is a snapshot.
   * @throws NothingKnown when neither the database nor a snapshot can be used.
   */
  async start(patienceMs: number): Promise<void> {
    const { store, snapshot: file, logger } = this.#options;
    const polled = store.poll().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    );
    const endMs = performance.now() + patienceMs;
    const snapshot = await file.load();
    const patience = new AbortController();
    const failure = await Promise.race([
      polled,
      // With a snapshot, a database that does not answer is not waited for until its time-out.
      ...(snapshot === undefined
        ? []
        : [sleep(Math.max(0, endMs - performance.now()), slowDatabase, { signal: patience.signal })]),
    ]);
    patience.abort();
    if (failure === undefined) {
      this.#up = true;
    } else {
      if (!(failure instanceof StoreUnavailable)) throw failure;
      if (snapshot === undefined) throw new NothingKnown(failure.cause);
      store.memory.restore(snapshot.content, snapshot.whole);
      this.#restoredAtMs = snapshot.savedAtMs;
      this.#changed = false;
      logger.warn({ keys: snapshot.content.key.length }, 'started from the snapshot: the database cannot be reached');
    }
    this.#schedule();
  }

  /** Takes over now what changed in the database. */
  async refresh(): Promise<void> {
    if (await this.#options.store.poll()) this.#changed = true;
  }

  /** What is known is on disk then, if the record was heard last. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
    if (!this.#up) return;
    if (this.#options.store.takeChanged()) this.#changed = true;
    this.#savedAtMs = 0;
    await this.#trySave();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.wake(), pollEveryMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  /** Looks now, for example since the database has said that something changed. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#round !== undefined) {
      // What is asked just now may have been asked too early.
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#round = this.#look().finally(() => {
      this.#round = undefined;
      if (this.#again) {
        this.#again = false;
        this.wake();
      } else {
        this.#schedule();
      }
    });
  }

  async #look(): Promise<void> {
    try {
      await this.refresh();
      if (!this.#up) this.#options.logger.info('the database answers');
      this.#up = true;
      this.#restoredAtMs = undefined;
    } catch (error) {
      if (this.#up) this.#options.logger.warn({ err: error }, 'the database cannot be reached; known keys are served');
      this.#up = false;
      // What nobody has compared with the record may be older than what lies on disk.
      return;
    }
    await this.#trySave();
  }

  async #trySave(): Promise<void> {
    try {
      await this.#save();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the snapshot could not be written');
    }
  }

  async #save(): Promise<void> {
    if (!this.#options.writesSnapshot || !this.#changed || Date.now() - this.#savedAtMs < snapshotEveryMs) return;
    this.#savedAtMs = Date.now();
    await this.#options.snapshot.save({ savedAtMs: this.#savedAtMs, ...this.#options.store.known() });
    this.#changed = false;
  }
}
