/** Where a request has been: the groups it entered and the deployments that failed it. */
import type { Deployment } from '../domain/deployment.ts';
import type { RequestedFallback } from '../domain/request.ts';
import { isPattern, type ModelDirectory } from '../routing/directory.ts';

/** Nearly every request is answered where it was first sent; it pays for nothing but this. */
const nothing: ReadonlySet<RequestedFallback> = new Set();

export class Trail {
  /** As they were named, in the order they were entered. */
  readonly groups: string[];
  /** Fallbacks of the request that were taken, of those that change it. */
  taken: ReadonlySet<RequestedFallback> = nothing;
  /** Model group that is being tried, and the name by which it was entered. */
  current: string;
  asked: string;
  /** Deployments that failed what is being asked now. */
  failed = new Set<string>();
  readonly #directory: ModelDirectory;
  readonly #entered: { readonly name: string; readonly group: string }[];
  /** Deployments that failed the request as the client sent it. */
  #failedUnchanged = this.failed;

  constructor(directory: ModelDirectory, group: string, asked: string) {
    this.#directory = directory;
    this.groups = [group];
    this.current = group;
    this.asked = asked;
    this.#entered = [{ name: asked, group }];
  }

  hasFailed(deployment: Deployment): void {
    this.failed.add(deployment.id);
  }

  enter(to: RequestedFallback): void {
    this.groups.push(to.model);
    this.asked = to.model;
    this.current = this.#directory.resolve(to.model) ?? to.model;
    if (to.members === undefined) {
      this.#entered.push({ name: to.model, group: this.current });
      // A pattern's deployment stands for many models; that one of them failed says nothing about the others.
      this.#failedUnchanged = new Set([...this.#failedUnchanged].filter((id) => !this.#isPattern(id)));
      this.failed = this.#failedUnchanged;
    } else {
      this.taken = new Set([...this.taken, to]);
      this.failed = new Set();
    }
  }

  /** Whether all that a name stands for has had the unchanged request: its group, or each of its deployments. */
  isSpent(name: string): boolean {
    const group = this.#directory.resolve(name) ?? name;
    const identity = this.#identity(name, group);
    if (this.#entered.some((entered) => this.#identity(entered.name, entered.group) === identity)) return true;
    const deployments = this.#directory.deployments(group);
    return (
      deployments.length > 0 &&
      deployments.every((deployment) => !isPattern(deployment) && this.#failedUnchanged.has(deployment.id))
    );
  }

  /** A group by any of its names; each model that a pattern fits is one of its own. */
  #identity(name: string, group: string): string {
    const pattern = this.#directory.deployments(group).find(isPattern);
    return pattern === undefined ? group : `${group} ${this.#directory.concrete(pattern, name).model}`;
  }

  #isPattern(id: string): boolean {
    return this.#directory.deployments(id).some(isPattern);
  }
}
