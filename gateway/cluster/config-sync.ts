/**
 * Live configuration. The leader watches the source, checks what it finds and stores it as a version; every process
 * adopts the newest version, all of them the same ones in the same order. What cannot be loaded changes nothing and is
 * reported. Without a database each process watches the source by itself.
 */
import type { ConfigVersion, ConfigVersions, Mandate } from '../stores/config-versions.ts';
import { isUnavailable } from '../stores/postgres.ts';
import { type ConfigSource, sha256Of } from './config-source.ts';
import type { Leadership } from './leader.ts';

export interface ConfigSyncOptions<Config> {
  readonly source: ConfigSource;
  /** @throws an error whose message is for the person who wrote the text. */
  readonly parse: (text: string) => Config;
  /** Makes a config live; must not fail and must not wait: requests that run keep the config they began with. */
  readonly adopt: (config: Config, version: AdoptedVersion) => void;
  /** What this process started with. */
  readonly startedWith: { readonly sha256: string; readonly etag: string | undefined };
  /** Undefined without a database. */
  readonly shared:
    | {
        readonly versions: ConfigVersions;
        readonly leaseName: string;
        readonly leadership: () => Leadership;
        /** Names this process in the history. */
        readonly processName: string;
      }
    | undefined;
  /** How often the source is looked at; a version in the database is looked for more often. */
  readonly sourceSeconds: number;
  readonly versionSeconds: number;
  readonly onAdopted: (version: AdoptedVersion) => void;
  /** The source or the database could not be used, or holds something that is no config. */
  readonly onFault: (message: string) => void;
}

export interface AdoptedVersion {
  /** Undefined when it came straight from the source. */
  readonly version: bigint | undefined;
  readonly sha256: string;
}

export interface SyncStatus {
  readonly adopted: AdoptedVersion;
  readonly adoptedCount: number;
  readonly lastSyncAtMs: number | undefined;
  readonly skippedCount: number;
  readonly etag: string | undefined;
  /** Why the newest text was not taken; undefined = it was. */
  readonly fault: string | undefined;
  readonly running: boolean;
}

const longestLookMs = 10_000;

type Look = 'source' | 'versions';

