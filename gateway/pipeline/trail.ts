/** Where a request has been: the groups it entered and the deployments that failed it. */
import type { Deployment } from '../domain/deployment.ts';
import type { RequestedFallback } from '../domain/request.ts';
import { isPattern, type ModelDirectory } from '../routing/directory.ts';

export class Trail {
  /** As they were named, in the order they were entered. */
  readonly groups: string[];
  /** Fallbacks of the request that were taken, of those that change it. */
  readonly taken = new Set<RequestedFallback>();
  /** Model group that is being tried, and the name by which it was entered. */
  current: string;
  asked: string;
  /** Deployments that failed what is being asked now. */
  failed = new Set<string>();
  readonly #directory: ModelDirectory;
  readonly #entered = new Set<string>();
  /** Deployments that failed the request as the client sent it. */
  #failedUnchanged = this.failed;

  constructor(directory: ModelDirectory, group: string, asked: string) {
    this.#directory = directory;
    this.groups = [group];
    this.current = group;
    this.asked = asked;
    this.#entered.add(this.#identity(asked, group));
  }

  hasFailed(deployment: Deployment): void {
    this.failed.add(deployment.id);
  }

  enter(to: RequestedFallback): void {
    this.groups.push(to.model);
    this.asked = to.model;
    this.current = this.#directory.resolve(to.model) ?? to.model;
    if (to.members === undefined) {
      this.#entered.add(this.#identity(to.model, this.current));
      // A pattern's deployment stands for many models; that one of them failed says nothing about the others.
      this.#failedUnchanged = new Set([...this.#failedUnchanged].filter((id) => !this.#isPattern(id)));
      this.failed = this.#failedUnchanged;
    } else {
      this.taken.add(to);
      this.failed = new Set();
    }
  }

  /** Whether all that a name stands for has had the unchanged request: its group, or each of its deployments. */
  isSpent(name: string): boolean {
    const group = this.#directory.resolve(name) ?? name;
    if (this.#entered.has(this.#identity(name, group))) return true;
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
