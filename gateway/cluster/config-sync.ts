/**
 * Live configuration. The leader watches the source, checks what it finds and stores it as a version; every process
 * adopts the newest version, all of them the same ones in the same order. What cannot be loaded changes nothing and is
 * reported. Without versions each process watches the source by itself.
 */
import { NotNow, Unusable } from '../domain/config-administration.ts';
import type { ConfigVersion, ConfigVersions, Mandate, NewVersion } from '../stores/config-versions.ts';
import { isUnavailable } from '../stores/postgres.ts';
import { type ConfigSource, sha256Of } from './config-source.ts';
import type { Leadership } from './leader.ts';

export interface ConfigSyncOptions<Prepared> {
  /** Undefined = versions come from people alone. */
  readonly source: ConfigSource | undefined;
  /**
   * Makes everything that a config needs, and changes nothing yet.
   * @param origin of the text, for faults.
   * @throws an error whose message is for the person who wrote the text.
   */
  readonly prepare: (text: string, origin: string) => Promise<Prepared>;
  /** What was prepared is not needed. */
  readonly discard: (prepared: Prepared) => Promise<void>;
  /** Makes it live; must not fail and must not wait: requests that run keep the config they began with. */
  readonly adopt: (prepared: Prepared, version: AdoptedVersion) => void;
  /** What this process started with. */
  readonly startedWith: {
    readonly text: string;
    readonly etag: string | undefined;
    readonly additions: string;
  };
  /**
   * Names the state of what completes a text from elsewhere: another name means that the text is to be prepared anew.
   * Undefined = nothing does.
   */
  readonly additions: (() => Promise<string>) | undefined;
  /** Undefined where versions are not shared. */
  readonly shared:
    | {
        readonly versions: ConfigVersions;
        readonly leaseName: string;
        readonly leadership: () => Leadership;
        /** Names this process in the history. */
        readonly processName: string;
      }
    | undefined;
  /** How often the source is looked at, and the versions. */
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

/** A text that was checked by preparing it; whoever adopts that text need not do so again. */
interface Checked<Prepared> {
  readonly sha256: string;
  readonly additions: string;
  prepared: Prepared | undefined;
}

const longestLookMs = 10_000;

type Look = 'source' | 'versions';

export class ConfigSync<Prepared> {
  readonly #options: ConfigSyncOptions<Prepared>;
  #adopted: AdoptedVersion;
  /** What is adopted. */
  #text: string;
  #additions: string;
  #etag: string | undefined;
  /** Of the newest text: stays until there is another text. */
  #textFault: string | undefined;
  /** Of looking at the source and at the versions: each ends with its next look that works. */
  readonly #lookFaults = new Map<Look, string>();
  #adoptedCount = 0;
  #skippedCount = 0;
  #lastSyncAtMs: number | undefined;
  /** Versions and additions that cannot be loaded here are tried once. */
  #refused: string | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ConfigSyncOptions<Prepared>) {
    this.#options = options;
    const { text, etag, additions } = options.startedWith;
    this.#text = text;
    this.#additions = additions;
    this.#adopted = { version: undefined, sha256: sha256Of(text) };
    this.#etag = etag;
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

