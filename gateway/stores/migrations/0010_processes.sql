-- Up Migration

-- The gateway processes that were heard lately, and what each of them runs on: for people. Nothing depends on it.
CREATE TABLE gateway_process (
  id              text PRIMARY KEY,
  host            text NOT NULL,
  pid             integer NOT NULL,
  gateway_version text NOT NULL,
  started_at      timestamptz NOT NULL,
  seen_at         timestamptz NOT NULL,
  -- NULL = straight from its source, or from disk.
  config_version  bigint,
  config_sha256   text NOT NULL,
  -- Why it does not run on the newest; NULL = it does.
  config_fault    text
);
CREATE INDEX gateway_process_seen_at ON gateway_process (seen_at);

-- Word of a change, for processes that listen; whoever does not hear it finds the change when it polls. Once a statement,
-- at the commit. Only control-plane writes pay for it.
CREATE FUNCTION notify_of_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('holdfast_changes', TG_ARGV[0]);
  RETURN NULL;
END $$;

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['api_key', 'budget', 'organization', 'gateway_user', 'team', 'team_member', 'end_user'] LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION notify_of_change(''identity'')', v_table || '_notify', v_table);
  END LOOP;
  FOREACH v_table IN ARRAY ARRAY['config_version', 'model_definition'] LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT
                    EXECUTE FUNCTION notify_of_change(''config'')', v_table || '_notify', v_table);
  END LOOP;
END $$;
