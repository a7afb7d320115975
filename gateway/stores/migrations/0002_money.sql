-- Up Migration

-- Accounts, slices and the ledger. All money is in millionths of a US dollar.
--
-- Lock order, everywhere: log, daily sums, accounts by id, slices. Ids are made so that the accounts that many requests
-- share sort last ("a:key:..." before "y:organization:..." before "z:global"): they are held for the shortest time.

-- Something that money is counted for, with or without a limit.
CREATE TABLE account (
  id              text COLLATE "C" PRIMARY KEY,
  -- NULL = counted, not limited.
  max_micros      bigint CHECK (max_micros >= 0),
  -- Spent in this window, and handed out to processes and neither spent nor returned yet.
  spent_micros    bigint NOT NULL DEFAULT 0,
  leased_micros   bigint NOT NULL DEFAULT 0 CHECK (leased_micros >= 0),
  -- Spent since ever; a window's end does not touch it.
  lifetime_micros bigint NOT NULL DEFAULT 0,
  -- NULL = the limit is for ever.
  window_length   interval CHECK (window_length > interval '0'),
  window_end      timestamptz,
  CHECK ((window_length IS NULL) = (window_end IS NULL))
) WITH (fillfactor = 70);

-- One outbox: the spend of one process from its start to its end.
CREATE TABLE spend_log (
  id          uuid PRIMARY KEY,
  -- The process that writes it was alive; only a living process says so.
  alive_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Anything was heard of it, be it from whoever recovers it.
  seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Every event up to this one is in the ledger, once.
  applied_seq bigint NOT NULL DEFAULT 0,
  -- Nothing more will come, and what its process held has been returned.
  closed_at   timestamptz
);

-- What one process holds of one account. The counters only grow, so that a message that is lost, repeated or late
-- changes nothing twice. Outstanding = granted - returned - spent; an account's leased_micros is the sum of them.
CREATE TABLE slice (
  log_id          uuid NOT NULL REFERENCES spend_log,
  account_id      text COLLATE "C" NOT NULL REFERENCES account,
  granted_micros  bigint NOT NULL DEFAULT 0,
  returned_micros bigint NOT NULL DEFAULT 0,
  spent_micros    bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (log_id, account_id),
  CHECK (granted_micros >= returned_micros + spent_micros)
) WITH (fillfactor = 70);

-- The ledger: one row for each request that was let through to an upstream. The position in its log, applied in order,
-- is what keeps a row from being counted twice, also after its partition was dropped; the key is a second defence.
CREATE TABLE spend_entry (
  -- Of the event's own time, written once by the gateway: a repetition meets the same partition.
  day               date NOT NULL,
  id                uuid NOT NULL,
  log_id            uuid NOT NULL,
  seq               bigint NOT NULL,
  at                timestamptz NOT NULL,
  -- NULL = not priced yet, never a silent 0.
  cost_micros       bigint,
  reserved_micros   bigint NOT NULL DEFAULT 0,
  -- "interrupted": its gateway died meanwhile; the cost is the reservation, an upper bound.
  ending            text NOT NULL CHECK (ending IN ('finished', 'broken', 'abandoned', 'failed', 'interrupted')),
  accounts          text[] NOT NULL DEFAULT '{}',
  call_id           text,
  key_hash          text NOT NULL,
  key_id            text,
  team_id           text,
  user_id           text,
  organization_id   text,
  end_user          text,
  operation         text,
  requested_model   text,
  model_group       text,
  deployment_id     text,
  provider          text,
  model             text,
  status            smallint,
  stream            boolean,
  cache_hit         boolean NOT NULL DEFAULT false,
  prompt_tokens     integer,
  completion_tokens integer,
  cached_tokens     integer,
  attempts          smallint,
  fallbacks         smallint,
  first_byte_ms     integer,
  duration_ms       integer,
  tags              text[],
  metadata          jsonb,
  PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);
-- Catches what no partition is ready for.
CREATE TABLE spend_entry_default PARTITION OF spend_entry DEFAULT;
CREATE INDEX spend_entry_key ON spend_entry (key_hash, at);
CREATE INDEX spend_entry_at ON spend_entry (at);

-- Sums that outlive the partitions. Empty text = none, since a key cannot be NULL.
CREATE TABLE spend_daily (
  day               date NOT NULL,
  key_hash          text NOT NULL,
  team_id           text NOT NULL,
  user_id           text NOT NULL,
  organization_id   text NOT NULL,
  end_user          text NOT NULL,
  model_group       text NOT NULL,
  provider          text NOT NULL,
  model             text NOT NULL,
  requests          bigint NOT NULL,
  failures          bigint NOT NULL,
  -- Requests without a price yet.
  unpriced          bigint NOT NULL,
  prompt_tokens     bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cost_micros       bigint NOT NULL,
  PRIMARY KEY (day, key_hash, team_id, user_id, organization_id, end_user, model_group, provider, model)
) WITH (fillfactor = 80);