export class ConfigSync<Config> {
  readonly #options: ConfigSyncOptions<Config>;
  #adopted: AdoptedVersion;
  #etag: string | undefined;
  /** Of the newest text: stays until there is another text. */
  #textFault: string | undefined;
  /** Of looking at the source and at the versions: each ends with its next look that works. */
  readonly #lookFaults = new Map<Look, string>();
  #adoptedCount = 0;
  #skippedCount = 0;
  #lastSyncAtMs: number | undefined;
  /** Versions that cannot be loaded here are tried once. */
  #refused: bigint | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ConfigSyncOptions<Config>) {
    this.#options = options;
    this.#adopted = { version: undefined, sha256: options.startedWith.sha256 };
    this.#etag = options.startedWith.etag;
  }

  get status(): SyncStatus {
    return {
      adopted: this.#adopted,
      adoptedCount: this.#adoptedCount,
      lastSyncAtMs: this.#lastSyncAtMs,
      skippedCount: this.#skippedCount,
      etag: this.#etag,
      fault: this.#textFault ?? [...this.#lookFaults.values()][0],
      running: !this.#stop.signal.aborted && this.#timers.size > 0,
    };
  }

  start(): void {
    const { sourceSeconds, versionSeconds, shared } = this.#options;
    this.#every(sourceSeconds, 'source');
    if (shared !== undefined) this.#every(versionSeconds, 'versions');
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the gateway leaves'));
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await this.#running;
  }

  /**
   * Looks now. @param force takes the source's text also when it is the one that was taken last, for example after a
   * rollback. @returns what is live then.
   */
  async reload(force: boolean): Promise<SyncStatus> {
    await this.#inTurn('source', force);
    if (this.#options.shared !== undefined) await this.#inTurn('versions');
    return this.status;
  }

  /** Makes an old version live again, as a new one. @throws when this process does not lead or the version cannot be used. */
  async rollback(version: bigint, by: string): Promise<ConfigVersion> {
    const mandate = this.#mandate();
    const { shared } = this.#options;
    if (shared === undefined || mandate === undefined) throw new Error('only the leader can roll back');
    const text = await shared.versions.textOf(version);
    if (text === undefined) throw new Error(`there is no config version ${version}`);
    this.#options.parse(text);
    const added = await shared.versions.add(
      { text, sha256: sha256Of(text), source: `rollback to ${version}`, fromSource: false, createdBy: by },
      mandate,
    );
    await this.#inTurn('versions');
    return added;
  }

  #mandate(): Mandate | undefined {
    const { shared } = this.#options;
    const leadership = shared?.leadership();
    if (shared === undefined || leadership?.is !== 'leader') return undefined;
    return { lease: shared.leaseName, epoch: leadership.epoch };
  }

  #every(seconds: number, what: Look): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        void this.#inTurn(what).finally(() => {
          if (!this.#stop.signal.aborted) this.#every(seconds, what);
        });
      },
      seconds * 1000 * (0.9 + Math.random() * 0.1),
    );
    timer.unref();
    this.#timers.add(timer);
  }

  /** One after the other: two looks at once could adopt in the wrong order. Never rejects. */
  #inTurn(what: Look, force = false): Promise<void> {
    const work = (): Promise<void> => (what === 'source' ? this.#watchSource(force) : this.#followVersions());
    this.#running = this.#running.then(work).then(
      () => {
        this.#lookFaults.delete(what);
      },
      (error: unknown) => {
        const message = messageOf(error);
        // Once, and not with every look until somebody mends it.
        if (message !== this.#lookFaults.get(what)) this.#options.onFault(message);
        this.#lookFaults.set(what, message);
      },
    );
    return this.#running;
  }

  async #watchSource(force: boolean): Promise<void> {
    const { source, shared, parse } = this.#options;
    const mandate = this.#mandate();
    if (shared !== undefined && mandate === undefined) {
      this.#skippedCount++;
      return;
    }
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(longestLookMs)]);
    const found = await source.read(force ? undefined : this.#etag, signal);
    this.#lastSyncAtMs = Date.now();
    if (found === undefined) return;
    const { text, sha256, etag } = found;
    let config: Config;
    try {
      config = parse(text);
    } catch (error) {
      // Remembered: a text that cannot be used is not read again and again.
      this.#etag = etag;
      this.#textFault = messageOf(error);
      await shared?.versions.saveSourceState({ source: source.name, etag, sha256, fault: this.#textFault });
      this.#options.onFault(this.#textFault);
      return;
    }
    this.#textFault = undefined;
    if (shared === undefined || mandate === undefined) {
      if (force || sha256 !== this.#adopted.sha256) this.#become(config, { version: undefined, sha256 });
    } else if (force || sha256 !== (await shared.versions.newestFromSource())) {
      const createdBy = shared.processName;
      await shared.versions.add({ text, sha256, source: source.name, fromSource: true, createdBy }, mandate);
    }
    await shared?.versions.saveSourceState({ source: source.name, etag, sha256, fault: undefined });
    this.#etag = etag;
    if (shared !== undefined) await this.#followVersions();
  }

  async #followVersions(): Promise<void> {
    const { shared, parse } = this.#options;
    const newest = await shared?.versions.newest();
    if (shared === undefined || newest === undefined) return;
    const { version, sha256 } = newest;
    if (version === this.#adopted.version || version === this.#refused) return;
    if (this.#adopted.version === undefined && sha256 === this.#adopted.sha256) {
      // This process started with the same text: nothing changes but its name.
      this.#adopted = { version, sha256 };
      return;
    }
    try {
      const text = await shared.versions.textOf(version);
      if (text === undefined) return;
      this.#become(parse(text), { version, sha256 });
    } catch (error) {
      // A database that is away is asked again; a text that cannot be used here is not.
      if (isUnavailable(error)) throw error;
      this.#refused = version;
      this.#textFault = messageOf(error);
      this.#options.onFault(this.#textFault);
    }
  }

  #become(config: Config, version: AdoptedVersion): void {
    this.#options.adopt(config, version);
    this.#adopted = version;
    this.#textFault = undefined;
    this.#adoptedCount++;
    this.#lastSyncAtMs = Date.now();
    this.#options.onAdopted(version);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
