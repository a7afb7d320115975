/** `holdfast region ready`: could each standby take over now? Once, or again and again as a metric. */
import { rename, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { Platform } from '../../lib/platform/platform.ts';
import { readinessPolicy } from '../../runbooks/aws/policy.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import { certificateCheck } from '../../runbooks/region/certificate.ts';
import { type RegionPage, readPage } from '../../runbooks/region/page.ts';
import { type RegionReadiness, readyChecks, readyMetrics } from '../../runbooks/region/ready.ts';
import { explained } from '../runbook/command-line.ts';
import type { Host, OpenedWorld } from '../runbook/host.ts';
import { bucketsOf } from '../runbook/open-world.ts';
import { addressOf, answered, inWorld, namesOf, platformOf, type RegionOptions, type Unanswered } from './options.ts';

export interface ReadyOptions extends RegionOptions {
  /** Seconds from one look to the next; undefined = look once. */
  readonly watch?: number;
  /** Serve the metrics on this port of all addresses. */
  readonly listen?: number;
  /** Write the metrics into this file, for the textfile collector of the node exporter. */
  readonly textfile?: string;
  /** Put one metric a standby into CloudWatch. */
  readonly cloudwatch?: true;
}

/** @returns 0 when every standby could take over now, 1 when one could not, or it is not known; of a watch, when it ended. */
export async function regionReady(host: Host, given: ReadyOptions): Promise<number> {
  return explained(host, async () => {
    const platform = await platformOf(host);
    const opened = await host.openWorld(given.world, 'looks');
    const options = inWorld(given, opened);
    const published = new Published(host, opened, options);
    try {
      await published.open();
      let isReady = false;
      for (;;) {
        const results = await look(host, opened, platform, options);
        isReady = results.every(({ checks }) => checks.every(({ is }) => is === 'ok'));
        await published.publish(results);
        if (options.watch === undefined) return isReady ? 0 : 1;
        await host.clock.sleep(options.watch * 1000, host.signal).catch((error: unknown) => {
          // The one way in which a watch ends.
          if (!host.signal.aborted) throw error;
        });
        if (host.signal.aborted) return isReady ? 0 : 1;
      }
    } finally {
      await published.close();
      await opened.close();
    }
  });
}

export function showPolicy(host: Host): Promise<number> {
  return explained(host, async () => {
    const platform = await platformOf(host);
    const policy = readinessPolicy(platform, { ...bucketsOf(platform), journals: [] });
    host.terminal.write(`${JSON.stringify(policy, null, 2)}\n`);
    return 0;
  });
}

/** A look that hangs must not silence the watch: what has not answered by then is told as not known. */
const longestLookMs = 60_000;

async function look(
  host: Host,
  opened: OpenedWorld,
  platform: Platform,
  options: ReadyOptions,
): Promise<readonly RegionReadiness[]> {
  const signal = AbortSignal.any([host.signal, AbortSignal.timeout(longestLookMs)]);
  const { claims, capacity } = opened.world;
  const reading = await answered(() => claims.read(signal));
  const claim = 'because' in reading ? undefined : reading.agreed;
  const page = (region: string) => answered(() => readPage(addressOf(platform, region, options), signal));
  const writer: RegionPage | Unanswered =
    claim === undefined ? { because: 'there is no claim that can be believed' } : await page(claim.writer);
  const standbys = namesOf(platform, options).filter((region) => region !== (claim?.writer ?? platform.primary.region));
  return Promise.all(
    standbys.map(async (region) => {
      const more = await answered(async () => [
        ...(await certificateCheck(addressOf(platform, region, options), signal)),
        ...((await opened.readiness?.(region, claim?.writer, signal)) ?? []),
      ]);
      return {
        region,
        checks: [
          ...readyChecks(
            {
              standby: await page(region),
              writer,
              capacity: await answered(() => capacity.read(region, signal)),
              isCandidate: claim?.candidates.includes(region) === true,
            },
            { maxLagSeconds: platform.tier.rpoSeconds },
          ),
          ...('because' in more ? [{ check: 'answers', is: 'unknown', note: more.because } as const] : more),
        ],
      };
    }),
  );
}

/** Where the results of a look go. */
class Published {
  readonly #host: Host;
  readonly #opened: OpenedWorld;
  readonly #options: ReadyOptions;
  #server: Server | undefined;
  #metrics = '';

  constructor(host: Host, opened: OpenedWorld, options: ReadyOptions) {
    this.#host = host;
    this.#opened = opened;
    this.#options = options;
  }

  async open(): Promise<void> {
    const { listen } = this.#options;
    if (listen === undefined) return;
    const server = createServer((request, response) => {
      const isKnown = request.url === '/metrics' && this.#metrics !== '';
      response.writeHead(isKnown ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(isKnown ? this.#metrics : '');
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(listen, resolve));
    this.#server = server;
  }

  async publish(results: readonly RegionReadiness[]): Promise<void> {
    const { json, metrics, textfile, cloudwatch } = this.#options;
    const { terminal, clock, signal } = this.#host;
    this.#metrics = readyMetrics(results, clock.date());
    if (json === true) terminal.write(`${JSON.stringify(results)}\n`);
    else if (metrics === true) terminal.write(this.#metrics);
    else this.#say(results);
    await this.#orTold(async () => {
      if (textfile === undefined) return;
      // The collector must never read half of it.
      await writeFile(`${textfile}.new`, this.#metrics);
      await rename(`${textfile}.new`, textfile);
    });
    await this.#orTold(async () => {
      if (cloudwatch === true) await this.#opened.publishReadiness?.(results, signal);
    });
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** A watch goes on: the next look publishes anew, and silence is seen by whoever waits for it. */
  async #orTold(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#options.watch === undefined) throw error;
      this.#host.terminal.writeError(`${messageOf(error)}\n`);
    }
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
