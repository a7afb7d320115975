/** The worker's end of the line to its supervisor. */
import { AggregatorRegistry, type Registry } from 'prom-client';
import type { CacheSiblings, ForgetAnswers } from '../domain/answer-cache.ts';
import { type FromWorker, readFromSupervisor } from './messages.ts';

const answerTimeoutMs = 3_000;

export class WorkerLink implements CacheSiblings {
  readonly #waiting = new Map<number, (text: string) => void>();
  #next = 0;
  #registry: Registry | undefined;
  #forget: ForgetAnswers | undefined;

  /** @param onDrain called when the supervisor asks for it, and when the supervisor is gone. */
  constructor(onDrain: () => void) {
    process.on('message', (raw: unknown) => {
      const message = readFromSupervisor(raw);
      if (message?.kind === 'drain') onDrain();
      else if (message?.kind === 'report-metrics') void this.#report(message.id);
      else if (message?.kind === 'metrics-text') this.#waiting.get(message.id)?.(message.text);
      else if (message?.kind === 'cache-removed') this.#forget?.(message.keys);
    });
    process.on('disconnect', onDrain);
  }

  send(message: FromWorker): void {
    if (process.connected) process.send?.(message);
  }

  removed(keys: readonly string[] | undefined): void {
    this.send({ kind: 'cache-removed', ...(keys === undefined ? {} : { keys: [...keys] }) });
  }

  onRemoved(forget: ForgetAnswers): void {
    this.#forget = forget;
  }

  /** Metrics of all workers together; of this one alone when the supervisor does not answer in time. */
  async metrics(registry: Registry): Promise<{ contentType: string; body: string }> {
    this.#registry = registry;
    const id = ++this.#next;
    const text = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), answerTimeoutMs);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.send({ kind: 'metrics-wanted', id });
    });
    this.#waiting.delete(id);
    return { contentType: registry.contentType, body: text ?? (await registry.metrics()) };
  }

  /** The registry that other workers' scrapes read too. */
  publish(registry: Registry): void {
    this.#registry = registry;
  }

  async #report(id: number): Promise<void> {
    this.send({
      kind: 'metrics-report',
      id,
      metrics: (await this.#registry?.getMetricsAsJSON())?.map((metric) => ({ ...metric })) ?? [],
    });
  }
}

/** Text of several processes' metrics as one. */
export const aggregate = (reports: readonly (readonly object[])[]): Promise<string> =>
  AggregatorRegistry.aggregate(reports.map((report) => [...report])).metrics();
