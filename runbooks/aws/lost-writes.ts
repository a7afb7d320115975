/**
 * What only an old database has, as an object beside the journals of the region that survived. Rows are compared, not
 * times: clocks of two regions prove nothing. Spend is not compared: outboxes and their archive bring it back, by ids.
 */
import type { Client } from 'pg';
import { z } from 'zod';
import { getObject, swapObject } from '../../gateway/region/s3-bucket.ts';
import type { DatabaseRef } from '../../lib/platform/platform.ts';
import type { LostWrites } from '../books/region-failback.ts';
import type { AwsClients } from './clients.ts';
import { withDatabase } from './with-database.ts';

/** Tables of control-plane writes. */
export const comparedTables = [
  'budget',
  'organization',
  'gateway_user',
  'organization_member',
  'team',
  'team_member',
  'end_user',
  'model_definition',
  'api_key',
  'key_denial',
  'config_version',
  'audit_log',
] as const;

export interface LostRow {
  readonly table: string;
  /** The primary key, by column. Never contents: they may be secret. */
  readonly key: Readonly<Record<string, unknown>>;
  readonly is: 'missing' | 'different';
}

export interface LostWritesPlace {
  readonly bucketOf: (region: string) => string;
  /** Undefined = it is not known how the old database is reached. */
  readonly oldUrl: (region: string) => string | undefined;
  readonly survivorUrl: (region: string) => string;
  /** Name of the object of an old database. */
  readonly keyOf: (old: DatabaseRef) => string;
}

export interface LostWritesLists {
  read(survivor: string, old: DatabaseRef, signal: AbortSignal): Promise<LostWrites | undefined>;
  make(survivor: string, old: DatabaseRef, isThere: boolean, signal: AbortSignal): Promise<void>;
}

const listSchema = z.object({ note: z.string(), rows: z.array(z.unknown()) });

export function lostWritesLists(clients: AwsClients, place: LostWritesPlace): LostWritesLists {
  return {
    read: async (survivor, old, signal) => {
      const bucket = place.bucketOf(survivor);
      const key = place.keyOf(old);
      const found = await getObject(clients.s3(survivor), bucket, key, signal);
      if (found === undefined || found === 'unchanged') return undefined;
      const { note, rows } = listSchema.parse(JSON.parse(found.body));
      return { count: rows.length, report: `s3://${bucket}/${key}${note === '' ? '' : ` (${note})`}` };
    },
    make: async (survivor, old, isThere, signal) => {
      const url = place.oldUrl(old.region);
      if (isThere && url === undefined) {
        throw new Error(`say how the old database of ${old.region} is reached from here: ${oldVariable(old.region)}`);
      }
      const list =
        !isThere || url === undefined
          ? { note: 'the old database is gone: nothing could be compared', rows: [] }
          : { note: '', rows: await lostRows(url, place.survivorUrl(survivor), signal) };
      // Made once: a list that somebody works with does not change under their hands.
      const body = JSON.stringify(list);
      await swapObject(clients.s3(survivor), place.bucketOf(survivor), place.keyOf(old), undefined, body, signal);
    },
  };
}

export const oldVariable = (region: string): string =>
  `HOLDFAST_OLD_DATABASE_URL_${region.toUpperCase().replaceAll('-', '_')}`;

/** Rows of the old database that the survivor lacks or has otherwise, in the columns that both have. */
export async function lostRows(oldUrl: string, survivorUrl: string, signal: AbortSignal): Promise<readonly LostRow[]> {
  return withDatabase(oldUrl, statementTimeoutMs, signal, (old) =>
    withDatabase(survivorUrl, statementTimeoutMs, signal, async (survivor) => {
      const lost: LostRow[] = [];
      for (const table of comparedTables) {
        const [columns, there] = await Promise.all([columnsOf(old, table), columnsOf(survivor, table)]);
        const common = columns.all.filter((name) => there.all.includes(name));
        // A table that either of them lacks is of another version of the schema.
        if (common.length === 0) continue;
        const [ours, theirs] = await Promise.all([
          digests(old, table, columns.key, common),
          digests(survivor, table, columns.key, common),
        ]);
        for (const [key, digest] of ours) {
          const known = theirs.get(key);
          if (known === digest) continue;
          lost.push({
            table,
            key: keySchema.parse(JSON.parse(key)),
            is: known === undefined ? 'missing' : 'different',
          });
        }
      }
      return lost;
    }),
  );
}

const keySchema = z.record(z.string(), z.unknown());
/** Whole tables are read. */
const statementTimeoutMs = 300_000;

async function columnsOf(client: Client, table: string): Promise<{ all: readonly string[]; key: readonly string[] }> {
  const { rows } = await client.query<{ name: string; in_key: boolean }>(
    `SELECT a.attname AS name, coalesce(a.attnum = ANY (i.indkey), false) AS in_key
       FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
      WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [table],
  );
  return { all: rows.map(({ name }) => name), key: rows.flatMap(({ name, in_key }) => (in_key ? [name] : [])) };
}

/** Digests by primary key: contents never leave the database. */
async function digests(
  client: Client,
  table: string,
  key: readonly string[],
  columns: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const named = (names: readonly string[]): string =>
    names.map((name) => `${client.escapeLiteral(name)}, ${client.escapeIdentifier(name)}`).join(', ');
  const { rows } = await client.query<{ key: string; digest: string }>(
    `SELECT jsonb_build_object(${named(key)})::text AS key, md5(jsonb_build_object(${named(columns)})::text) AS digest
       FROM ${client.escapeIdentifier(table)}`,
  );
  return new Map(rows.map((row) => [row.key, row.digest]));
}
