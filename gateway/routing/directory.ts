/** What a name that a client or a fallback list uses stands for: a model group, one deployment, or nothing. */
import type { Deployment } from '../domain/deployment.ts';
import { matchPattern, sortPatterns } from './patterns.ts';

export interface DirectoryOptions {
  readonly groups: ReadonlyMap<string, readonly Deployment[]>;
  readonly aliases: ReadonlyMap<string, { readonly group: string; readonly hidden: boolean }>;
  /** A deployment with the prices and limits of its model, for models that are only known when they are asked for. */
  readonly withFacts?: (deployment: Deployment) => Deployment;
}

/** A client may invent names; so many are kept that the price lists are not searched for every request. */
const concreteKept = 1_000;
const longestNameKept = 200;

export class ModelDirectory {
  readonly #options: DirectoryOptions;
  readonly #byId = new Map<string, Deployment>();
  /** By LiteLLM's model string, such as `azure/gpt-4o`: what fallback lists may name. */
  readonly #byModelString = new Map<string, Deployment[]>();
  readonly #patterns: readonly string[];
  readonly #concrete = new Map<string, Deployment>();

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#patterns = sortPatterns([...options.groups.keys()]);
    for (const deployment of [...options.groups.values()].flat()) {
      this.#byId.set(deployment.id, deployment);
      const string = `${deployment.provider}/${deployment.model}`;
      this.#byModelString.set(string, [...(this.#byModelString.get(string) ?? []), deployment]);
    }
  }

  all(): Iterable<Deployment> {
    return this.#byId.values();
  }

  has(deploymentId: string): boolean {
    return this.#byId.has(deploymentId);
  }

  /** Names that clients may ask for. */
  names(): string[] {
    const visible = [...this.#options.aliases].flatMap(([alias, target]) => (target.hidden ? [] : [alias]));
    return [...new Set([...this.#options.groups.keys(), ...visible])];
  }

  /**
   * The model group behind a name: the group itself, an alias of one, a deployment's id or model string (each a group of
   * its own), or the most specific pattern that fits; undefined when nothing does.
   */
  resolve(model: string): string | undefined {
    if (this.#options.groups.has(model)) return model;
    const name = this.#behindAlias(model);
    if (this.#options.groups.has(name)) return name;
    if (this.#byId.has(name) || this.#byModelString.has(name)) return name;
    return matchPattern(this.#patterns, name)?.group;
  }

  deployments(group: string): readonly Deployment[] {
    const single = this.#byId.get(group);
    return (
      this.#options.groups.get(group) ?? (single === undefined ? (this.#byModelString.get(group) ?? []) : [single])
    );
  }

  /** The deployment as it is configured, also when its pattern was made `concrete`. */
  configured(deployment: Deployment): Deployment {
    return this.#byId.get(deployment.id) ?? deployment;
  }

  /** Deployments that stand beside this one. */
  siblings(deployment: Deployment): readonly Deployment[] {
    return this.#options.groups.get(deployment.modelGroup) ?? [];
  }

  /** A deployment of a pattern, with what the client put in the place of the star: `openai/*` asked as `openai/gpt-4o`. */
  concrete(deployment: Deployment, asked: string): Deployment {
    if (!isPattern(deployment)) return deployment;
    const rest = matchPattern([deployment.modelGroup], this.#behindAlias(asked))?.rest;
    return rest === undefined ? deployment : this.#filled(deployment, rest);
  }

  #filled(deployment: Deployment, rest: string): Deployment {
    const key = `${deployment.id} ${rest}`;
    const known = this.#concrete.get(key);
    if (known !== undefined) return known;
    // A function, since `$&` and its like have a meaning in a replacement text, and this text is the client's.
    const fill = (text: string): string => text.replace('*', () => rest);
    const { model, listedAs } = deployment;
    const filled = {
      ...deployment,
      model: fill(model),
      ...(listedAs === undefined ? {} : { listedAs: { ...listedAs, model: fill(listedAs.model) } }),
    };
    const concrete = this.#options.withFacts?.(filled) ?? filled;
    if (rest.length > longestNameKept) return concrete;
    if (this.#concrete.size >= concreteKept) this.#concrete.clear();
    this.#concrete.set(key, concrete);
    return concrete;
  }

  #behindAlias(name: string): string {
    return this.#options.aliases.get(name)?.group ?? name;
  }
}

/** Whether a deployment serves every name that fits. */
export const isPattern = (deployment: Deployment): boolean => deployment.model.includes('*');
