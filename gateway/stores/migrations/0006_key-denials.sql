-- Up Migration

-- Every time a key was shut out. A region that is cut off shuts keys out by itself, since that only restricts; what it
-- decided arrives here later, once by its id. Other regions read these rows instead of waiting for replication.
CREATE TABLE key_denial (
  id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- In the order in which this database took them; starts anew nowhere, and is compared within one epoch only.
  seq              bigint GENERATED ALWAYS AS IDENTITY,
  key_hash         text NOT NULL,
  -- From this revision of the key's row on, the row says itself whether the key is shut out.
  applied_revision bigint NOT NULL,
  at               timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX key_denial_seq ON key_denial (seq);
CREATE INDEX key_denial_at ON key_denial (at);

CREATE FUNCTION note_key_denial() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A denial that came from elsewhere has its id already.
  IF coalesce(current_setting('holdfast.denial', true), '') = '' THEN
    INSERT INTO key_denial (key_hash, applied_revision) VALUES (NEW.key_hash, NEW.revision);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER api_key_denied AFTER UPDATE ON api_key FOR EACH ROW
  WHEN ((NEW.blocked AND NOT OLD.blocked) OR (NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL))
  EXECUTE FUNCTION note_key_denial();

-- Shuts a key out because another region did, once for each id, inside a control-plane write. Returns the revision from
-- which on the key's row says so itself.
CREATE FUNCTION apply_key_denial(p_id uuid, p_key_hash text, p_actor text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_revision bigint;
BEGIN
  SELECT applied_revision INTO v_revision FROM key_denial WHERE id = p_id;
  IF FOUND THEN RETURN v_revision; END IF;
  PERFORM set_config('holdfast.denial', p_id::text, true);
  -- All secrets of the key, as when it is blocked by its writer.
  UPDATE api_key SET blocked = true
   WHERE key_id = (SELECT key_id FROM api_key WHERE key_hash = p_key_hash) AND deleted_at IS NULL;
  SELECT revision INTO v_revision FROM api_key WHERE key_hash = p_key_hash;
  PERFORM set_config('holdfast.denial', '', true);
  IF v_revision IS NOT NULL THEN
    PERFORM append_audit(p_actor, '', NULL, 'updated', 'key', p_key_hash, '{"blocked": [null, true]}'::jsonb);
  END IF;
  INSERT INTO key_denial (id, key_hash, applied_revision) VALUES (p_id, p_key_hash, coalesce(v_revision, 0))
  ON CONFLICT DO NOTHING;
  RETURN coalesce(v_revision, 0);
END $$;
