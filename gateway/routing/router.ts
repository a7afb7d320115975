/** Which deployment a request goes to, and what is known about the health of each. */
import type { Deployment } from '../domain/deployment.ts';
import { NoDeployments, UpstreamError } from '../domain/errors.ts';
import type { CooldownSettings, CooldownShare, RoutingSettings } from '../domain/recovery.ts';
import {
  afterOutcome,
  type Cooldown,
  isBackAtMs,
  isSound,
  mayServe,
  type Outcome,
  onAttempt,
  onWithdrawal,
  settingsFor,
} from './cooldown.ts';
import { CooldownBook } from './cooldown-book.ts';
import { type DirectoryOptions, isPattern, ModelDirectory } from './directory.ts';
import { firstInOrder, isWithinLimits, limitsBind, narrow } from './eligibility.ts';
import type { LoadBook } from './load.ts';
import { strategies } from './strategy.ts';

export interface RouterOptions extends DirectoryOptions {
  readonly cooldown: CooldownSettings;
  /** What is known from before; a book of its own without one. */
  readonly cooldowns?: CooldownBook;
  readonly routing: RoutingSettings;
  readonly load: LoadBook;
  readonly random: () => number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly share?: CooldownShare;
  /** Called when a deployment leaves rotation. */
  readonly onCooled?: (deployment: Deployment, forMs: number) => void;
}

/** The request, as far as it matters for the choice. */
export interface Wanted {
  readonly tags: readonly string[];
  readonly stream: boolean;
  /** Estimate, or a count where a context window is near. */
  readonly promptTokens: number;
  /** Only these can serve it; undefined = every deployment. */
  readonly accepts?: (deployment: Deployment) => boolean;
  /** Regions that the request may be served in; absent = anywhere. */
  readonly regions?: readonly string[];
}

