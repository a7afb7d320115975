/** Which deployment a request goes to, and what is known about the health of each. */
import type { Deployment } from '../domain/deployment.ts';
import type { CooldownSettings, CooldownShare } from '../domain/recovery.ts';
import { afterOutcome, type Cooldown, mayServe, type Outcome, onAttempt, onWithdrawal, serving } from './cooldown.ts';
import { simpleShuffle } from './simple-shuffle.ts';

export interface RouterOptions {
  readonly groups: ReadonlyMap<string, readonly Deployment[]>;
  readonly aliases: ReadonlyMap<string, { readonly group: string; readonly hidden: boolean }>;
  readonly cooldown: CooldownSettings;
  readonly random: () => number;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly share?: CooldownShare;
  /** Called when a deployment leaves rotation. */
  readonly onCooled?: (deployment: Deployment, forMs: number) => void;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #states = new Map<string, Cooldown>();
  readonly #byId = new Map<string, Deployment>();

  constructor(options: RouterOptions) {
    this.#options = options;
    for (const deployments of options.groups.values()) {
      for (const deployment of deployments) this.#byId.set(deployment.id, deployment);
    }
  }

  /** Names that clients may ask for. */
  names(): string[] {
    const visible = [...this.#options.aliases].flatMap(([alias, target]) => (target.hidden ? [] : [alias]));
    return [...new Set([...this.#options.groups.keys(), ...visible])];
  }

  /** The model group behind a name: the group itself, an alias of one, or a deployment's id; undefined when unknown. */
  resolve(model: string): string | undefined {
    if (this.#options.groups.has(model)) return model;
    const alias = this.#options.aliases.get(model)?.group;
    if (alias !== undefined && this.#options.groups.has(alias)) return alias;
    return this.#byId.has(model) ? model : undefined;
  }

  /** Deployments of a group; a deployment's id is a group of its own. */
  deployments(group: string): readonly Deployment[] {
    const single = this.#byId.get(group);
    return this.#options.groups.get(group) ?? (single === undefined ? [] : [single]);
  }

  /** How many may be called now, and how many of those are not in `failed`. */
  availability(group: string, failed: ReadonlySet<string>): { all: number; eligible: number; untried: number } {
    const all = this.deployments(group);
    const eligible = this.#eligible(all);
    const untried = eligible.filter((deployment) => !failed.has(deployment.id)).length;
    return { all: all.length, eligible: eligible.length, untried };
  }

  /** Picks a deployment and marks the attempt; those that already failed this request come last. */
  choose(group: string, failed: ReadonlySet<string>): Deployment | undefined {
    const eligible = this.#eligible(this.deployments(group));
    const untried = failed.size === 0 ? eligible : eligible.filter((deployment) => !failed.has(deployment.id));
    const chosen = simpleShuffle(untried.length > 0 ? untried : eligible, this.#options.random);
    if (chosen === undefined) return undefined;
    const state = this.#states.get(chosen.id);
    if (state !== undefined && state.is !== 'serving')
      this.#states.set(chosen.id, onAttempt(state, this.#options.now()));
    return chosen;
  }

  /** The attempt's outcome. Call once for each `choose`; an attempt that nobody waited for is `withdraw`n instead. */
  record(deployment: Deployment, outcome: Outcome): void {
    const before = this.#states.get(deployment.id) ?? serving;
    const nowMs = this.#options.now();
    const siblings = outcome === 'success' ? [] : (this.#options.groups.get(deployment.modelGroup) ?? []);
    const after = afterOutcome(before, outcome, {
      nowMs,
      settings: this.#options.cooldown,
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
    const state = this.#states.get(deployment.id);
    if (state !== undefined) this.#states.set(deployment.id, onWithdrawal(state));
  }

  /** A sibling process took a deployment out of rotation. */
  adopt(deploymentId: string, forMs: number): void {
    if (!this.#options.cooldown.enabled || !this.#byId.has(deploymentId)) return;
    const untilMs = this.#options.now() + forMs;
    const state = this.#states.get(deploymentId);
    if (state?.is === 'cooling' && state.untilMs >= untilMs) return;
    this.#states.set(deploymentId, { is: 'cooling', untilMs });
  }

  /** For health pages and metrics. */
  health(): { deployment: Deployment; state: Cooldown['is'] }[] {
    const nowMs = this.#options.now();
    return [...this.#byId.values()].map((deployment) => {
      const state = this.#states.get(deployment.id) ?? serving;
      return { deployment, state: state.is === 'cooling' && nowMs >= state.untilMs ? 'probing' : state.is };
    });
  }

  #eligible(deployments: readonly Deployment[]): readonly Deployment[] {
    const nowMs = this.#options.now();
    const eligible = deployments.filter((deployment) => mayServe(this.#states.get(deployment.id) ?? serving, nowMs));
    // Panic: siblings may have taken out everything at once; a cooling deployment is still a better answer than none.
    return eligible.length > 0 ? eligible : deployments;
  }

  #isServing(id: string, nowMs: number): boolean {
    const state = this.#states.get(id) ?? serving;
    return state.is === 'serving' || (state.is === 'cooling' && nowMs >= state.untilMs);
  }
}
