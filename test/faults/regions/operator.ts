/** Whoever is on call: the steps of a failover and a switchover over the real parts, to be left off and taken up anywhere. */
import { setTimeout as sleep } from 'node:timers/promises';
import { abortion, type Claim } from '../../../gateway/region/claim.ts';
import type { ClaimReading } from '../../../gateway/region/claim-store.ts';
import { timingOf } from '../../../gateway/region/right-to-write.ts';
import type { RegionRules } from '../../../gateway/region/rules.ts';
import { ask } from '../../../runbooks/lab/region-database.ts';
import type { HistoryEvent } from '../../../runbooks/lab/region-history.ts';
import type { RegionName, TwoRegions } from '../../../runbooks/lab/two-regions.ts';

export interface OperatorOptions {
  readonly lab: TwoRegions;
  readonly rules: RegionRules;
  readonly record: (event: HistoryEvent) => void;
  /** A naive one promotes at once. */
  readonly waits: boolean;
  /** A naive one discards what it does not list. */
  readonly reports: boolean;
}

export type Step = 'seized' | 'waited' | 'promoted' | 'raised' | 'opened';

export class Operator {
  readonly #options: OperatorOptions;
  /** Awaited after each step: here somebody is interrupted, or slow. */
  afterStep: (step: Step) => Promise<void> = async () => undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Makes `target` the writer. Started again, it goes on where another one was left. */
  async failover(target: RegionName, run: string): Promise<void> {
    const claim = await this.#seize(target, run, false);
    await this.afterStep('seized');
    if (this.#options.waits) await sleep(claim.ttlSeconds * 1_010 + 100);
    await this.afterStep('waited');
    await this.#promote(target, claim);
  }

  /** The same without losing anything. @param onClosed the former writer's row is closed, and the target shows it. */
  async switchover(target: RegionName, run: string, onClosed = async (): Promise<void> => undefined): Promise<void> {
    const { lab } = this.#options;
    const former: RegionName = target === 'a' ? 'b' : 'a';
    const signal = AbortSignal.timeout(10_000);
    await lab.region(former).operator.close(signal);
    for (;;) {
      const { row } = await lab.region(target).operator.view(signal);
      if (row.state === 'closed') break;
      await sleep(20, undefined, { signal });
    }
    await onClosed();
    const claim = await this.#seize(target, run, true);
    await this.afterStep('seized');
    await sleep(timingOf(claim.ttlSeconds).transactionMs);
    await this.afterStep('waited');
    await this.#promote(target, claim);
  }

  /** Gives the right back before anything was promoted. */
  async abort(former: RegionName, run: string): Promise<void> {
    const next = await this.#change((claim) => abortion(claim, run, former));
    this.#options.record({ is: 'epoch', epoch: next.epoch, writer: former, planned: false });
    await sleep(next.ttlSeconds * 1_010 + 100);
    await this.#raiseAndOpen(former, next);
  }

  /** Lists what is lost with the former writer's database, and makes a replica of it. */
  async rebuild(former: RegionName): Promise<void> {
    const { lab, record, reports } = this.#options;
    const survivor: RegionName = former === 'a' ? 'b' : 'a';
    if (reports) {
      const [theirs, ours] = await Promise.all([writesIn(lab, former), writesIn(lab, survivor)]);
      const there = new Set(ours);
      record({ is: 'reported', writes: theirs.filter((write) => !there.has(write)) });
    }
    await lab.region(former).rebuildDatabase();
    await this.#change((claim) => ({ ...claim, candidates: [former], sequence: claim.sequence + 1 }));
  }

  async #promote(target: RegionName, claim: Claim): Promise<void> {
    const { operator } = this.#options.lab.region(target);
    const signal = AbortSignal.timeout(10_000);
    if ((await operator.view(signal)).role === 'replica') await operator.promote(claim.run ?? '', signal);
    await this.afterStep('promoted');
    await this.#raiseAndOpen(target, claim);
  }

  async #raiseAndOpen(target: RegionName, claim: Claim): Promise<void> {
    const { lab, rules } = this.#options;
    const { operator, operatorUrl } = lab.region(target);
    const { row } = await operator.view(AbortSignal.timeout(5_000));
    const next = rules.raised(row, claim.epoch, target);
    if (next.epoch !== row.epoch) {
      await ask(
        operatorUrl,
        `UPDATE region_epoch SET epoch = $1, writer_region = $2, state = 'open' WHERE epoch = $3`,
        [next.epoch, next.writer, row.epoch],
      );
    }
    await this.afterStep('raised');
    // A row that is not the claim's opens nothing; a naive run says that it is done all the same.
    await this.#change((current) => rules.opened(current, claim.epoch, { ...next, epoch: claim.epoch })).catch(
      (error: unknown) => {
        if (!(error instanceof NothingToChange)) throw error;
      },
    );
    await this.afterStep('opened');
  }

  async #seize(target: RegionName, run: string, planned: boolean): Promise<Claim> {
    const { lab, rules, record } = this.#options;
    const { newest } = await lab.claims.read(AbortSignal.timeout(5_000));
    if (newest?.phase === 'seized' && newest.writer === target) return newest;
    const claim = await this.#change((current) => {
      const wanted = rules.seizure(current, run, target);
      return wanted.is === 'refuse' ? undefined : wanted.claim;
    });
    record({ is: 'epoch', epoch: claim.epoch, writer: target, planned });
    return claim;
  }

  /** By compare-and-swap; whoever loses against the keeper's renewal tries again. */
  async #change(decide: (claim: Claim) => Claim | undefined): Promise<Claim> {
    const { claims } = this.#options.lab;
    const signal = AbortSignal.timeout(10_000);
    for (;;) {
      const reading: ClaimReading = await claims.read(signal);
      const next = reading.newest && decide(reading.newest);
      if (next === undefined) throw new NothingToChange();
      if ((await claims.swap(reading, next, signal)).is === 'done') return next;
    }
  }
}

class NothingToChange extends Error {}

export async function writesIn(lab: TwoRegions, name: RegionName): Promise<string[]> {
  return (await ask(lab.region(name).operatorUrl, 'SELECT write FROM harness_write')).map((row) =>
    String(row['write']),
  );
}