CREATE FUNCTION add_to_spend_daily() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO spend_daily AS d
  SELECT day, key_hash, coalesce(team_id, ''), coalesce(user_id, ''), coalesce(organization_id, ''),
         coalesce(end_user, ''), coalesce(model_group, ''), coalesce(provider, ''), coalesce(model, ''),
         count(*), count(*) FILTER (WHERE ending IN ('failed', 'broken', 'interrupted')),
         count(*) FILTER (WHERE cost_micros IS NULL),
         coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(cost_micros), 0)
    FROM fresh GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
  ON CONFLICT (day, key_hash, team_id, user_id, organization_id, end_user, model_group, provider, model) DO UPDATE SET
    requests = d.requests + excluded.requests, failures = d.failures + excluded.failures,
    unpriced = d.unpriced + excluded.unpriced, prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = d.completion_tokens + excluded.completion_tokens,
    cost_micros = d.cost_micros + excluded.cost_micros;
  RETURN NULL;
END $$;
CREATE TRIGGER spend_entry_daily AFTER INSERT ON spend_entry REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION add_to_spend_daily();

-- The end of the window that `p_now` lies in, given the end of an earlier one.
CREATE FUNCTION window_end_after(p_end timestamptz, p_length interval, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_end timestamptz := p_end;
BEGIN
  IF v_end > p_now THEN RETURN v_end; END IF;
  IF extract(year FROM p_length) <> 0 OR extract(month FROM p_length) <> 0 THEN
    -- Months differ in length, so they are counted one by one; UTC, whatever the session says.
    WHILE v_end <= p_now LOOP
      v_end := ((v_end AT TIME ZONE 'UTC') + p_length) AT TIME ZONE 'UTC';
    END LOOP;
    RETURN v_end;
  END IF;
  RETURN v_end + p_length * (floor(extract(epoch FROM p_now - v_end) / extract(epoch FROM p_length)) + 1);
END $$;

-- Sets an account's limit and window; what was spent stays. `p_end` = end of the first window.
CREATE FUNCTION put_account(p_id text, p_max bigint, p_length interval, p_end timestamptz) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO account AS a (id, max_micros, window_length, window_end) VALUES (p_id, p_max, p_length, p_end)
  ON CONFLICT (id) DO UPDATE SET max_micros = excluded.max_micros, window_length = excluded.window_length,
    -- The same length keeps its window: saving a form again must not give a new budget.
    window_end = CASE WHEN a.window_length IS NOT DISTINCT FROM excluded.window_length THEN a.window_end
                      ELSE excluded.window_end END;
$$;

-- A living process says so. live = processes heard within 15 s, rank = this one's place among them from 0.
CREATE FUNCTION touch_log(p_log uuid) RETURNS TABLE (live integer, rank integer, closed boolean) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO spend_log AS l (id) VALUES (p_log)
  ON CONFLICT (id) DO UPDATE SET alive_at = clock_timestamp(), seen_at = clock_timestamp() WHERE l.closed_at IS NULL;
  RETURN QUERY
    SELECT greatest(count(*), 1)::integer, (count(*) FILTER (WHERE l.id < p_log))::integer,
           (SELECT own.closed_at IS NOT NULL FROM spend_log own WHERE own.id = p_log)
      FROM spend_log l WHERE l.closed_at IS NULL AND l.alive_at > clock_timestamp() - interval '15 seconds';
END $$;

-- Takes totals, never amounts: what this process was granted and has given back as far as it knows, and the total it
-- needs `granted` to reach (0 = only report). Beyond the need it grants slack, in whole tickets, while much is free.
-- Fails with HF010 when the log is closed: then the process starts a new one.
CREATE FUNCTION grant_slices(p_log uuid, p_account text[], p_granted bigint[], p_returned bigint[], p_want bigint[],
                             p_ticket bigint[], p_slack bigint[])
RETURNS TABLE (account_id text, granted bigint, free bigint, spent bigint, max bigint, window_ms bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_live bigint;
  r record;
  v_slice slice;
  v_granted bigint;
  v_returned bigint;
  v_free bigint;
  v_need bigint;
BEGIN
  INSERT INTO spend_log (id) VALUES (p_log) ON CONFLICT DO NOTHING;
  PERFORM 1 FROM spend_log WHERE id = p_log AND closed_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN RAISE EXCEPTION 'the spend log is closed' USING ERRCODE = 'HF010'; END IF;
  SELECT greatest(count(*), 1) INTO v_live FROM spend_log
    WHERE closed_at IS NULL AND alive_at > v_now - interval '15 seconds';
  FOR r IN
    SELECT a.*, q.* FROM account a
      JOIN unnest(p_account, p_granted, p_returned, p_want, p_ticket, p_slack)
        AS q(asked, known_granted, known_returned, want, ticket, slack) ON a.id = q.asked
      ORDER BY a.id FOR NO KEY UPDATE OF a
  LOOP
    IF r.window_end <= v_now THEN
      -- What is handed out stays handed out: its spend will belong to the new window.
      r.spent_micros := 0;
      r.window_end := window_end_after(r.window_end, r.window_length, v_now);
    END IF;
    INSERT INTO slice (log_id, account_id) VALUES (p_log, r.id) ON CONFLICT DO NOTHING;
    SELECT * INTO v_slice FROM slice s WHERE s.log_id = p_log AND s.account_id = r.id FOR UPDATE;
    v_returned := greatest(v_slice.returned_micros, r.known_returned);
    v_granted := greatest(v_slice.granted_micros, r.known_granted, v_returned + v_slice.spent_micros);
    r.leased_micros := r.leased_micros + (v_granted - v_returned) - (v_slice.granted_micros - v_slice.returned_micros);
    -- Without a limit there is always enough.
    v_free := coalesce(r.max_micros - r.spent_micros - r.leased_micros, 1000000000000000);
    v_need := greatest(r.want - v_granted, 0);
    IF v_need > 0 AND v_free > 16 * v_live * r.ticket THEN
      v_need := v_need + least(r.slack, v_free / (4 * v_live)) / r.ticket * r.ticket;
    END IF;
    v_need := least(v_need, greatest(v_free, 0));
    UPDATE slice s SET granted_micros = v_granted + v_need, returned_micros = v_returned
      WHERE s.log_id = p_log AND s.account_id = r.id;
    UPDATE account a SET spent_micros = r.spent_micros, leased_micros = r.leased_micros + v_need,
      window_end = r.window_end WHERE a.id = r.id;
    account_id := r.id;
    granted := v_granted + v_need;
    free := v_free - v_need;
    spent := r.spent_micros;
    max := r.max_micros;
    window_ms := (extract(epoch FROM r.window_end - v_now) * 1000)::bigint;
    RETURN NEXT;
  END LOOP;
END $$;

-- Adds a batch of events to the ledger and to their accounts, once, whatever is repeated. `p_first` = position of the
-- first event. Returns the position up to which everything is there: the sender goes on behind it, forwards or back.
-- An id that the ledger knows already is left out: whoever recovers a log cannot tell whether a request that looks open
-- was shipped from memory while the disk was full. `p_keep` = false: only the sums stay, not the rows.
CREATE FUNCTION ship_events(p_log uuid, p_first bigint, p_events json, p_keep boolean DEFAULT true) RETURNS bigint
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
             e.fallbacks, e.first_byte_ms, e.duration_ms, e.tags, e.metadata
        FROM ROWS FROM (json_to_recordset(p_events) AS (
               day date, id uuid, at bigint, cost bigint, reserved bigint, ending text, accounts text[], call text,
               key text, key_id text, team text, user_id text, organization text, end_user text, operation text,
               requested_model text, model_group text, deployment text, provider text, model text, status smallint,
               stream boolean, cache_hit boolean, prompt_tokens integer, completion_tokens integer,
               cached_tokens integer, attempts smallint, fallbacks smallint, first_byte_ms integer,
               duration_ms integer, tags text[], metadata jsonb)) WITH ORDINALITY AS e(
               day, id, at, cost, reserved, ending, accounts, call, key, key_id, team, user_id, organization, end_user,
               operation, requested_model, model_group, deployment, provider, model, status, stream, cache_hit,
               prompt_tokens, completion_tokens, cached_tokens, attempts, fallbacks, first_byte_ms, duration_ms, tags,
               metadata, place)
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

-- For events that their sender does not have any more either: a damaged disk, or a ledger that was set back further than
-- logs are kept. Returns the position.
CREATE FUNCTION skip_events(p_log uuid, p_to bigint) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO spend_log AS l (id, applied_seq) VALUES (p_log, p_to)
  ON CONFLICT (id) DO UPDATE SET applied_seq = greatest(l.applied_seq, excluded.applied_seq), seen_at = clock_timestamp()
  RETURNING applied_seq;
$$;

-- Gives back what a log's process held. Only the two functions below may call it, with the log locked.
CREATE FUNCTION return_slices(p_log uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT a.id FROM account a JOIN slice s ON s.account_id = a.id WHERE s.log_id = p_log
             ORDER BY a.id FOR NO KEY UPDATE OF a LOOP
    UPDATE account a SET leased_micros = a.leased_micros - (s.granted_micros - s.returned_micros - s.spent_micros)
      FROM slice s WHERE a.id = r.id AND s.log_id = p_log AND s.account_id = r.id;
    UPDATE slice SET returned_micros = granted_micros - spent_micros WHERE log_id = p_log AND account_id = r.id;
  END LOOP;
END $$;

-- The end of a log, once all of it is in the ledger. Returns whether it is closed now (also when it was before).
CREATE FUNCTION close_log(p_log uuid, p_last bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_log spend_log;
BEGIN
  SELECT * INTO v_log FROM spend_log WHERE id = p_log FOR UPDATE;
  IF NOT FOUND OR v_log.applied_seq < p_last THEN RETURN false; END IF;
  IF v_log.closed_at IS NOT NULL THEN RETURN true; END IF;
  PERFORM return_slices(p_log);
  UPDATE spend_log SET closed_at = clock_timestamp(), seen_at = clock_timestamp() WHERE id = p_log;
  RETURN true;
END $$;

-- For logs that nobody will ever send the rest of: their disk is lost. What they held is free again.
CREATE FUNCTION abandon_log(p_log uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM spend_log WHERE id = p_log AND closed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM return_slices(p_log);
  UPDATE spend_log SET closed_at = clock_timestamp() WHERE id = p_log;
  RETURN true;
END $$;

-- Partitions for the days from `p_from` on. Rows that came before their partition move into it. It gives up soon rather
-- than let shipping wait behind it.
CREATE FUNCTION prepare_spend_partitions(p_from date, p_days integer) RETURNS integer LANGUAGE plpgsql
SET lock_timeout = '2s' AS $$
DECLARE
  v_day date;
  v_name text;
  v_made integer := 0;
BEGIN
  -- Two processes may have the same idea.
  PERFORM pg_advisory_xact_lock(hashtext('holdfast spend partitions'));
  FOR v_day IN SELECT p_from + n FROM generate_series(0, p_days - 1) AS n LOOP
    v_name := 'spend_entry_' || to_char(v_day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(v_name) IS NOT NULL;
    EXECUTE format('CREATE TABLE %I (LIKE spend_entry INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
    EXECUTE format('WITH moved AS (DELETE FROM spend_entry_default WHERE day = %L RETURNING *)
                    INSERT INTO %I SELECT * FROM moved', v_day, v_name);
    EXECUTE format('ALTER TABLE spend_entry ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   v_name, v_day, v_day + 1);
    v_made := v_made + 1;
  END LOOP;
  RETURN v_made;
END $$;

-- Ends the retention of whole days. The sums per day stay.
CREATE FUNCTION drop_spend_partitions(p_before date) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
  v_name text;
  v_dropped integer := 0;
BEGIN
  FOR v_name IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'spend_entry'::regclass AND c.relname ~ '^spend_entry_\d{8}$'
       AND to_date(right(c.relname, 8), 'YYYYMMDD') < p_before
  LOOP
    EXECUTE format('DROP TABLE %I', v_name);
    v_dropped := v_dropped + 1;
  END LOOP;
  DELETE FROM spend_entry_default WHERE day < p_before;
  RETURN v_dropped;
END $$;

SELECT prepare_spend_partitions(current_date - 1, 9);

-- Gateways of the version before write to spend_event until the last of them is gone; their rows belong here, too.
CREATE FUNCTION adopt_spend_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO spend_entry (day, id, log_id, seq, at, cost_micros, ending, call_id, key_hash, operation, requested_model,
    model_group, deployment_id, provider, model, status, stream, prompt_tokens, completion_tokens, attempts, fallbacks,
    duration_ms)
  SELECT (started_at AT TIME ZONE 'UTC')::date, request_id, '00000000-0000-0000-0000-000000000000', 0, started_at,
    cost_micros, ending, call_id, key_hash, operation, requested_model, model_group, deployment_id, provider, model,
    status, stream, prompt_tokens, completion_tokens, attempts, fallbacks, duration_ms FROM fresh
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER spend_event_adopted AFTER INSERT ON spend_event REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION adopt_spend_event();
INSERT INTO spend_entry (day, id, log_id, seq, at, cost_micros, ending, call_id, key_hash, operation, requested_model,
  model_group, deployment_id, provider, model, status, stream, prompt_tokens, completion_tokens, attempts, fallbacks,
  duration_ms)
SELECT (started_at AT TIME ZONE 'UTC')::date, request_id, '00000000-0000-0000-0000-000000000000', 0, started_at,
  cost_micros, ending, call_id, key_hash, operation, requested_model, model_group, deployment_id, provider, model,
  status, stream, prompt_tokens, completion_tokens, attempts, fallbacks, duration_ms FROM spend_event;
