/** The cooldown of every deployment, by its id. Outlives the configuration: a deployment that is out stays out. */
import { type Cooldown, serving } from './cooldown.ts';

export class CooldownBook {
  readonly #states = new Map<string, Cooldown>();

  of(deploymentId: string): Cooldown {
    return this.#states.get(deploymentId) ?? serving;
  }

  set(deploymentId: string, state: Cooldown): void {
    this.#states.set(deploymentId, state);
  }

  /** Forgets deployments that no configuration names any more. */
  keepOnly(deploymentIds: ReadonlySet<string>): void {
    for (const id of this.#states.keys()) if (!deploymentIds.has(id)) this.#states.delete(id);
  }
}
