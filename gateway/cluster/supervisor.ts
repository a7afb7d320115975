/** Runs gateway processes that share one port: starts them, replaces those that die, drains them together. */
import cluster, { type Worker } from 'node:cluster';
import { youngHeapFlag } from '../contract.ts';
import { type FromSupervisor, readFromWorker } from './messages.ts';
import { aggregate } from './worker-link.ts';

export interface SupervisorOptions {
  readonly count: number;
  /** Module that a worker runs. */
  readonly entry: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Drain deadline of a worker; one that is still there some seconds later is killed. */
  readonly drainSeconds: number;
  readonly onWorkerLost: (what: {
    pid: number | undefined;
    code: number | null;
    signal: string | null;
    restartInMs: number;
  }) => void;
  /** A replacement could not start; it is tried again after a longer wait. */
  readonly onRestartFailed: (error: Error) => void;
}

/** A worker could not start; its message is meant for people. */
export class WorkerFailed extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'WorkerFailed';
    this.exitCode = exitCode;
  }
}

const startTimeoutMs = 30_000;
const metricsTimeoutMs = 2_000;
const firstRestartMs = 100;
const longestRestartMs = 5_000;
/** A worker that lived so long was healthy; its successor starts without a wait. */
const healthyAfterMs = 30_000;
const killAfterDrainSeconds = 15;

interface Collection {
  readonly reports: (readonly object[])[];
  missing: number;
  readonly complete: () => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #workers = new Map<number, Worker>();
  readonly #collections = new Map<number, Collection>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  #nextCollection = 0;
  #leaving = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    cluster.setupPrimary({
      exec: options.entry,
      args: [],
      // Flags may come in pairs (`--conditions a --conditions b`): nothing is left out, and ours is added once.
      execArgv: process.execArgv.includes(youngHeapFlag) ? process.execArgv : [...process.execArgv, youngHeapFlag],
      serialization: 'json',
    });
  }

  /** Process ids of the workers that run now. */
  pids(): number[] {
    return [...this.#workers.values()].flatMap((worker) => worker.process.pid ?? []);
  }

  /**
   * Resolves when every worker accepts requests. One that ends before it does so while another serves already is replaced
   * like any that dies later: it must not take running requests along.
   * @throws WorkerFailed with the first worker's reason when none serves; the others are ended before.
   */
  async start(): Promise<void> {
    let serving = false;
    const startFirst = async (index: number): Promise<void> => {
      try {
        await this.#startWorker(index, 0);
        serving = true;
      } catch (error) {
        if (!serving) throw error;
        this.#options.onRestartFailed(error instanceof Error ? error : new Error(String(error)));
      }
    };
    try {
      await Promise.all(Array.from({ length: this.#options.count }, (_, index) => startFirst(index)));
    } catch (error) {
      this.#leaving = true;
      await this.#endAll('SIGKILL', 5_000);
      throw error;
    }
  }

  /** Lets running requests finish in every worker; resolves when all are gone. */
  async drain(): Promise<void> {
    this.#leaving = true;
    for (const timer of this.#restarts) clearTimeout(timer);
    for (const worker of this.#workers.values()) tell(worker, { kind: 'drain' });
    await this.#endAll(undefined, (this.#options.drainSeconds + killAfterDrainSeconds) * 1000);
  }

  /** Ends every worker at once. */
  async kill(): Promise<void> {
    this.#leaving = true;
    await this.#endAll('SIGKILL', 5_000);
  }

  #startWorker(index: number, failures: number): Promise<void> {
    const worker = cluster.fork({ ...this.#options.environment, HOLDFAST_WORKER: String(index) });
    const startedAt = Date.now();
    this.#workers.set(worker.id, worker);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new WorkerFailed(`a gateway process was not ready within ${startTimeoutMs / 1000} s`, 1));
        worker.process.kill('SIGKILL');
      }, startTimeoutMs);
      worker.on('message', (raw: unknown) => {
        const message = readFromWorker(raw);
        if (message === undefined) return;
        switch (message.kind) {
          case 'ready':
            clearTimeout(timer);
            resolve();
            break;
          case 'failed':
            reject(new WorkerFailed(message.message, message.exitCode));
            break;
          case 'metrics-wanted':
            void this.#collect(worker, message.id);
            break;
          case 'metrics-report':
            this.#take(message.id, message.metrics);
            break;
          case 'cache-removed':
            for (const other of this.#workers.values()) if (other !== worker) tell(other, message);
            break;
        }
      });
      worker.on('exit', (code: number | null, signal: string | null) => {
        clearTimeout(timer);
        this.#workers.delete(worker.id);
        // A worker that ended before it was ready and said nothing; otherwise this settles nothing any more.
        reject(new WorkerFailed(`a gateway process ended before it was ready (${signal ?? `exit code ${code}`})`, 1));
        if (this.#leaving) return;
        const again = Date.now() - startedAt > healthyAfterMs ? 0 : failures + 1;
        this.#restart(index, again, { pid: worker.process.pid, code, signal });
      });
    });
  }

  #restart(
    index: number,
    failures: number,
    lost: { pid: number | undefined; code: number | null; signal: string | null },
  ): void {
    const restartInMs = failures <= 1 ? 0 : Math.min(firstRestartMs * 2 ** (failures - 2), longestRestartMs);
    this.#options.onWorkerLost({ ...lost, restartInMs });
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      if (this.#leaving) return;
      // Its own exit handler tries again; here only its reason is passed on.
      this.#startWorker(index, failures).catch((error: unknown) => {
        if (!this.#leaving) this.#options.onRestartFailed(error instanceof Error ? error : new Error(String(error)));
      });
    }, restartInMs);
    this.#restarts.add(timer);
  }

  async #endAll(signal: NodeJS.Signals | undefined, timeoutMs: number): Promise<void> {
    const exits = [...this.#workers.values()].map(
      (worker) =>
        new Promise<void>((resolve) => {
          worker.once('exit', () => resolve());
          const timer = setTimeout(() => worker.process.kill('SIGKILL'), timeoutMs);
          worker.once('exit', () => clearTimeout(timer));
          if (signal !== undefined) worker.process.kill(signal);
        }),
    );
    await Promise.all(exits);
  }

  async #collect(asker: Worker, id: number): Promise<void> {
    const workers = [...this.#workers.values()].filter((worker) => worker.isConnected());
    const collection = ++this.#nextCollection;
    const reports: (readonly object[])[] = [];
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, metricsTimeoutMs);
      const complete = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#collections.set(collection, { reports, missing: workers.length, complete });
      for (const worker of workers) tell(worker, { kind: 'report-metrics', id: collection });
    });
    this.#collections.delete(collection);
    tell(asker, { kind: 'metrics-text', id, text: await aggregate(reports) });
  }

  #take(id: number, metrics: readonly object[]): void {
    const collection = this.#collections.get(id);
    if (collection === undefined) return;
    collection.reports.push(metrics);
    collection.missing--;
    if (collection.missing === 0) collection.complete();
  }
}

function tell(worker: Worker, message: FromSupervisor): void {
  // A worker that is ending can no longer be told anything; its exit is handled where it is seen.
  if (worker.isConnected()) worker.send(message, (error) => void error);
}