  /** What is live, to be kept for a start without a source. */
  get live(): { readonly text: string; readonly additions: string } {
    return { text: this.#text, additions: this.#additions };
  }

  start(): void {
    const { source, sourceSeconds, versionSeconds, shared, additions } = this.#options;
    if (source !== undefined) this.#every(sourceSeconds, 'source');
    if (shared !== undefined || additions !== undefined) this.#every(versionSeconds, 'versions');
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the gateway leaves'));
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await this.#running;
  }

  /** Takes over a version that is there. Never rejects. */
  look(): Promise<void> {
    return this.#inTurn('versions', () => this.#followVersions());
  }

  /**
   * Looks at everything now. @param force takes the source's text also when it is the one that was taken last, for
   * example after a rollback; and on behalf of the leader, whoever that is. @returns what is live then.
   */
  async reload(force: boolean): Promise<SyncStatus> {
    if (this.#options.source !== undefined) await this.#inTurn('source', () => this.#watchSource(force));
    await this.look();
    return this.status;
  }

  /** Makes an old version live again, as a new one. @throws Unusable, NotNow */
  async rollback(version: bigint, by: string): Promise<ConfigVersion> {
    const text = await this.#versions().textOf(version);
    if (text === undefined) throw new Unusable(`There is no config version ${version}`);
    return this.#addByHand(text, `rollback to ${version}`, by);
  }

  /** Makes a text live that comes from no source; it stays until the source changes. @throws Unusable, NotNow */
  push(text: string, by: string): Promise<ConfigVersion> {
    return this.#addByHand(text, 'push', by);
  }

  async #addByHand(text: string, source: string, by: string): Promise<ConfigVersion> {
    const versions = this.#versions();
    let prepared: Prepared;
    try {
      prepared = await this.#options.prepare(text, source);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      throw new Unusable(messageOf(error));
    }
    await this.#options.discard(prepared);
    const mandate = this.#mandateOfWhoeverLeads();
    if (mandate === undefined) {
      throw new NotNow('No process leads at the moment, so no version can be stored; try again in some seconds');
    }
    // Before the first version of the source: else that would come next, as a change of the source, and undo this one.
    if (this.#options.source !== undefined && (await versions.newestFromSource()) === undefined) {
      await this.#inTurn('source', () => this.#watchSource(true));
    }
    const added = await versions.add(
      { text, sha256: sha256Of(text), source, fromSource: false, createdBy: by },
      mandate,
    );
    await this.look();
    return added;
  }

  #versions(): ConfigVersions {
    const { shared } = this.#options;
    if (shared !== undefined) return shared.versions;
    throw new NotNow('Configurations are kept only with a database and LLMROUTER_HA_MODE=leader_election');
  }

  #mandate(): Mandate | undefined {
    const { shared } = this.#options;
    return shared?.leadership().is === 'leader' ? this.#mandateOfWhoeverLeads() : undefined;
  }

