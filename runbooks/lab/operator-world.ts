/** The lab as an operator of another process sees it: claims, databases, traffic and gateways over their own protocols. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { healthPaths } from '../../gateway/contract.ts';
import { ClaimStore } from '../../gateway/region/claim-store.ts';
import { openS3, S3ClaimBucket } from '../../gateway/region/s3-bucket.ts';
import type { RegionWorld } from '../books/region-world.ts';
import { verify } from '../verify/verify.ts';
import { labDatabase } from './region-database.ts';

export const labMapSchema = z.object({
  stores: z.array(z.url()).min(1),
  regions: z.record(z.string(), z.object({ operatorUrl: z.string(), gateways: z.array(z.url()).min(1) })),
  key: z.string(),
  model: z.string(),
});
/** Where everything of a lab is. */
export type LabMap = z.output<typeof labMapSchema>;

const patienceMs = 2_000;

export function operatorWorld(map: LabMap): RegionWorld {
  const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
  const buckets = map.stores.map(
    (endpoint, index) =>
      new S3ClaimBucket(openS3({ region: 'lab', endpoint, credentials }), `claims-${index}`, 'claim.json'),
  );
  const regionOf = (name: string) => {
    const region = map.regions[name];
    if (region === undefined) throw new Error(`the lab has no region ${name}`);
    return region;
  };
  const takeoverUrl = (region: string): string => `${map.stores[0]}/takeover-${region}/takeover.json`;
  const bounded = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  return {
    claims: new ClaimStore(buckets),
    database: (name) => labDatabase(() => regionOf(name).operatorUrl),
    traffic: {
      takeover: async (region, signal) => {
        const answer = await fetch(takeoverUrl(region), { signal: bounded(signal) });
        return answer.ok ? answer.text() : undefined;
      },
      takeOver: async (region, runId, _epoch, signal) =>
        void (await fetch(takeoverUrl(region), { method: 'PUT', body: runId, signal: bounded(signal) })),
      giveBack: async (region, signal) =>
        void (await fetch(takeoverUrl(region), { method: 'DELETE', signal: bounded(signal) })),
    },
    capacity: {
      read: async (region, signal) => {
        const { gateways } = regionOf(region);
        const ready = await Promise.all(
          gateways.map((url) =>
            fetch(new URL(healthPaths.ready, url), { signal: bounded(signal) }).then(
              ({ ok }) => ok,
              () => false,
            ),
          ),
        );
        return { ready: ready.filter(Boolean).length, needed: gateways.length };
      },
      raise: () => Promise.reject(new Error('gateways of the lab are started by the process that has it')),
    },
    verify: (region, write, signal) =>
      verify({
        url: regionOf(region).gateways[0] ?? '',
        key: map.key,
        model: map.model,
        embeddingModel: map.model,
        write,
        timeoutSeconds: 10,
        spendPatienceSeconds: 10,
        signal,
      }),
    wait: (seconds, signal) => sleep(seconds * 1000, undefined, { signal }),
  };
}
