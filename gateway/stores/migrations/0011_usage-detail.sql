-- Up Migration

-- What the price of a row was computed from besides its totals, as gateway/domain/usage-detail.ts has it; NULL where there
-- was nothing else. Older gateways write none, and read the rest as before.
ALTER TABLE spend_entry ADD COLUMN usage_detail jsonb;

-- As before, and with that column.
CREATE OR REPLACE FUNCTION ship_events(p_log uuid, p_first bigint, p_events json, p_keep boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_applied bigint;
  v_last bigint := p_first + json_array_length(p_events) - 1;
  v_now timestamptz := clock_timestamp();
  r record;
  v_slice slice;
  v_granted bigint;
BEGIN
  INSERT INTO spend_log (id) VALUES (p_log) ON CONFLICT DO NOTHING;
  SELECT applied_seq INTO v_applied FROM spend_log WHERE id = p_log FOR NO KEY UPDATE;
  IF p_first > v_applied + 1 OR v_last <= v_applied THEN
    UPDATE spend_log SET seen_at = v_now WHERE id = p_log;
    RETURN v_applied;
  END IF;
  FOR r IN
    WITH inserted AS (
      INSERT INTO spend_entry
      SELECT e.day, e.id, p_log, p_first + e.place - 1, to_timestamp(e.at / 1000.0), e.cost, coalesce(e.reserved, 0),
             e.ending, coalesce(e.accounts, '{}'), e.call, e.key, e.key_id, e.team, e.user_id, e.organization,
             e.end_user, e.operation, e.requested_model, e.model_group, e.deployment, e.provider, e.model, e.status,
             e.stream, coalesce(e.cache_hit, false), e.prompt_tokens, e.completion_tokens, e.cached_tokens, e.attempts,
             e.fallbacks, e.first_byte_ms, e.duration_ms, e.tags, e.metadata,
             coalesce(e.estimated, false) OR e.ending = 'interrupted', e.usage_detail
        FROM ROWS FROM (json_to_recordset(p_events) AS (
               day date, id uuid, at bigint, cost bigint, reserved bigint, ending text, accounts text[], call text,
               key text, key_id text, team text, user_id text, organization text, end_user text, operation text,
               requested_model text, model_group text, deployment text, provider text, model text, status smallint,
               stream boolean, cache_hit boolean, prompt_tokens integer, completion_tokens integer,
               cached_tokens integer, attempts smallint, fallbacks smallint, first_byte_ms integer,
               duration_ms integer, tags text[], metadata jsonb, estimated boolean,
               usage_detail jsonb)) WITH ORDINALITY AS e(
               day, id, at, cost, reserved, ending, accounts, call, key, key_id, team, user_id, organization, end_user,
               operation, requested_model, model_group, deployment, provider, model, status, stream, cache_hit,
               prompt_tokens, completion_tokens, cached_tokens, attempts, fallbacks, first_byte_ms, duration_ms, tags,
               metadata, estimated, usage_detail, place)
       WHERE p_first + e.place - 1 > v_applied
      ON CONFLICT DO NOTHING
      RETURNING accounts, cost_micros
    )
    SELECT one COLLATE "C" AS id, sum(coalesce(cost_micros, 0))::bigint AS cost
      FROM inserted, unnest(accounts) AS one GROUP BY one COLLATE "C" ORDER BY 1
  LOOP
    INSERT INTO account AS a (id, spent_micros, lifetime_micros) VALUES (r.id, r.cost, r.cost)
    ON CONFLICT (id) DO UPDATE SET
      spent_micros = CASE WHEN a.window_end <= v_now THEN 0 ELSE a.spent_micros END + r.cost,
      lifetime_micros = a.lifetime_micros + r.cost,
      window_end = CASE WHEN a.window_end <= v_now THEN window_end_after(a.window_end, a.window_length, v_now)
                        ELSE a.window_end END;
    SELECT * INTO v_slice FROM slice s WHERE s.log_id = p_log AND s.account_id = r.id FOR UPDATE;
    IF FOUND THEN
      -- What was spent beyond the grant is granted afterwards: the provider has billed it, it cannot be refused.
      v_granted := greatest(v_slice.granted_micros, v_slice.returned_micros + v_slice.spent_micros + r.cost);
      UPDATE slice s SET granted_micros = v_granted, spent_micros = v_slice.spent_micros + r.cost
        WHERE s.log_id = p_log AND s.account_id = r.id;
      UPDATE account a SET leased_micros = a.leased_micros + (v_granted - v_slice.granted_micros) - r.cost
        WHERE a.id = r.id;
    END IF;
  END LOOP;
  IF NOT p_keep THEN
    DELETE FROM spend_entry s USING json_to_recordset(p_events) AS e(day date, id uuid)
      WHERE s.day = e.day AND s.id = e.id AND s.log_id = p_log;
  END IF;
  UPDATE spend_log SET applied_seq = v_last, seen_at = v_now WHERE id = p_log;
  RETURN v_last;
END $$;
