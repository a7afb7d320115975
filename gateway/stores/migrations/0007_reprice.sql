-- Up Migration

-- Finds what has no price yet without reading the rest. Prepared partitions take it over when they are attached.
CREATE INDEX spend_entry_unpriced ON spend_entry (day, id) WHERE cost_micros IS NULL;

-- Gives rows without a cost theirs, with the sums per day and the accounts that the cost belongs to. A row that has one
-- already stays as it is, so a repetition changes nothing. What was spent in a window that is over counts for the lifetime
-- only. Lock order as everywhere: daily sums, then accounts by id; the rows themselves are nobody else's concern.
CREATE FUNCTION reprice_spend(p_costs json) RETURNS TABLE (entries integer, micros bigint) LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_days date[];
  v_ids uuid[];
  v_account account;
  v_start timestamptz;
  r record;
BEGIN
  WITH wanted AS (
    SELECT * FROM json_to_recordset(p_costs) AS w(day date, id uuid, cost bigint) WHERE cost >= 0
  ), locked AS (
    SELECT s.day, s.id FROM spend_entry s JOIN wanted w USING (day, id) WHERE s.cost_micros IS NULL
     ORDER BY s.day, s.id FOR UPDATE OF s
  ), priced AS (
    UPDATE spend_entry s SET cost_micros = w.cost FROM wanted w JOIN locked USING (day, id)
     WHERE s.day = w.day AND s.id = w.id AND s.cost_micros IS NULL RETURNING s.day, s.id
  )
  SELECT array_agg(day), array_agg(id) INTO v_days, v_ids FROM priced;

  FOR r IN
    SELECT s.day, s.key_hash, coalesce(s.team_id, '') AS team_id, coalesce(s.user_id, '') AS user_id,
           coalesce(s.organization_id, '') AS organization_id, coalesce(s.end_user, '') AS end_user,
           coalesce(s.model_group, '') AS model_group, coalesce(s.provider, '') AS provider,
           coalesce(s.model, '') AS model, count(*) AS n, sum(s.cost_micros)::bigint AS cost
      FROM spend_entry s JOIN unnest(v_days, v_ids) AS p(day, id) USING (day, id)
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
  LOOP
    UPDATE spend_daily d SET unpriced = d.unpriced - r.n, cost_micros = d.cost_micros + r.cost
     WHERE d.day = r.day AND d.key_hash = r.key_hash AND d.team_id = r.team_id AND d.user_id = r.user_id
       AND d.organization_id = r.organization_id AND d.end_user = r.end_user AND d.model_group = r.model_group
       AND d.provider = r.provider AND d.model = r.model;
  END LOOP;

  FOR r IN
    SELECT one COLLATE "C" AS id, array_agg(s.at) AS ats, array_agg(s.cost_micros) AS costs,
           sum(s.cost_micros)::bigint AS cost
      FROM spend_entry s JOIN unnest(v_days, v_ids) AS p(day, id) USING (day, id), unnest(s.accounts) AS one
     GROUP BY one COLLATE "C" ORDER BY 1
  LOOP
    INSERT INTO account (id) VALUES (r.id) ON CONFLICT DO NOTHING;
    SELECT * INTO v_account FROM account a WHERE a.id = r.id FOR NO KEY UPDATE;
    IF v_account.window_end <= v_now THEN
      v_account.spent_micros := 0;
      v_account.window_end := window_end_after(v_account.window_end, v_account.window_length, v_now);
    END IF;
    v_start := coalesce(((v_account.window_end AT TIME ZONE 'UTC') - v_account.window_length) AT TIME ZONE 'UTC',
                        '-infinity');
    UPDATE account a SET
      spent_micros = v_account.spent_micros + coalesce(
        (SELECT sum(c.cost) FROM unnest(r.ats, r.costs) AS c(at, cost) WHERE c.at >= v_start), 0)::bigint,
      lifetime_micros = a.lifetime_micros + r.cost,
      window_end = v_account.window_end
     WHERE a.id = r.id;
  END LOOP;

  RETURN QUERY
    SELECT count(*)::integer, coalesce(sum(s.cost_micros), 0)::bigint
      FROM spend_entry s JOIN unnest(v_days, v_ids) AS p(day, id) USING (day, id);
END $$;
