/**
 * The lab's DNS, with Route 53's semantics: health checks at intervals, a region counts as ill after so many failed ones in
 * a row and as well after as many good ones, a takeover object makes the other region count as ill, and when all are ill
 * the answer is the primary. Clients keep an answer for its time to live.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { healthPaths } from '../../gateway/contract.ts';

export interface EdgeRegion {
  readonly name: string;
  /** Its ways in; they may change. */
  readonly addresses: () => readonly string[];
}

export interface EdgeOptions {
  readonly primary: EdgeRegion;
  readonly standby: EdgeRegion;
  readonly intervalMs: number;
  readonly failureThreshold: number;
  /** Whether there is a takeover object in the region. */
  readonly isTakenOver: (region: string) => boolean;
  /** Percent of the answers that name the primary while it is taken over, if it is well; none if not given. */
  readonly primaryShare?: () => number;
}

interface Health {
  isWell: boolean;
  /** Checks in a row that said otherwise. */
  against: number;
}

export class LabEdge {
  readonly #options: EdgeOptions;
  readonly #stop = new AbortController();
  readonly #health = new Map<string, Health>();
  readonly #checking: Promise<void>;
  #answers = 0;

  constructor(options: EdgeOptions) {
    this.#options = options;
    const both = [options.primary, options.standby];
    for (const { name } of both) this.#health.set(name, { isWell: true, against: 0 });
    this.#checking = Promise.all(both.map((region) => this.#check(region))).then(() => undefined);
  }

  /** Name of the region that clients are sent to now. */
  get active(): string {
    const { primary, standby, isTakenOver } = this.#options;
    const isWell = (name: string): boolean => this.#health.get(name)?.isWell === true;
    const primaryCounts = isWell(primary.name) && !isTakenOver(standby.name);
    if (primaryCounts) return primary.name;
    return isWell(standby.name) ? standby.name : primary.name;
  }

  resolve(): readonly string[] {
    const { primary, standby, isTakenOver, primaryShare } = this.#options;
    // Evenly spread, where Route 53 draws lots: the same share without its noise.
    const isOfPrimary = (this.#answers++ * 0.618_034) % 1 < (primaryShare?.() ?? 0) / 100;
    const isReturning = isTakenOver(standby.name) && isOfPrimary && this.#health.get(primary.name)?.isWell === true;
    return isReturning || this.active === primary.name ? primary.addresses() : standby.addresses();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#checking;
  }

  async #check({ name, addresses }: EdgeRegion): Promise<void> {
    const { intervalMs, failureThreshold } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      const answered = await Promise.all(addresses().map((address) => answers(address, intervalMs, signal)));
      const health = this.#health.get(name);
      const found = answered.some(Boolean);
      if (health !== undefined) {
        health.against = found === health.isWell ? 0 : health.against + 1;
        if (health.against >= failureThreshold) this.#health.set(name, { isWell: found, against: 0 });
      }
      // From start to start: a check that hangs must not make the next one later.
      const pauseMs = Math.max(0, startedAtMs + intervalMs - performance.now());
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function answers(address: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const answer = await fetch(new URL(healthPaths.health, address), { signal: bounded });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    // Refused, cut or too slow: ill is ill.
    return false;
  }
}
