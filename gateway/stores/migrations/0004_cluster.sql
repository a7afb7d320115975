-- Up Migration

-- One leader among many processes, on the database's clock. The row is never deleted, so its epoch never goes back: work
-- that an old leader had begun can always be told from the new one's.
CREATE TABLE leader_lease (
  name        text PRIMARY KEY,
  holder      text NOT NULL,
  epoch       bigint NOT NULL,
  acquired_at timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL
);

-- Takes or renews the lease if it is free, expired or one's own. Always returns who leads now; `remaining_ms` is what is
-- left of the lease. A lease that had expired gets a new epoch, also when its old holder takes it again.
CREATE FUNCTION take_leader_lease(p_name text, p_holder text, p_length interval)
RETURNS TABLE (holder text, epoch bigint, remaining_ms bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
BEGIN
  INSERT INTO leader_lease AS l (name, holder, epoch, acquired_at, expires_at)
  VALUES (p_name, p_holder, 1, v_now, v_now + p_length)
  ON CONFLICT (name) DO UPDATE SET
    holder = p_holder,
    epoch = CASE WHEN l.holder = p_holder AND l.expires_at > v_now THEN l.epoch ELSE l.epoch + 1 END,
    acquired_at = CASE WHEN l.holder = p_holder AND l.expires_at > v_now THEN l.acquired_at ELSE v_now END,
    expires_at = v_now + p_length
  WHERE l.expires_at <= v_now OR l.holder = p_holder;
  RETURN QUERY
    SELECT l.holder, l.epoch, greatest(0, floor(extract(epoch FROM l.expires_at - v_now) * 1000))::bigint
      FROM leader_lease l WHERE l.name = p_name;
END $$;

-- Gives the lease up at once; only its holder can.
CREATE FUNCTION resign_leader_lease(p_name text, p_holder text) RETURNS boolean LANGUAGE sql AS $$
  WITH resigned AS (
    UPDATE leader_lease SET expires_at = clock_timestamp()
     WHERE name = p_name AND holder = p_holder AND expires_at > clock_timestamp() RETURNING 1
  ) SELECT EXISTS (SELECT 1 FROM resigned);
$$;

-- First statement of everything that only the leader may write. The lock keeps a successor from beginning while this
-- transaction is under way; a frozen leader that wakes up in the middle of its work fails here with HF020.
CREATE FUNCTION require_leader(p_name text, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM leader_lease WHERE name = p_name AND epoch = p_epoch AND expires_at > clock_timestamp() FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'epoch % of the lease % is over', p_epoch, p_name USING ERRCODE = 'HF020';
  END IF;
END $$;

-- Which region may write here. One row, copied from the claim; a database whose row names another region takes nothing.
-- Installations of one region have no claim: their only region is the writer, and its lease never ends.
CREATE TABLE region_epoch (
  one           boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch         bigint NOT NULL CHECK (epoch > 0),
  writer_region text NOT NULL,
  state         text NOT NULL CHECK (state IN ('open', 'closed')),
  run_id        text,
  changed_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- In a table of its own, so that renewing it does not wait for writes that hold the row above.
CREATE TABLE region_lease (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch  bigint NOT NULL,
  region text NOT NULL,
  until  timestamptz NOT NULL
);
INSERT INTO region_epoch (epoch, writer_region, state) VALUES (1, 'local', 'open');
INSERT INTO region_lease (epoch, region, until) VALUES (1, 'local', 'infinity');

-- First statement of a control-plane write (keys, teams, budgets, configuration). Closing or raising the row waits for
-- writes that hold it, and refuses all later ones. Returns the milliseconds that the lease still has: the caller answers
-- only if less has passed on its own clock since before this call. HF001 = another region or epoch writes (or nobody),
-- HF002 = the lease is too short, HF003 = a write that did not ask.
CREATE FUNCTION begin_control_write(p_epoch bigint, p_region text, p_margin interval) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_until timestamptz;
BEGIN
  PERFORM 1 FROM region_epoch WHERE epoch = p_epoch AND writer_region = p_region AND state = 'open' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is not the writer of epoch %', p_region, p_epoch USING ERRCODE = 'HF001';
  END IF;
  SELECT until INTO v_until FROM region_lease
   WHERE epoch = p_epoch AND region = p_region AND until > clock_timestamp() + p_margin;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lease of epoch % is over or nearly so', p_epoch USING ERRCODE = 'HF002';
  END IF;
  PERFORM set_config('holdfast.write_epoch', p_epoch::text, true);
  -- A day stands for a lease that never ends.
  RETURN CASE WHEN v_until = 'infinity' THEN 86400000
              ELSE floor(extract(epoch FROM v_until - clock_timestamp()) * 1000)::bigint END;
END $$;

CREATE FUNCTION require_control_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('holdfast.write_epoch', true), '') = '' THEN
    RAISE EXCEPTION '% was to be changed outside a control-plane write', TG_TABLE_NAME USING ERRCODE = 'HF003';
  END IF;
  RETURN NULL;
END $$;

-- Every configuration that was ever live, newest last. Only the leader of the writer region inserts, so all processes
-- adopt the same ones in the same order.
CREATE TABLE config_version (
  version      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Of the text, so that an unchanged source makes no new version.
  sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  -- The text; sealed with a key derived from the salt key when there is one, since a configuration may hold secrets.
  content      bytea NOT NULL,
  sealed       boolean NOT NULL,
  -- Where it came from: an address without credentials, or "rollback to N".
  source       text NOT NULL,
  from_source  boolean NOT NULL,
  created_by   text NOT NULL,
  leader_epoch bigint NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What the leader saw when it last looked at the source: one row for everybody's status page.
CREATE TABLE config_source_state (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  source     text NOT NULL,
  etag       text,
  sha256     text,
  -- Why the newest text of the source was not taken; NULL = it was.
  fault      text,
  checked_at timestamptz NOT NULL
);
