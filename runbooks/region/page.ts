/** What a region's gateways say of themselves: their page `/health/region`, and their version. */
import { z } from 'zod';
import { healthPaths } from '../../gateway/contract.ts';

const pageSchema = z.object({
  region: z.string().nullable(),
  standing: z.string().nullable(),
  writer: z.string().nullish(),
  epoch: z.number().nullish(),
  phase: z.string().nullish(),
  lease_remaining_ms: z.number().nullish(),
  replay_lag_ms: z.number().nullish(),
  candidates: z.array(z.string()).nullish(),
  faults: z.array(z.string()).default([]),
});
const readinessSchema = z.object({
  status: z.string(),
  holdfast_version: z.string(),
  image: z.string().nullish(),
  db: z.string(),
  schema_version: z.string().nullish(),
  config_version: z.number().nullish(),
});

export interface RegionPage {
  readonly standing: string;
  readonly writer: string | undefined;
  readonly epoch: number | undefined;
  readonly replayLagSeconds: number | undefined;
  readonly faults: readonly string[];
  readonly version: string;
  /** Name and digest, or tag, of what it runs; undefined = it does not say. */
  readonly image: string | undefined;
  /** Newest migration of its database; undefined = it does not say. */
  readonly schemaVersion: string | undefined;
  /** Version of the stored configuration that is live; undefined = it does not say. */
  readonly configVersion: number | undefined;
  readonly status: string;
  readonly database: string;
}

const timeoutMs = 5_000;

/** @throws when the region does not answer in time, or in another shape. */
export async function readPage(address: string, signal: AbortSignal): Promise<RegionPage> {
  const ask = async (path: string): Promise<unknown> => {
    const answer = await fetch(new URL(path, address), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
    return answer.json();
  };
  const page = pageSchema.parse(await ask(healthPaths.region));
  const readiness = readinessSchema.parse(await ask(healthPaths.readiness));
  return {
    standing: page.standing ?? 'the only region',
    writer: page.writer ?? undefined,
    epoch: page.epoch ?? undefined,
    replayLagSeconds: typeof page.replay_lag_ms === 'number' ? page.replay_lag_ms / 1000 : undefined,
    faults: page.faults,
    version: readiness.holdfast_version,
    image: readiness.image ?? undefined,
    schemaVersion: readiness.schema_version ?? undefined,
    configVersion: readiness.config_version ?? undefined,
    status: readiness.status,
    database: readiness.db,
  };
}
