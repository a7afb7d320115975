/** What the databases of the lab note of each key that is made: which region made it, in which epoch, under which row. */
import { ask } from './region-database.ts';
import type { WriteRow } from './region-history.ts';

/** In the first database, before it is copied: replicas get it like everything else. */
export const noteWritesSql = `
  CREATE TABLE lab_write (n bigserial, write text, region text, epoch bigint, row_epoch bigint, row_writer text);
  CREATE FUNCTION lab_note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO lab_write (write, region, epoch, row_epoch, row_writer)
    SELECT NEW.key_alias, current_setting('holdfast.made_in', true),
           current_setting('holdfast.write_epoch', true)::bigint, e.epoch, e.writer_region
      FROM region_epoch e;
    RETURN NULL; END $$;
  CREATE TRIGGER lab_write_noted AFTER INSERT ON api_key
    FOR EACH ROW WHEN (NEW.key_alias LIKE 'drill-%') EXECUTE FUNCTION lab_note_write()`;

/** PostgreSQL's start options for the gateways of a region: the database cannot tell otherwise who has connected. */
export const madeIn = (region: string): string => `-choldfast.made_in=${region}`;

/** In the order in which they were made. */
export async function writesIn(url: string): Promise<readonly WriteRow[]> {
  const rows = await ask(url, 'SELECT * FROM lab_write ORDER BY n');
  return rows.map((row) => ({
    write: String(row['write']),
    region: String(row['region']),
    epoch: Number(row['epoch']),
    rowEpoch: Number(row['row_epoch']),
    rowWriter: String(row['row_writer']),
  }));
}
