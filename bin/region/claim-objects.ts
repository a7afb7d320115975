/** `holdfast region init|detach`: the claim's objects themselves, before there is a writer and when a region is lost for days. */
import { ClaimStore } from '../../gateway/region/claim-store.ts';
import { begun, withoutCandidate } from '../../gateway/region/claim-upkeep.ts';
import { openS3, S3ClaimBucket } from '../../gateway/region/s3-bucket.ts';
import { openPool } from '../../gateway/stores/postgres.ts';
import { RegionRows } from '../../gateway/stores/region.ts';
import { onlyRegion } from '../../gateway/stores/write-transaction.ts';
import { explained } from '../runbook/command-line.ts';
import { type Host, UsageError } from '../runbook/host.ts';
import { bucketsOf } from './buckets.ts';

export interface ClaimObjectOptions {
  /** `BUCKET@REGION,...`; else HOLDFAST_CLAIM_BUCKETS, else those of holdfast.config.ts. */
  readonly buckets?: string;
  /** Another server that speaks S3, one for all or one for each bucket; else HOLDFAST_CLAIM_ENDPOINT. */
  readonly endpoint?: string;
  readonly key?: string;
  /** Of the writer; else HOLDFAST_DATABASE_URL_REGION, else DATABASE_URL. */
  readonly database?: string;
}

export interface InitOptions extends ClaimObjectOptions {
  /** Replicas that stand already. */
  readonly candidate?: readonly string[];
  readonly ttl: number;
}

export interface DetachOptions extends ClaimObjectOptions {
  /** The name, typed beforehand. */
  readonly confirm?: string;
  /** The writer goes on without a claim. */
  readonly withoutClaim?: true;
}

const patienceMs = 20_000;
/** A precondition does not hold: nothing was changed. */
const refused = 3;

/** Puts the first claim where there is none. Repeating it changes nothing. */
export async function initRegion(host: Host, region: string, options: InitOptions): Promise<number> {
  return explained(host, () =>
    withClaim(host, region, options, async ({ claims, rows, signal }) => {
      const { terminal } = host;
      const reading = await claims.read(signal);
      if (reading.unheard.length > 0) {
        terminal.writeError(
          `Nothing was changed: every bucket must answer, and ${reading.unheard.map(({ bucket, because }) => `${bucket} does not (${because})`).join(', ')}.\n`,
        );
        return refused;
      }
      const { row, isPrimary } = await rows.view();
      const named = row.writer === onlyRegion.region ? { ...row, writer: region } : row;
      const wanted = begun(reading.newest, { isPrimary, row: named }, region, options.candidate ?? [], options.ttl);
      if (wanted.is === 'refuse') {
        terminal.writeError(`Nothing was changed: ${wanted.because}.\n`);
        return refused;
      }
      await rows.nameFirst(region);
      const isThere = reading.heard.every(({ found }) => found.claim !== undefined);
      const result = isThere ? ({ is: 'done' } as const) : await claims.swap(reading, wanted.claim, signal);
      // The keeper may have renewed meanwhile: what counts is what lies there now.
      const after = await claims.read(signal);
      const stands = after.heard.filter(
        ({ found }) => found.claim?.epoch === wanted.claim.epoch && found.claim.writer === region,
      );
      if (stands.length < reading.heard.length) {
        const because = result.is === 'unknown' ? result.because : 'another claim was written at the same time';
        terminal.writeError(`Not every bucket has the claim: ${because}. Run it again.\n`);
        return refused;
      }
      const { epoch, candidates, ttlSeconds } = after.newest ?? wanted.claim;
      terminal.write(
        `${isThere ? 'The claim is there already' : 'The claim is made'}: epoch ${epoch}, writer ${region}, candidates ${candidates.join(', ') || 'none'}, renewed within ${ttlSeconds} s.\n`,
      );
      return 0;
    }),
  );
}

/** Nothing waits for a region any more that is lost for days. */
export async function detachRegion(host: Host, region: string, options: DetachOptions): Promise<number> {
  return explained(host, () =>
    withClaim(host, undefined, options, async ({ claims, rows, signal }) => {
      const reading = await claims.read(signal);
      const { agreed } = reading;
      if (agreed === undefined) return withoutClaim(host, region, options, reading.unheard, rows);
      if (agreed.writer === region) {
        throw new UsageError(
          `${region} is the writer: move the right to write first (region-failover, region-switchover)`,
        );
      }
      const next = withoutCandidate(agreed, region);
      if (next === undefined) {
        host.terminal.write(`${region} is no candidate: nothing waits for it.\n`);
        return 0;
      }
      await typed(host, region, options.confirm, 'No failover will promote it, and spend is forgotten without it');
      for (let claim = next; ; ) {
        const found = await claims.read(signal);
        const result = await claims.swap(found, claim, signal);
        if (result.is === 'done') break;
        if (result.is === 'unknown')
          throw new Error(`nobody knows whether it was written: ${result.because}; run it again`);
        // The keeper renewed meanwhile.
        const again = result.reading.agreed && withoutCandidate(result.reading.agreed, region);
        if (again === undefined) break;
        claim = again;
      }
      host.terminal.write(`${region} is no candidate any more; its rebuild as a replica makes it one again.\n`);
      return 0;
    }),
  );
}

