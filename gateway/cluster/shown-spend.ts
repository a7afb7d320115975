/**
 * What the candidates' replicas show of the logs here: only that may be forgotten. A commit in the writer's database is
 * not enough, since a failover may leave it behind.
 */
import type { RegionState } from '../domain/region.ts';
import type { SpendLedger } from '../domain/spend.ts';
import type { RegionRules } from '../region/rules.ts';
import type { PeerLink } from './peer-link.ts';
import { Rounds } from './rounds.ts';
import { toPositions } from './writer-ledger.ts';

export interface ShownSpendOptions {
  readonly region: string;
  readonly state: () => RegionState;
  /** The own database, whichever it is. */
  readonly local: Pick<SpendLedger, 'positions'>;
  readonly link: PeerLink;
  readonly rules: Pick<RegionRules, 'mayForget'>;
  readonly onError: (error: Error) => void;
}

const lookEveryMs = 2_000;
const mostLogs = 5_000;

export class ShownSpend {
  readonly #options: ShownSpendOptions;
  /** Positions by log, for each candidate; of the epoch they were read in. */
  #shown: { readonly epoch: number; readonly by: ReadonlyMap<string, ReadonlyMap<string, number>> } = {
    epoch: 0,
    by: new Map(),
  };
  /** Logs that somebody wants to forget. */
  readonly #wanted = new Set<string>();
  readonly #looks = new Rounds(() => this.#look(), lookEveryMs);

  constructor(options: ShownSpendOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looks.start();
  }

  stop(): Promise<void> {
    return this.#looks.stop();
  }

  /** From what was last read; a log that is asked for the first time is read with the next look. */
  mayForget(logId: string, seq: number, isArchived: boolean): boolean {
    const { state, rules } = this.#options;
    const { candidates, epoch } = state();
    if (candidates === undefined) return true;
    if (this.#wanted.size < mostLogs) this.#wanted.add(logId);
    if (this.#shown.epoch !== epoch) return false;
    const applied = candidates.map((candidate) => this.#shown.by.get(candidate)?.get(logId) ?? 0);
    return rules.mayForget(seq, applied, isArchived);
  }

  /** Never rejects. */
  look(): Promise<void> {
    return this.#looks.now();
  }

  async #look(): Promise<void> {
    const { state, onError } = this.#options;
    const { candidates, epoch, phase } = state();
    const logIds = [...this.#wanted];
    // Before the claim of this epoch was read, that it names no candidate means nothing.
    if (candidates === undefined || phase === undefined || logIds.length === 0) return;
    const by = new Map<string, ReadonlyMap<string, number>>();
    for (const candidate of candidates) {
      try {
        by.set(candidate, await this.#shownBy(candidate, logIds));
      } catch (error) {
        onError(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.#wanted.clear();
    // What was read in another epoch may come from a database that is gone.
    this.#shown = { epoch: state().epoch === epoch ? epoch : 0, by };
  }

  async #shownBy(candidate: string, logIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { region, local, link } = this.#options;
    const found =
      candidate === region
        ? await local.positions(logIds)
        : toPositions(await link.call(candidate, 'shown', JSON.stringify({ logIds })));
    return new Map([...found].map(([id, { appliedSeq }]) => [id, appliedSeq]));
  }
}