export class Router {
  /** What names stand for. */
  readonly directory: ModelDirectory;
  readonly #options: RouterOptions;
  readonly #states: CooldownBook;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#states = options.cooldowns ?? new CooldownBook();
    this.directory = new ModelDirectory(options);
  }

  /** How many may be called now, and how many of those are not in `failed`. */
  availability(
    group: string,
    failed: ReadonlySet<string>,
    wanted: Wanted,
  ): { all: number; eligible: number; untried: number } {
    const all = this.#fitting(group, wanted);
    const eligible = this.#eligible(all, wanted);
    const untried = eligible.filter((deployment) => !failed.has(deployment.id)).length;
    return { all: all.length, eligible: eligible.length, untried };
  }

  /**
   * Whether somebody who has not failed this request is known to answer: a retry there is a failover, which ends, and
   * not a load that an outage multiplies.
   */
  hasSound(group: string, failed: ReadonlySet<string>, wanted: Wanted): boolean {
    const nowMs = this.#options.now();
    return this.#eligible(this.#fitting(group, wanted), wanted).some(
      ({ id }) => !failed.has(id) && isSound(this.#states.of(id), nowMs),
    );
  }

  /** Picks a deployment and marks the attempt; those that already failed this request come last. */
  choose(group: string, failed: ReadonlySet<string>, wanted: Wanted): Deployment | undefined {
    const { routing, load, random } = this.#options;
    const eligible = this.#eligible(this.#fitting(group, wanted), wanted);
    const untried = failed.size === 0 ? eligible : eligible.filter((deployment) => !failed.has(deployment.id));
    const left = untried.length > 0 ? untried : eligible;
    const withinLimits = left.filter((deployment) => this.#isWithinLimits(deployment, wanted));
    const chosen = strategies[routing.strategy]({
      candidates: firstInOrder(this.#firstBack(withinLimits.length > 0 ? withinLimits : left)),
      loadOf: (id) => load.of(id),
      need: wanted,
      random,
      latencyBuffer: routing.latencyBuffer,
    });
    if (chosen === undefined) return undefined;
    const state = this.#states.of(chosen.id);
    if (state.is !== 'serving') {
      this.#states.set(chosen.id, onAttempt(state, this.#options.now()));
    }
    return chosen;
  }

  /** Why `choose` found nothing. */
  whyNone(group: string, wanted: Wanted): UpstreamError {
    const narrowed = narrow(this.directory.deployments(group), wanted, this.#options.routing);
    switch (narrowed.is) {
      case 'no-tag':
        return noneBecause('authentication', 401, `No deployment of ${group} has the tags ${wanted.tags.join(', ')}`);
      case 'no-region':
        return noneBecause(
          'bad-request',
          400,
          `No deployment of ${group} is in the allowed region ${narrowed.allowed.join(' and ')}; region_name of an entry states where it runs`,
        );
      case 'too-long':
        return noneBecause(
          'context-window',
          400,
          `The prompt has about ${wanted.promptTokens} tokens; the largest context window of ${group} has ${narrowed.largestWindow}`,
        );
      case 'some':
        return (
          this.#overLimit(narrowed.deployments, wanted) ??
          new NoDeployments(group, this.#secondsUntilRoom(narrowed.deployments))
        );
    }
  }

  /** The attempt's outcome. Call once for each `choose`; an attempt that nobody waited for is `withdraw`n instead. */
  record(attempted: Deployment, outcome: Outcome): void {
    const deployment = this.directory.configured(attempted);
    if (outcome !== 'success' && outcome.kind === 'not-found' && isPattern(deployment)) {
      // The client chose that name; it must not take out a deployment that serves all others.
      this.withdraw(deployment);
      return;
    }
    const before = this.#states.of(deployment.id);
    const nowMs = this.#options.now();
    const siblings = outcome === 'success' ? [] : this.directory.siblings(deployment);
    const after = afterOutcome(before, outcome, {
      nowMs,
      settings: settingsFor(deployment, this.#options.cooldown),
      cooldownSeconds: deployment.cooldownSeconds,
      groupSize: siblings.length,
      othersOut: siblings.filter((other) => other.id !== deployment.id && !this.#isServing(other.id, nowMs)).length,
    });
    this.#states.set(deployment.id, after);
    if (after.is === 'cooling' && after !== before) {
      const forMs = after.untilMs - nowMs;
      this.#options.share?.publish(deployment.id, forMs);
      this.#options.onCooled?.(deployment, forMs);
    }
  }

  /** The client left before the attempt had an outcome: a probe is given back, nothing is counted. */
  withdraw(deployment: Deployment): void {
    const state = this.#states.of(deployment.id);
    if (state.is === 'probing') this.#states.set(deployment.id, onWithdrawal(state));
  }

  /** A sibling process took a deployment out of rotation. */
  adopt(deploymentId: string, forMs: number): void {
    if (!this.#options.cooldown.enabled || !this.directory.has(deploymentId)) return;
    const untilMs = this.#options.now() + forMs;
    const state = this.#states.of(deploymentId);
    if (state.is === 'cooling' && state.untilMs >= untilMs) return;
    this.#states.set(deploymentId, { is: 'cooling', untilMs });
  }

  /** For health pages and metrics. */
  health(): { deployment: Deployment; state: Cooldown['is'] }[] {
    const nowMs = this.#options.now();
    return [...this.directory.all()].map((deployment) => {
      const state = this.#states.of(deployment.id);
      return { deployment, state: state.is === 'cooling' && nowMs >= state.untilMs ? 'probing' : state.is };
    });
  }

  /** Those that fit the request at all. */
  #fitting(group: string, wanted: Wanted): readonly Deployment[] {
    const narrowed = narrow(this.directory.deployments(group), wanted, this.#options.routing);
    if (narrowed.is !== 'some') return [];
    return wanted.accepts === undefined ? narrowed.deployments : narrowed.deployments.filter(wanted.accepts);
  }

  #eligible(deployments: readonly Deployment[], wanted: Wanted): readonly Deployment[] {
    const nowMs = this.#options.now();
    const bound = this.#limitsBind;
    const free = deployments.filter(
      (deployment) => this.#hasRoom(deployment) && (!bound || this.#isWithinLimits(deployment, wanted)),
    );
    const eligible = free.filter((deployment) => mayServe(this.#states.of(deployment.id), nowMs));
    // Panic: siblings may have taken out everything at once; a cooling deployment is still a better answer than none.
    return eligible.length > 0 ? eligible : free;
  }

  /** In a panic those whose cooldown ends first, else everybody: who is asked one by one, is asked in that order. */
  #firstBack(candidates: readonly Deployment[]): readonly Deployment[] {
    const [one] = candidates;
    // Either all of them may serve, or none.
    if (one === undefined || mayServe(this.#states.of(one.id), this.#options.now())) return candidates;
    const backAt = ({ id }: Deployment): number => isBackAtMs(this.#states.of(id));
    const first = Math.min(...candidates.map(backAt));
    return candidates.filter((candidate) => backAt(candidate) === first);
  }

  get #limitsBind(): boolean {
    const { strategy, enforceRateLimits } = this.#options.routing;
    return enforceRateLimits || limitsBind[strategy];
  }

  /** In LiteLLM's words, for the first deployment; undefined when one of them has room. */
  #overLimit(deployments: readonly Deployment[], wanted: Wanted): UpstreamError | undefined {
    const { load, routing } = this.#options;
    if (!routing.enforceRateLimits || deployments.some((deployment) => this.#isWithinLimits(deployment, wanted))) {
      return undefined;
    }
    const [{ rpm, tpm, id } = {}] = deployments;
    if (id === undefined) return undefined;
    const { requests, tokens } = load.of(id);
    const exceeded =
      rpm !== undefined && requests >= rpm
        ? `RPM limit=${rpm}, current usage=${requests}`
        : `TPM limit=${tpm}, current usage=${tokens}`;
    return new UpstreamError({
      kind: 'rate-limit',
      status: 429,
      provider: 'gateway',
      type: 'rate_limit_error',
      message: `Model rate limit exceeded. ${exceeded}`,
      retryAfterSeconds: load.secondsLeft,
    });
  }

  #hasRoom({ id, maxParallelRequests }: Deployment): boolean {
    return maxParallelRequests === undefined || this.#options.load.of(id).inFlight < maxParallelRequests;
  }

  #isWithinLimits(deployment: Deployment, { promptTokens }: Wanted): boolean {
    if (deployment.rpm === undefined && deployment.tpm === undefined) return true;
    return isWithinLimits(deployment, this.#options.load.of(deployment.id), promptTokens);
  }

  /** Limits of a minute end with it; when a place among parallel attempts is free again, nobody knows. */
  #secondsUntilRoom(deployments: readonly Deployment[]): number {
    if (!deployments.some((deployment) => this.#hasRoom(deployment))) return 1;
    return Math.ceil(this.#options.load.secondsLeft);
  }

  #isServing(id: string, nowMs: number): boolean {
    const state = this.#states.of(id);
    return state.is === 'serving' || (state.is === 'cooling' && nowMs >= state.untilMs);
  }
}

const noneBecause = (kind: 'authentication' | 'bad-request' | 'context-window', status: number, message: string) =>
  new UpstreamError({ kind, status, provider: 'gateway', message });
