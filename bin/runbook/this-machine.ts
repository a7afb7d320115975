/** The machine that the operator sits at. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { openS3 } from '../../gateway/region/s3-bucket.ts';
import { type Evidence, evidenceFolder } from '../../lib/platform/evidence.ts';
import { bucketName } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { S3Journals } from '../../runbooks/aws/s3-journal.ts';
import { evidenceFile } from '../../runbooks/books/evidence.ts';
import { FileJournals } from '../../runbooks/engine/file-journal.ts';
import { loadPlatform } from '../platform.ts';
import { drillsFrom } from './drills.ts';
import { type Host, type JournalPlaces, type NamedJournals, UsageError } from './host.ts';
import { openWorld } from './open-world.ts';

/** Runs of the lab, and rehearsed failures. */
const localFolder = '.holdfast/runs';

export async function thisMachine(): Promise<Host> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => stop.abort(new Error('stopped by the operator')));
  }
  let known: Promise<Platform | undefined> | undefined;
  const platform = (): Promise<Platform | undefined> => (known ??= loadPlatform());
  const host: Host = {
    operator: `${userName()}@${hostname()}`,
    signal: stop.signal,
    platform,
    openWorld: async (name, use) => {
      const described = await platform();
      if (described === undefined) throw new UsageError('holdfast.config.ts has faults');
      return openWorld(name, described, use, drillsFrom(host));
    },
    places: placesOf(platform),
    keepEvidence: (evidence) => keepEvidenceIn(evidenceFolder, evidence),
    newRunId: () =>
      `r-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}-${randomBytes(2).toString('hex')}`
        .replace('T', '-')
        .toLowerCase(),
    newSession: () => randomUUID(),
    clock: {
      date: () => new Date(),
      now: () => performance.now(),
      sleep: async (milliseconds, signal) => {
        try {
          await sleep(milliseconds, undefined, { signal });
        } catch (error) {
          signal.throwIfAborted();
          throw error;
        }
      },
    },
    terminal: {
      isInteractive: process.stdin.isTTY && process.stdout.isTTY,
      columns: process.stdout.columns ?? 80,
      write: (text) => void process.stdout.write(text),
      writeError: (text) => void process.stderr.write(text),
      ask: async (question, signal) => {
        const lines = createInterface({ input: process.stdin, output: process.stdout });
        try {
          return await lines.question(question, { signal });
        } finally {
          lines.close();
        }
      },
    },
  };
  return host;
}

/** A container may run as a user that its image does not name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    if (error instanceof Error && error.name === 'SystemError') return `user ${process.getuid?.() ?? 'unknown'}`;
    throw error;
  }
}

/** @param folder made if it is not there. @returns the path of the file. */
export async function keepEvidenceIn(folder: string, evidence: Evidence): Promise<string> {
  const { name, text } = evidenceFile(evidence);
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

function placesOf(platform: () => Promise<Platform | undefined>): JournalPlaces {
  const bucketOf = async (survivor: string | undefined): Promise<NamedJournals | undefined> => {
    const known = await platform();
    const region = known?.regions.find((one) => one.region === survivor);
    if (known === undefined || region === undefined) return undefined;
    return journalsAt(`s3://${bucketName(known, region, 'journal')}/runs?region=${region.region}`);
  };
  return {
    forNewRun: async (place, world, survivor) => {
      if (place !== undefined) return journalsAt(place);
      if (world === 'lab') return journalsAt(localFolder);
      const found = await bucketOf(survivor);
      if (found !== undefined) return found;
      throw new UsageError('Where shall the journal be? Name it with --journal, in a region that survives the run');
    },
    toSearch: async (place) => {
      if (place !== undefined) return [journalsAt(place)];
      const known = await platform();
      const buckets = await Promise.all((known?.regions ?? []).map(({ region }) => bucketOf(region)));
      return [journalsAt(localFolder), ...buckets.flatMap((found) => found ?? [])];
    },
  };
}

/** @throws UsageError */
export function journalsAt(place: string): NamedJournals {
  if (!place.startsWith('s3://')) return { name: place, journals: new FileJournals(place) };
  const { hostname: bucket, pathname, searchParams } = new URL(place);
  const region = searchParams.get('region') ?? process.env['AWS_REGION'];
  if (region === undefined) throw new UsageError(`${place}: name the region of the bucket, ?region=us-west-2`);
  const endpoint = searchParams.get('endpoint') ?? undefined;
  const client = openS3({ region, ...(endpoint === undefined ? {} : { endpoint }) });
  const prefix = pathname.replace(/^\//, '').replace(/([^/])$/, '$1/');
  return { name: place, journals: new S3Journals({ client, bucket, prefix }) };
}