  /** What an administrator asks for may be stored by any process, for as long as the epoch lasts. */
  #mandateOfWhoeverLeads(): Mandate | undefined {
    const { shared } = this.#options;
    const leadership = shared?.leadership();
    if (shared === undefined || leadership === undefined || leadership.is === 'unknown') return undefined;
    return { lease: shared.leaseName, epoch: leadership.epoch };
  }

  #every(seconds: number, what: Look): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        const look = what === 'source' ? () => this.#watchSource(false) : () => this.#followVersions();
        void this.#inTurn(what, look).finally(() => {
          if (!this.#stop.signal.aborted) this.#every(seconds, what);
        });
      },
      seconds * 1000 * (0.9 + Math.random() * 0.1),
    );
    timer.unref();
    this.#timers.add(timer);
  }

  /** One after the other: two looks at once could adopt in the wrong order. Never rejects. */
  #inTurn(what: Look, work: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(work).then(
      () => {
        this.#lookFaults.delete(what);
      },
      (error: unknown) => {
        // A database that is away is no fault of a configuration, and others say so.
        if (what === 'versions' && isUnavailable(error)) return;
        const message = messageOf(error);
        // Once, and not with every look until somebody mends it.
        if (message !== this.#lookFaults.get(what)) this.#options.onFault(message);
        this.#lookFaults.set(what, message);
      },
    );
    return this.#running;
  }

  async #watchSource(force: boolean): Promise<void> {
    const { source, shared } = this.#options;
    if (source === undefined) return;
    const mandate = force ? this.#mandateOfWhoeverLeads() : this.#mandate();
    if (shared !== undefined && mandate === undefined) {
      this.#skippedCount++;
      return;
    }
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(longestLookMs)]);
    const found = await source.read(force ? undefined : this.#etag, signal);
    this.#lastSyncAtMs = Date.now();
    if (found === undefined) return;
    const { text, sha256, etag } = found;
    const known = shared === undefined ? this.#adopted.sha256 : await shared.versions.newestFromSource();
    if (!force && sha256 === known) {
      await this.#sawSource(source.name, etag, sha256, undefined);
      return;
    }
    let checked: Checked<Prepared>;
    try {
      checked = await this.#check(text, sha256, source.name);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      // Remembered: a text that cannot be used is not read again and again.
      await this.#sawSource(source.name, etag, sha256, messageOf(error));
      return;
    }
    try {
      if (shared === undefined || mandate === undefined) {
        this.#become(checked, text, { version: undefined, sha256 });
      } else {
        const createdBy = shared.processName;
        await this.#add({ text, sha256, source: source.name, fromSource: true, createdBy }, mandate);
      }
      await this.#sawSource(source.name, etag, sha256, undefined);
      if (shared !== undefined) await this.#followVersions(checked);
    } finally {
      if (checked.prepared !== undefined) await this.#options.discard(checked.prepared);
    }
  }

  async #add(added: NewVersion, mandate: Mandate): Promise<void> {
    await this.#options.shared?.versions.add(added, mandate);
  }

  async #sawSource(source: string, etag: string, sha256: string, fault: string | undefined): Promise<void> {
    this.#etag = etag;
    this.#textFault = fault;
    if (fault !== undefined) this.#options.onFault(fault);
    await this.#options.shared?.versions.saveSourceState({ source, etag, sha256, fault });
  }

  /** @throws what is wrong with the text. */
  async #check(text: string, sha256: string, origin: string): Promise<Checked<Prepared>> {
    const additions = (await this.#options.additions?.()) ?? this.#additions;
    const isLive = sha256 === this.#adopted.sha256 && additions === this.#additions;
    if (isLive) return { sha256, additions, prepared: undefined };
    return { sha256, additions, prepared: await this.#options.prepare(text, origin) };
  }

  async #followVersions(checked?: Checked<Prepared>): Promise<void> {
    const { shared } = this.#options;
    const additions = (await this.#options.additions?.()) ?? this.#additions;
    const newest = await shared?.versions.newest();
    const version = newest?.version ?? this.#adopted.version;
    const sha256 = newest?.sha256 ?? this.#adopted.sha256;
    if (version === this.#adopted.version && additions === this.#additions) return;
    if (sha256 === this.#adopted.sha256 && additions === this.#additions) {
      // The same text under another number: nothing changes but its name.
      this.#named({ version, sha256 });
      return;
    }
    const candidate = `${version} ${additions}`;
    if (candidate === this.#refused) return;
    try {
      const text = await this.#textOf(version, sha256);
      if (text === undefined) return;
      const isChecked = checked?.sha256 === sha256 && checked.additions === additions;
      const origin = version === undefined ? (this.#options.source?.name ?? 'config') : `config version ${version}`;
      this.#become(isChecked ? checked : await this.#check(text, sha256, origin), text, { version, sha256 });
    } catch (error) {
      // A database that is away is asked again; a text that cannot be used here is not.
      if (isUnavailable(error)) throw error;
      this.#refused = candidate;
      this.#textFault = messageOf(error);
      this.#options.onFault(this.#textFault);
    }
  }

  async #textOf(version: bigint | undefined, sha256: string): Promise<string | undefined> {
    if (version === undefined || sha256 === this.#adopted.sha256) return this.#text;
    return this.#options.shared?.versions.textOf(version);
  }

  #become(checked: Checked<Prepared>, text: string, version: AdoptedVersion): void {
    const { prepared } = checked;
    if (prepared === undefined) return;
    checked.prepared = undefined;
    this.#text = text;
    this.#additions = checked.additions;
    this.#options.adopt(prepared, version);
    this.#adoptedCount++;
    this.#named(version);
  }

  #named(version: AdoptedVersion): void {
    this.#adopted = version;
    this.#textFault = undefined;
    this.#lastSyncAtMs = Date.now();
    this.#options.onAdopted(version);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