async function withoutClaim(
  host: Host,
  region: string,
  options: DetachOptions,
  unheard: readonly { readonly bucket: string; readonly because: string }[],
  rows: RegionRows,
): Promise<number> {
  const { row, isPrimary } = await rows.view();
  const silent = unheard.map(({ bucket, because }) => `${bucket}: ${because}`).join('; ');
  if (options.withoutClaim !== true) {
    host.terminal.writeError(
      `Nothing was changed: no majority of the claim's buckets answers (${silent}). With --without-claim ${row.writer} writes on its own row alone; then two regions can write, if somebody promotes ${region} meanwhile.\n`,
    );
    return refused;
  }
  if (!isPrimary || row.writer === region || row.state !== 'open') {
    host.terminal.writeError(
      `Nothing was changed: this database ${isPrimary ? `is ${row.state}, and its row names ${row.writer}` : 'is a replica'}; name the writer's with --database.\n`,
    );
    return refused;
  }
  await typed(
    host,
    region,
    options.confirm,
    `${row.writer} writes without a claim; nothing keeps ${region} from being promoted beside it`,
  );
  await rows.writeWithoutClaim(row.epoch, row.writer);
  host.terminal.write(
    `${row.writer} writes in epoch ${row.epoch} until its keeper reads the claim again; that attaches ${region} by itself, or shows who has seized it.\n`,
  );
  return 0;
}

async function typed(host: Host, region: string, confirm: string | undefined, what: string): Promise<void> {
  const { terminal } = host;
  const answer =
    confirm ??
    (terminal.isInteractive ? (await terminal.ask(`${what}. Type ${region} to do it: `, host.signal)).trim() : '');
  if (answer !== region)
    throw new UsageError(`Nothing was changed: "${region}" was not typed (or given with --confirm)`);
}

interface Opened {
  readonly claims: ClaimStore;
  readonly rows: RegionRows;
  readonly signal: AbortSignal;
}

async function withClaim(
  host: Host,
  region: string | undefined,
  options: ClaimObjectOptions,
  work: (opened: Opened) => Promise<number>,
): Promise<number> {
  const buckets = await bucketsFor(host, options);
  const endpoints = (options.endpoint ?? process.env['HOLDFAST_CLAIM_ENDPOINT'])?.split(',') ?? [];
  const key = options.key ?? process.env['HOLDFAST_CLAIM_KEY'] ?? 'claim.json';
  const named = region && `HOLDFAST_DATABASE_URL_${region.toUpperCase().replaceAll('-', '_')}`;
  const url = options.database ?? (named && process.env[named]) ?? process.env['DATABASE_URL'];
  if (url === undefined) {
    throw new UsageError(
      `Say how the writer's database is reached: --database, ${named ?? 'HOLDFAST_DATABASE_URL_REGION'} or DATABASE_URL`,
    );
  }
  const clients = buckets.map(({ region: place }, index) => {
    const endpoint = endpoints[index] ?? endpoints[0];
    return openS3({ region: place, ...(endpoint === undefined ? {} : { endpoint }) });
  });
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  try {
    const claims = new ClaimStore(
      buckets.flatMap(({ bucket }, index) => {
        const client = clients[index];
        return client === undefined ? [] : [new S3ClaimBucket(client, bucket, key)];
      }),
    );
    const signal = AbortSignal.any([host.signal, AbortSignal.timeout(patienceMs)]);
    return await work({ claims, rows: new RegionRows(pool), signal });
  } finally {
    for (const client of clients) client.destroy();
    await pool.end();
  }
}

async function bucketsFor(
  host: Host,
  { buckets }: ClaimObjectOptions,
): Promise<readonly { readonly bucket: string; readonly region: string }[]> {
  const stated = buckets ?? process.env['HOLDFAST_CLAIM_BUCKETS'];
  if (stated === undefined) {
    const platform = await host.platform();
    const { claims } = platform === undefined ? { claims: [] } : bucketsOf(platform);
    if (claims.length === 0)
      throw new UsageError('Name the buckets: --buckets BUCKET@REGION, or three with commas in between');
    return claims;
  }
  const named = stated.split(',').map((entry) => {
    const [bucket = '', region = ''] = entry.trim().split('@');
    return { bucket, region };
  });
  if (
    (named.length !== 1 && named.length !== 3) ||
    named.some(({ bucket, region }) => bucket === '' || region === '')
  ) {
    throw new UsageError(`"${stated}" must be BUCKET@REGION, once or three times with commas in between`);
  }
  return named;
}
