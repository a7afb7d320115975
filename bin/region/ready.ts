/** `holdfast region ready`: could each standby take over now? Once, or again and again as a metric. */
import type { ClaimStore } from '../../gateway/region/claim-store.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { readinessPolicy } from '../../runbooks/aws/policy.ts';
import type { RegionCapacity } from '../../runbooks/books/region-world.ts';
import { certificateCheck } from '../../runbooks/region/certificate.ts';
import { type RegionPage, readPage } from '../../runbooks/region/page.ts';
import { readyChecks } from '../../runbooks/region/ready.ts';
import { explained } from '../runbook/command-line.ts';
import { type Host, type OpenedWorld, UsageError } from '../runbook/host.ts';
import { bucketsOf } from './buckets.ts';
import { addressOf, answered, inWorld, namesOf, platformOf, type RegionOptions, type Unanswered } from './options.ts';
import { type Look, Published } from './published.ts';

export interface ReadyOptions extends RegionOptions {
  /** Seconds from one look to the next; undefined = look once. */
  readonly watch?: number;
  /** Serve the metrics on this port of all addresses. */
  readonly listen?: number;
  /** Write the metrics into this file, for the textfile collector of the node exporter. */
  readonly textfile?: string;
  /** Put one metric a region into CloudWatch. */
  readonly cloudwatch?: true;
  /** The region of the pod that this runs in: it alone is looked at. Lines of JSON, one for each change. */
  readonly inCluster?: string;
  /** Description of the platform as JSON, in the place of `holdfast.config.ts`; only with `inCluster`. */
  readonly platform?: string;
}

/** What a look asks. */
interface Asked
  extends Pick<OpenedWorld, 'addresses' | 'readiness' | 'capacityInPeace' | 'publishReadiness' | 'close'> {
  readonly world: { readonly claims: Pick<ClaimStore, 'read'>; readonly capacity: Pick<RegionCapacity, 'read'> };
  /** Undefined = all regions. */
  readonly looksAt?: readonly string[];
}

/** @returns 0 when every standby could take over now, 1 when one could not, or it is not known; of a watch, when it ended. */
export async function regionReady(host: Host, given: ReadyOptions): Promise<number> {
  return explained(host, async () => {
    const { platform, opened } = await open(host, given);
    const options = inWorld(given, opened);
    const published = new Published(host, { ...opened, longestLookMs }, options);
    try {
      await published.open();
      let isReady = false;
      for (;;) {
        const seen = await look(host, opened, platform, options);
        // What was still being asked then is not unknown.
        if (options.watch !== undefined && host.signal.aborted) return isReady ? 0 : 1;
        isReady = seen.results.every(({ checks }) => checks.every(({ is }) => is === 'ok'));
        await published.publish(seen);
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

async function open(host: Host, given: ReadyOptions): Promise<{ readonly platform: Platform; readonly opened: Asked }> {
  const { inCluster, platform: file } = given;
  if (inCluster === undefined) {
    if (file !== undefined)
      throw new UsageError('--platform: only with --in-cluster; elsewhere holdfast.config.ts is read');
    return { platform: await platformOf(host), opened: await host.openWorld(given.world, 'looks') };
  }
  if (given.world !== 'aws') throw new UsageError(`--in-cluster: only in the world aws, not in ${given.world}`);
  const { openInCluster, platformIn } = await import('./in-cluster.ts');
  const platform = file === undefined ? await platformOf(host) : await platformIn(file);
  return { platform, opened: openInCluster(platform, inCluster, (region) => addressOf(platform, region, given)) };
}

/** A look that hangs must not silence the watch: what has not answered by then is told as not known. */
const longestLookMs = 60_000;

async function look(host: Host, opened: Asked, platform: Platform, options: ReadyOptions): Promise<Look> {
  const signal = AbortSignal.any([host.signal, AbortSignal.timeout(longestLookMs)]);
  const { claims, capacity } = opened.world;
  // A failover makes the region large enough for everybody; until then it has to be what it is described to be.
  const readPods = opened.capacityInPeace ?? capacity.read.bind(capacity);
  const reading = await answered(() => claims.read(signal));
  const claim = 'because' in reading ? undefined : reading.agreed;
  const page = (region: string) => answered(() => readPage(addressOf(platform, region, options), signal));
  const writersPage: RegionPage | Unanswered =
    claim === undefined ? { because: 'there is no claim that can be believed' } : await page(claim.writer);
  const regions = opened.looksAt ?? namesOf(platform, options);
  // Of itself alone a region does not guess that it writes.
  const writer = claim?.writer ?? (opened.looksAt === undefined ? platform.primary.region : undefined);
  const results = await Promise.all(
    regions
      .filter((region) => region !== writer)
      .map(async (region) => {
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
                writer: writersPage,
                capacity: await answered(() => readPods(region, signal)),
                isCandidate: claim?.candidates.includes(region) === true,
              },
              { maxLagSeconds: platform.tier.rpoSeconds },
            ),
            ...('because' in more ? [{ check: 'answers', is: 'unknown', note: more.because } as const] : more),
          ],
        };
      }),
  );
  return { results, writes: writer !== undefined && regions.includes(writer) ? writer : undefined };
}
