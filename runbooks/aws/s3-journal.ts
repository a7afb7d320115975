/**
 * A journal in a bucket: one object an event, written only if there is none of that name. It belongs into a region that
 * survives what the run is about. Whoever writes a position first has the run; everybody else learns it before acting.
 */
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { getObject, swapObject } from '../../gateway/region/s3-bucket.ts';
import { eventFileName } from '../engine/file-journal.ts';
import {
  type Journal,
  JournalAway,
  JournalBroken,
  type JournalEvent,
  type Journals,
  PositionTaken,
  parseEvent,
} from '../engine/journal.ts';
import { messageOf } from '../engine/look.ts';

export interface JournalPlace {
  readonly client: S3Client;
  readonly bucket: string;
  /** For example `runs/`; empty = the bucket's root. */
  readonly prefix: string;
}

/** Tries of one read or write before the journal counts as out of reach: throttling and single lost answers are common. */
const tries = 4;
const betweenTriesMs = 250;
/** A bucket that does not answer must end a wait, not prolong an outage. */
const longestCallMs = 5_000;

export class S3Journal implements Journal {
  readonly #place: JournalPlace;
  readonly #folder: string;

  constructor(place: JournalPlace, runId: string) {
    this.#place = place;
    this.#folder = `${place.prefix}${runId}/`;
  }

  async read(): Promise<readonly JournalEvent[]> {
    const names = (await keysUnder(this.#place, this.#folder)).filter((name) => /^\d{6}\.json$/.test(name)).toSorted();
    const missing = names.findIndex((name, position) => name !== eventFileName(position));
    if (missing !== -1) throw new JournalBroken(missing, `the object ${eventFileName(missing)} is missing`);
    return Promise.all(names.map((_, position) => this.#event(position)));
  }

  async append(position: number, event: JournalEvent): Promise<void> {
    const key = this.#keyOf(position);
    const body = `${JSON.stringify(event)}\n`;
    const isWritten = await this.#keep(key, body).catch((error: unknown) => {
      throw new JournalAway(position > 0, messageOf(error));
    });
    if (!isWritten) throw new PositionTaken(position);
  }

  /** @returns false when somebody else has written there. */
  #keep(key: string, body: string): Promise<boolean> {
    const { client, bucket } = this.#place;
    return persistently(async (signal) => {
      if (await swapObject(client, bucket, key, undefined, body, signal)) return true;
      // Ours, perhaps: an answer that was lost may belong to a write that landed. A session writes no event twice alike.
      const found = await getObject(client, bucket, key, signal);
      if (found === undefined) throw new Error('another write to the journal is under way');
      return found !== 'unchanged' && found.body === body;
    });
  }

  async #event(position: number): Promise<JournalEvent> {
    const { client, bucket } = this.#place;
    const found = await persistently((signal) => getObject(client, bucket, this.#keyOf(position), signal));
    if (found === undefined || found === 'unchanged') throw new JournalBroken(position, 'the object is gone');
    return parseEvent(position, found.body);
  }

  #keyOf(position: number): string {
    return `${this.#folder}${eventFileName(position)}`;
  }
}

export class S3Journals implements Journals {
  readonly #place: JournalPlace;

  constructor(place: JournalPlace) {
    this.#place = place;
  }

  of(runId: string): Journal {
    return new S3Journal(this.#place, runId);
  }

  async runs(): Promise<readonly string[]> {
    const first = `/${eventFileName(0)}`;
    const keys = await keysUnder(this.#place, this.#place.prefix);
    return keys.flatMap((key) => (key.endsWith(first) ? [key.slice(0, -first.length)] : [])).toSorted();
  }
}

async function keysUnder({ client, bucket }: JournalPlace, folder: string): Promise<string[]> {
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await persistently((abortSignal) =>
      client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: folder,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
        { abortSignal },
      ),
    );
    keys.push(...(page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(folder.length)])));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return keys;
}

async function persistently<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(AbortSignal.timeout(longestCallMs));
    } catch (error) {
      if (attempt === tries) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, betweenTriesMs * attempt));
  }
}
