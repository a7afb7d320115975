/** Where the results of a look go: people, Prometheus by address or file, and the alarms of the world. */
import { rename, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { messageOf } from '../../runbooks/engine/look.ts';
import { type RegionReadiness, readyMetrics } from '../../runbooks/region/ready.ts';
import { type Verdicts, verdictChanges, verdictLine } from '../../runbooks/region/verdict.ts';
import type { Host } from '../runbook/host.ts';
import type { ReadyOptions } from './ready.ts';

/** One look at the regions. */
export interface Look {
  /** Of those that do not write. */
  readonly results: readonly RegionReadiness[];
  /** The one that writes, if it was looked at. */
  readonly writes: string | undefined;
}

export interface PublishedPlace {
  /** Puts readiness where the world's own alarms look; absent = it has none. */
  readonly publishReadiness?: (results: readonly RegionReadiness[], signal: AbortSignal) => Promise<void>;
  /** Longest that a look may take, milliseconds. */
  readonly longestLookMs: number;
}

export class Published {
  readonly #host: Host;
  readonly #place: PublishedPlace;
  readonly #options: ReadyOptions;
  #server: Server | undefined;
  #metrics = '';
  #verdicts: Verdicts = new Map();
  /** When the last look ended, or the first began. */
  #lookedAtMs: number;

  constructor(host: Host, place: PublishedPlace, options: ReadyOptions) {
    this.#host = host;
    this.#place = place;
    this.#options = options;
    this.#lookedAtMs = host.clock.now();
  }

  async open(): Promise<void> {
    const { listen } = this.#options;
    if (listen === undefined) return;
    const server = createServer((request, response) => {
      const { status, text } = this.#page(request.url ?? '');
      response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4' }).end(text);
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(listen, resolve));
    this.#server = server;
  }

  async publish({ results, writes }: Look): Promise<void> {
    const { json, metrics, textfile, cloudwatch, inCluster } = this.#options;
    const { terminal, clock, signal } = this.#host;
    this.#metrics = readyMetrics(results, writes, clock.date());
    this.#lookedAtMs = clock.now();
    if (inCluster !== undefined) this.#tellChanges({ results, writes });
    else if (json === true) terminal.write(`${JSON.stringify(results)}\n`);
    else if (metrics === true) terminal.write(this.#metrics);
    else this.#say(results);
    await this.#orTold(async () => {
      if (textfile === undefined) return;
      // The collector must never read half of it.
      await writeFile(`${textfile}.new`, this.#metrics);
      await rename(`${textfile}.new`, textfile);
    });
    await this.#orTold(async () => {
      if (cloudwatch !== true) return;
      // The alarm of the region that writes hears, too, that somebody looks.
      const all = writes === undefined ? results : [...results, { region: writes, checks: [] }];
      await this.#place.publishReadiness?.(all, signal);
    });
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #page(url: string): { readonly status: number; readonly text: string } {
    if (url === '/metrics' && this.#metrics !== '') return { status: 200, text: this.#metrics };
    if (url !== '/health') return { status: 404, text: '' };
    // Two looks may be late; then nobody looks any more, and a new start is better.
    const { watch = 0 } = this.#options;
    const patienceMs = 2 * (watch * 1000 + this.#place.longestLookMs);
    const silentMs = this.#host.clock.now() - this.#lookedAtMs;
    if (silentMs <= patienceMs) return { status: 200, text: 'looking\n' };
    return { status: 503, text: `no look has ended for ${Math.round(silentMs / 1000)} s\n` };
  }

  /** A watch goes on: the next look publishes anew, and silence is seen by whoever waits for it. */
  async #orTold(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { watch, inCluster } = this.#options;
      if (watch === undefined) throw error;
      const { terminal, clock, signal } = this.#host;
      // Whoever stops a watch breaks off what it was about to tell.
      if (signal.aborted) return;
      const fault = { level: 'error', time: clock.date().getTime(), msg: messageOf(error) };
      terminal.writeError(`${inCluster === undefined ? fault.msg : JSON.stringify(fault)}\n`);
    }
  }

  #tellChanges({ results, writes }: Look): void {
    const { terminal, clock } = this.#host;
    const { verdicts, changes } = verdictChanges(this.#verdicts, results, writes);
    this.#verdicts = verdicts;
    for (const change of changes) terminal.write(`${verdictLine(change, clock.date())}\n`);
  }

  #say(results: readonly RegionReadiness[]): void {
    const { terminal, clock } = this.#host;
    if (this.#options.watch !== undefined) terminal.write(`${clock.date().toISOString()}\n`);
    for (const { region, checks } of results) {
      for (const { check, is, note } of checks) {
        terminal.write(`  ${region.padEnd(14)}${is.padEnd(9)}${check.padEnd(11)}${note}\n`);
      }
    }
  }
}
