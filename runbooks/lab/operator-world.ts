/** The lab as an operator of another process sees it: claims, databases, traffic and gateways over their own protocols. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ClaimStore } from '../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../gateway/region/s3-bucket.ts';
import type { RegionWorld } from '../books/region-world.ts';
import type { World } from '../books/world.ts';
import { verify } from '../verify/verify.ts';
import { takeoverName } from './lab-traffic.ts';
import type { LabServices } from './lab-verbs.ts';
import { labDatabase } from './region-database.ts';

export const labMapSchema = z.object({
  stores: z.array(z.url()).min(1),
  /** `address` = where clients come in. */
  regions: z.record(z.string(), z.object({ operatorUrl: z.string(), address: z.url() })),
  key: z.string(),
  model: z.string(),
});
/** Where everything of a lab is, for somebody outside of both regions. */
export type LabMap = z.output<typeof labMapSchema>;

const patienceMs = 2_000;

type OwnWays = Omit<RegionWorld, 'capacity'>;

/** What an operator reaches by himself; the clients that he has opened are closed with `close`. */
export function operatorWays(map: LabMap): OwnWays & { close(): void } {
  const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
  const clients = map.stores.map((endpoint) => openS3({ region: 'lab', endpoint, credentials }));
  const buckets = clients.map((client, index) => new S3ClaimBucket(client, `claims-${index}`, 'claim.json'));
  const regionOf = (name: string) => {
    const region = map.regions[name];
    if (region === undefined) {
      throw new Error(`the lab has no region ${name}; it has ${Object.keys(map.regions).join(' and ')}`);
    }
    return region;
  };
  const takeoverUrl = (region: string): string => `${map.stores[0]}/${takeoverName(region)}`;
  const bounded = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  return {
    claims: new ClaimStore(buckets),
    database: (name) => labDatabase(() => regionOf(name).operatorUrl),
    traffic: {
      takeover: async (region, signal) => {
        const answer = await fetch(takeoverUrl(region), { signal: bounded(signal) });
        if (!answer.ok && answer.status !== 404) throw new Error(`the object store answered ${answer.status}`);
        return answer.ok ? answer.text() : undefined;
      },
      takeOver: async (region, runId, _epoch, signal) =>
        void (await fetch(takeoverUrl(region), { method: 'PUT', body: runId, signal: bounded(signal) })),
      giveBack: async (region, signal) =>
        void (await fetch(takeoverUrl(region), { method: 'DELETE', signal: bounded(signal) })),
    },
    verify: (region, write, signal) =>
      verify({
        url: regionOf(region).address,
        key: map.key,
        model: map.model,
        embeddingModel: map.model,
        write,
        timeoutSeconds: 10,
        spendPatienceSeconds: 10,
        signal,
      }),
    wait: async (seconds, signal) => {
      try {
        await sleep(seconds * 1000, undefined, { signal });
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      }
    },
    close: () => {
      for (const client of clients) client.destroy();
    },
  };
}

/** Why the lab has no part in a book. */
export const labRefusals = {
  upgrade: 'the lab has one version of PostgreSQL, and no cluster',
  drill: '`npx holdfast drill` has a lab of its own, with clients that keep a ledger',
} as const;

/** Every verb; those of books that the lab refuses reject with the reason. */
export function operatorWorld(ways: OwnWays, services: LabServices): World {
  const refused = (book: keyof typeof labRefusals) => (): Promise<never> =>
    Promise.reject(new Error(labRefusals[book]));
  const [upgrade, drill] = [refused('upgrade'), refused('drill')];
  return {
    ...ways,
    ...services,
    upgrades: { view: upgrade, begin: upgrade, obstacles: upgrade, snapshot: upgrade, takeSnapshot: upgrade },
    drill: {
      conditions: drill,
      load: drill,
      startLoad: drill,
      stopLoad: drill,
      fault: drill,
      break: drill,
      mend: drill,
      measure: drill,
    },
  };
}
