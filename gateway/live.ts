/**
 * Which generation requests begin with. A request runs to its end in the generation it began in; one that was replaced
 * is let go when its last request has ended.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Generation } from './generation.ts';

const lookEveryMs = 250;

export class Live {
  #current: Generation | undefined;
  readonly #replaced = new Set<Generation>();
  #timer: NodeJS.Timeout | undefined;

  /** For the one listener of the process. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (this.#current === undefined) response.writeHead(503).end();
    else this.#current.handle(request, response);
  };

  /** Undefined before the first. */
  get current(): Generation | undefined {
    return this.#current;
  }

  /** Model requests that run, those of replaced generations included. */
  get inFlight(): number {
    let sum = this.#current?.inFlight.count ?? 0;
    for (const { inFlight } of this.#replaced) sum += inFlight.count;
    return sum;
  }

  become(next: Generation): void {
    if (this.#current !== undefined) this.#replaced.add(this.#current);
    this.#current = next;
    this.#look();
  }

  abortAll(reason: Error): void {
    this.#current?.inFlight.abortAll(reason);
    for (const { inFlight } of this.#replaced) inFlight.abortAll(reason);
  }

  /** Call after the last request. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const all = [...this.#replaced, ...(this.#current === undefined ? [] : [this.#current])];
    this.#replaced.clear();
    for (const generation of all) await generation.close(undefined);
  }

  /** Requests other than those for models hold nothing that is let go here. */
  #look(): void {
    for (const generation of this.#replaced) {
      if (generation.inFlight.count > 0) continue;
      this.#replaced.delete(generation);
      void generation.close(this.#current);
    }
    if (this.#replaced.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), lookEveryMs).unref();
  }
}
