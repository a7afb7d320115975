-- Up Migration

-- Control tables are changed only by transactions that asked for the right to write, be they a gateway's, a job's or a
-- repair by hand. Where the row names no region there is only one, which needs no right: gateways of the version before
-- go on there, and so do people with psql.
CREATE OR REPLACE FUNCTION require_control_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('holdfast.write_epoch', true), '') = ''
     AND EXISTS (SELECT 1 FROM region_epoch WHERE writer_region <> 'local') THEN
    RAISE EXCEPTION '% was to be changed outside a control-plane write', TG_TABLE_NAME USING ERRCODE = 'HF003',
      HINT = 'In the same transaction, first: SELECT begin_control_write(epoch, writer_region, ''5 s'') FROM region_epoch';
  END IF;
  RETURN NULL;
END $$;

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['api_key', 'budget', 'organization', 'gateway_user', 'organization_member', 'team',
                                 'team_member', 'end_user', 'model_definition'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION require_control_write()', v_table || '_guarded', v_table);
  END LOOP;
END $$;

-- Takes over an installation of one region as the first writer of several. Returns whether the row is as asked for.
CREATE FUNCTION name_first_region(p_region text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE region_epoch SET writer_region = p_region, changed_at = clock_timestamp() WHERE writer_region = 'local';
  IF FOUND THEN
    -- From here on it is the claim that gives time.
    UPDATE region_lease SET region = p_region, until = clock_timestamp(), epoch = (SELECT epoch FROM region_epoch);
  END IF;
  RETURN EXISTS (SELECT 1 FROM region_epoch WHERE writer_region = p_region);
END $$;

-- The row of a promoted database, taken from the claim and never counted up from itself. Repeating it changes nothing.
CREATE FUNCTION raise_region_epoch(p_epoch bigint, p_writer text, p_run text) RETURNS TABLE (epoch bigint, writer_region text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  UPDATE region_epoch SET epoch = p_epoch, writer_region = p_writer, state = 'open', run_id = p_run,
    changed_at = clock_timestamp() WHERE epoch < p_epoch;
  RETURN QUERY SELECT e.epoch, e.writer_region FROM region_epoch e;
END $$;
