/**
 * Shutting a key out works in every region at any time, also in one that is cut off: it only restricts. Here it acts at
 * once; the writer gets it as soon as it can be reached, and again after every change of the writer, since a failover may
 * have left its commit behind. The other way round, the writer's denials are read every second past the replication.
 * Processes of the region hear of it by the folder that they share, or by Redis.
 */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import type { RegionState } from '../domain/region.ts';
import type { KeyDenials } from '../stores/key-denials.ts';
import { type Denial, type DenialLog, denialOf } from './denial-log.ts';
import type { PeerLink } from './peer-link.ts';
import { Rounds } from './rounds.ts';

export interface DenialsOptions {
  readonly region: string;
  readonly state: () => RegionState;
  readonly log: DenialLog;
  readonly stored: KeyDenials;
  readonly link: PeerLink;
  /**
   * The key is refused in this process, whatever row of an older revision arrives.
   * @param appliedRevision undefined = the writer does not know it yet.
   */
  readonly deny: (keyHash: string, appliedRevision: number | undefined) => void;
  /** Tells the other processes of the region, as far as they can be reached. Never waits. */
  readonly tell: (id: string, text: string) => void;
  readonly wallNow: () => number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly onError: (error: Error) => void;
}

const roundEveryMs = 1_000;
const callTimeoutMs = 2_000;
const keptMs = 24 * 3_600_000;
const mostPending = 100_000;

const feedSchema = z.object({
  epoch: z.number(),
  stored: z.array(z.object({ seq: z.number(), keyHash: z.string(), appliedRevision: z.number() })),
  pending: z.array(z.string()),
});
const appliedSchema = z.object({ applied: z.array(z.tuple([z.string(), z.number()])) });

export class Denials {
  readonly #options: DenialsOptions;
  readonly #own = new Map<string, Denial>();
  /** Those that the writer of this epoch has. */
  readonly #applied = new Set<string>();
  #appliedEpoch = 0;
  /** How far each region's feed was read, in which epoch. */
  readonly #cursors = new Map<string, { epoch: number; seq: number; heardAtMs: number }>();
  readonly #rounds = new Rounds(() => this.#all(), roundEveryMs);

  constructor(options: DenialsOptions) {
    this.#options = options;
  }

  /** Resolves when what earlier processes left is in force. */
  async start(): Promise<void> {
    await this.#readLog();
    this.#rounds.start();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Seconds since a region's feed was last heard; undefined = never. */
  silentSeconds(region: string): number | undefined {
    const cursor = this.#cursors.get(region);
    return cursor === undefined ? undefined : (this.#options.now() - cursor.heardAtMs) / 1000;
  }

  async deny(keyHash: string, actor: string): Promise<void> {
    const { region, deny, tell, log, wallNow } = this.#options;
    // In force first: a full disk must not keep the key working.
    deny(keyHash, undefined);
    const denial = { id: randomUUIDv7(), keyHash, actor: `${actor} (${region})`, atMs: wallNow() };
    this.#own.set(denial.id, denial);
    tell(denial.id, JSON.stringify(denial));
    await log.append(denial);
    void this.round();
  }

  /** What another process of the region has told. It is ours from now on, too: its own disk may be gone tomorrow. */
  hear(text: string): void {
    const denial = denialOf(text);
    if (denial === undefined || !this.#take(denial)) return;
    this.#options.log.append(denial).catch((error: unknown) => {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** Whoever passes on what is told may have forgotten it. */
  tellAgain(): void {
    for (const denial of this.#unapplied()) this.#options.tell(denial.id, JSON.stringify(denial));
  }

  /** @returns false when it is known, or too old to matter. */
  #take(denial: Denial): boolean {
    const { deny, wallNow } = this.#options;
    if (this.#own.has(denial.id) || wallNow() - denial.atMs > keptMs || this.#own.size >= mostPending) return false;
    this.#own.set(denial.id, denial);
    deny(denial.keyHash, undefined);
    return true;
  }

  /** Keys that are shut out here and that the writer may not know of. */
  get pending(): string[] {
    return [...this.#unapplied()].map(({ keyHash }) => keyHash);
  }

  /** Never rejects. */
  round(): Promise<void> {
    return this.#rounds.now();
  }

  async #all(): Promise<void> {
    const { link, onError } = this.#options;
    const attempts = [
      () => this.#readLog(),
      () => this.#offer(),
      ...link.others.map((region) => () => this.#readFeed(region)),
    ];
    const results = await Promise.allSettled(attempts.map((attempt) => attempt()));
    for (const result of results) {
      if (result.status === 'rejected') {
        onError(result.reason instanceof Error ? result.reason : new Error(String(result.reason)));
      }
    }
  }

  async #readLog(): Promise<void> {
    for (const denial of await this.#options.log.news()) this.#take(denial);
  }

  #unapplied(): Denial[] {
    const { epoch } = this.#options.state();
    // A new writer may lack what the old one had.
    if (epoch !== this.#appliedEpoch) {
      this.#applied.clear();
      this.#appliedEpoch = epoch;
    }
    return [...this.#own.values()].filter(({ id }) => !this.#applied.has(id));
  }

  async #offer(): Promise<void> {
    const { region, state, stored, link, deny, wallNow } = this.#options;
    for (const [id, { atMs }] of this.#own)
      if (wallNow() - atMs > keptMs && this.#applied.has(id)) this.#own.delete(id);
    const offered = this.#unapplied().slice(0, 500);
    const { writer, epoch } = state();
    if (offered.length === 0 || writer === undefined) return;
    const applied =
      writer === region
        ? await stored.apply(offered)
        : new Map(
            appliedSchema.parse(await link.call(writer, 'deny', JSON.stringify({ denials: offered }), callTimeoutMs))
              .applied,
          );
    if (state().epoch !== epoch) return;
    for (const { id, keyHash } of offered) {
      const revision = applied.get(id);
      if (revision === undefined) continue;
      this.#applied.add(id);
      deny(keyHash, revision);
    }
  }

  async #readFeed(region: string): Promise<void> {
    const { link, deny, now } = this.#options;
    const known = this.#cursors.get(region);
    const question = JSON.stringify({ epoch: known?.epoch ?? 0, after: known?.seq ?? 0 });
    const feed = feedSchema.parse(await link.call(region, 'denials', question, callTimeoutMs));
    for (const { keyHash, appliedRevision } of feed.stored) deny(keyHash, appliedRevision);
    for (const keyHash of feed.pending) deny(keyHash, undefined);
    const isSame = known !== undefined && known.epoch === feed.epoch;
    const seq = feed.stored.at(-1)?.seq ?? (isSame ? known.seq : 0);
    this.#cursors.set(region, { epoch: feed.epoch, seq, heardAtMs: now() });
  }

  /** What another region reads. Without the database only what was decided here. */
  async feed(asked: { readonly epoch: number; readonly after: number }): Promise<object> {
    const { state, stored, onError } = this.#options;
    const { epoch } = state();
    const rows = await stored.after(asked.epoch === epoch ? asked.after : 0).catch((error: unknown) => {
      onError(error instanceof Error ? error : new Error(String(error)));
      return [];
    });
    return { epoch, stored: rows, pending: this.pending };
  }
}
