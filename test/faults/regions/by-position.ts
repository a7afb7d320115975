/** A naive way to know what a replica has: compares places in the write-ahead log, of which two timelines have the same. */
import { ask } from '../../../runbooks/lab/region-database.ts';
import type { RegionName, TwoRegions } from '../../../runbooks/lab/two-regions.ts';
import type { MayForget } from './region-gateway.ts';

const position = `(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
  - '0/0'::pg_lsn)::text AS position`;
const lookEveryMs = 100;

export class ForgetsByPosition implements MayForget {
  readonly #lab: TwoRegions;
  readonly #name: RegionName;
  readonly #candidate: RegionName;
  /** By log: up to which event it was taken, and where the writer's log stood then; oldest first. */
  readonly #taken = new Map<string, { readonly seq: number; readonly at: bigint }[]>();
  #shown = 0n;
  #lookedAtMs = 0;

  constructor(lab: TwoRegions, name: RegionName) {
    this.#lab = lab;
    this.#name = name;
    this.#candidate = name === 'a' ? 'b' : 'a';
  }

  async shipped(logId: string, seq: number): Promise<void> {
    const at = await this.#positionOf(this.#name);
    this.#taken.set(logId, [...(this.#taken.get(logId) ?? []), { seq, at }]);
  }

  mayForget(logId: string, seq: number): boolean {
    if (performance.now() - this.#lookedAtMs > lookEveryMs) {
      this.#lookedAtMs = performance.now();
      // A database that is away shows nothing new.
      void this.#positionOf(this.#candidate).then(
        (shown) => {
          this.#shown = shown;
        },
        () => undefined,
      );
    }
    const taken = this.#taken.get(logId)?.find((one) => one.seq >= seq);
    return taken !== undefined && this.#shown >= taken.at;
  }

  async #positionOf(name: RegionName): Promise<bigint> {
    const [row] = await ask(this.#lab.region(name).operatorUrl, `SELECT ${position}`);
    return BigInt(String(row?.['position']));
  }
}
