-- Up Migration

-- Who may do what: organizations, teams, users, customers, budgets, keys, and the log of every change.
--
-- Only additions, so that gateways of the version before go on: they read and write api_key by the columns they know.
-- Limits of every object have one form (gateway/domain/limits.ts), money in millionths of a US dollar; what was spent
-- stands in table account. Deleted rows stay as tombstones: gateways poll for what changed.

-- The revision only grows, row by row: whoever has seen one never goes back behind it, however late an older one comes.
CREATE OR REPLACE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  NEW.revision := OLD.revision + 1;
  RETURN NEW;
END $$;

-- A set of limits that several objects share.
CREATE TABLE budget (
  budget_id  text PRIMARY KEY,
  limits     jsonb NOT NULL DEFAULT '{}',
  created_by text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision   bigint NOT NULL DEFAULT 1,
  deleted_at timestamptz
);

CREATE TABLE organization (
  organization_id    text PRIMARY KEY,
  organization_alias text,
  -- Model groups; empty = all.
  models             text[] NOT NULL DEFAULT '{}',
  blocked            boolean NOT NULL DEFAULT false,
  budget_id          text REFERENCES budget,
  limits             jsonb NOT NULL DEFAULT '{}',
  metadata           jsonb NOT NULL DEFAULT '{}',
  -- LiteLLM's fields that are kept and not acted on.
  extra              jsonb NOT NULL DEFAULT '{}',
  created_by         text,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision           bigint NOT NULL DEFAULT 1,
  deleted_at         timestamptz
);

-- A person who makes keys. Named so because "user" is a word of SQL.
CREATE TABLE gateway_user (
  user_id    text PRIMARY KEY,
  user_alias text,
  user_email text,
  user_role  text NOT NULL DEFAULT 'internal_user'
    CHECK (user_role IN ('proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer')),
  models     text[] NOT NULL DEFAULT '{}',
  blocked    boolean NOT NULL DEFAULT false,
  budget_id  text REFERENCES budget,
  limits     jsonb NOT NULL DEFAULT '{}',
  metadata   jsonb NOT NULL DEFAULT '{}',
  extra      jsonb NOT NULL DEFAULT '{}',
  created_by text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision   bigint NOT NULL DEFAULT 1,
  deleted_at timestamptz
);
CREATE UNIQUE INDEX gateway_user_email ON gateway_user (lower(user_email)) WHERE deleted_at IS NULL;

CREATE TABLE organization_member (
  organization_id text NOT NULL REFERENCES organization,
  user_id         text NOT NULL REFERENCES gateway_user,
  user_role       text NOT NULL DEFAULT 'internal_user'
    CHECK (user_role IN ('org_admin', 'internal_user', 'internal_user_viewer')),
  limits          jsonb NOT NULL DEFAULT '{}',
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision        bigint NOT NULL DEFAULT 1,
  deleted_at      timestamptz,
  PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_member_user ON organization_member (user_id);

CREATE TABLE team (
  team_id         text PRIMARY KEY,
  team_alias      text,
  organization_id text REFERENCES organization,
  models          text[] NOT NULL DEFAULT '{}',
  blocked         boolean NOT NULL DEFAULT false,
  budget_id       text REFERENCES budget,
  limits          jsonb NOT NULL DEFAULT '{}',
  -- What applies to its requests: aliases, tags and the like.
  rules           jsonb NOT NULL DEFAULT '{}',
  metadata        jsonb NOT NULL DEFAULT '{}',
  extra           jsonb NOT NULL DEFAULT '{}',
  created_by      text,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision        bigint NOT NULL DEFAULT 1,
  deleted_at      timestamptz
);
CREATE INDEX team_organization ON team (organization_id);

CREATE TABLE team_member (
  team_id    text NOT NULL REFERENCES team,
  user_id    text NOT NULL REFERENCES gateway_user,
  role       text NOT NULL DEFAULT 'user' CHECK (role IN ('admin', 'user')),
  budget_id  text REFERENCES budget,
  limits     jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision   bigint NOT NULL DEFAULT 1,
  deleted_at timestamptz,
  PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_member_user ON team_member (user_id);

-- A customer of a caller: whom requests name in "user".
CREATE TABLE end_user (
  end_user_id text PRIMARY KEY,
  alias       text,
  blocked     boolean NOT NULL DEFAULT false,
  budget_id   text REFERENCES budget,
  limits      jsonb NOT NULL DEFAULT '{}',
  rules       jsonb NOT NULL DEFAULT '{}',
  extra       jsonb NOT NULL DEFAULT '{}',
  created_by  text,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision    bigint NOT NULL DEFAULT 1,
  deleted_at  timestamptz
);

-- A deployment that was made over the API. Secrets in its parameters are sealed.
CREATE TABLE model_definition (
  model_id   text PRIMARY KEY,
  model_name text NOT NULL,
  params     jsonb NOT NULL,
  info       jsonb NOT NULL DEFAULT '{}',
  created_by text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revision   bigint NOT NULL DEFAULT 1,
  deleted_at timestamptz
);

-- A row of api_key is one secret. A rotation adds a row with the same key_id; what a key is and has spent goes by key_id.
ALTER TABLE api_key
  ADD COLUMN key_id          text,
  ADD COLUMN team_id         text REFERENCES team,
  ADD COLUMN user_id         text REFERENCES gateway_user,
  ADD COLUMN organization_id text REFERENCES organization,
  ADD COLUMN budget_id       text REFERENCES budget,
  ADD COLUMN limits          jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN rules           jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN extra           jsonb NOT NULL DEFAULT '{}',
  -- A newer secret of this key exists; this one works until expires_at.
  ADD COLUMN superseded_at   timestamptz,
  ADD COLUMN rotation_count  integer NOT NULL DEFAULT 0,
  ADD COLUMN revision        bigint NOT NULL DEFAULT 1;
-- The hash of its first secret: rows of the ledger that know only the hash are the key's, too.
ALTER TABLE api_key DISABLE TRIGGER api_key_touch;
UPDATE api_key SET key_id = key_hash;
ALTER TABLE api_key ENABLE TRIGGER api_key_touch;
ALTER TABLE api_key ALTER COLUMN key_id SET NOT NULL;
CREATE UNIQUE INDEX api_key_current ON api_key (key_id) WHERE deleted_at IS NULL AND superseded_at IS NULL;
CREATE INDEX api_key_id ON api_key (key_id);
CREATE INDEX api_key_team ON api_key (team_id) WHERE deleted_at IS NULL;
CREATE INDEX api_key_user ON api_key (user_id) WHERE deleted_at IS NULL;
CREATE INDEX api_key_organization ON api_key (organization_id) WHERE deleted_at IS NULL;
CREATE INDEX api_key_budget ON api_key (budget_id) WHERE budget_id IS NOT NULL;

CREATE FUNCTION name_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- The version before knows no key_id.
  NEW.key_id := coalesce(NEW.key_id, NEW.key_hash);
  RETURN NEW;
END $$;
CREATE TRIGGER api_key_name BEFORE INSERT ON api_key FOR EACH ROW EXECUTE FUNCTION name_api_key();

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['budget', 'organization', 'gateway_user', 'organization_member', 'team',
                                 'team_member', 'end_user', 'model_definition'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION touch_updated_at()',
                   v_table || '_touch', v_table);
    EXECUTE format('CREATE INDEX %I ON %I (updated_at)', v_table || '_updated_at', v_table);
  END LOOP;
END $$;

-- Every change, chained: each row's hash covers the one before it. The head is locked last in a transaction.
CREATE TABLE audit_log (
  seq         bigint PRIMARY KEY,
  at          timestamptz NOT NULL,
  -- Who: a name for people, the hash of the key, and the user behind it.
  actor       text NOT NULL,
  actor_key   text NOT NULL,
  actor_user  text,
  action      text NOT NULL,
  object_kind text NOT NULL,
  object_id   text NOT NULL,
  -- {"field": [before, after]}; never a secret, never a whole key.
  change      jsonb NOT NULL,
  hash        text NOT NULL
);
CREATE INDEX audit_log_object ON audit_log (object_kind, object_id, seq);
CREATE TABLE audit_head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  seq      bigint NOT NULL,
  hash     text NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, repeat('0', 64));

-- Independent of the session's time zone and of how a client prints JSON.
CREATE FUNCTION audit_hash(p_before text, p audit_log) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT encode(sha256(convert_to(p_before || jsonb_build_array(
    p.seq, (extract(epoch FROM p.at) * 1000000)::bigint, p.actor, p.actor_key, p.actor_user, p.action, p.object_kind,
    p.object_id, p.change)::text, 'UTF8')), 'hex');
$$;

CREATE FUNCTION append_audit(p_actor text, p_actor_key text, p_actor_user text, p_action text, p_kind text, p_id text,
                             p_change jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_head audit_head;
  v_row audit_log;
BEGIN
  SELECT * INTO v_head FROM audit_head FOR UPDATE;
  v_row := (v_head.seq + 1, clock_timestamp(), p_actor, p_actor_key, p_actor_user, p_action, p_kind, p_id, p_change, '');
  v_row.hash := audit_hash(v_head.hash, v_row);
  INSERT INTO audit_log SELECT v_row.*;
  UPDATE audit_head SET seq = v_row.seq, hash = v_row.hash;
  RETURN v_row.seq;
END $$;

-- The first row that was changed, is missing or stands too much; NULL = the chain is whole, from its beginning to its head.
CREATE FUNCTION verify_audit() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_seq bigint := 0;
  v_hash text := repeat('0', 64);
  v_head audit_head;
  r audit_log;
BEGIN
  FOR r IN SELECT * FROM audit_log ORDER BY seq LOOP
    v_seq := v_seq + 1;
    IF r.seq <> v_seq OR r.hash <> audit_hash(v_hash, r) THEN RETURN v_seq; END IF;
    v_hash := r.hash;
  END LOOP;
  SELECT * INTO v_head FROM audit_head;
  IF v_head.seq <> v_seq OR v_head.hash <> v_hash THEN RETURN v_seq + 1; END IF;
  RETURN NULL;
END $$;

-- Answers to writes that carried an Idempotency-Key, for a day. Sealed with what only the client has: an answer may hold
-- a new key.
CREATE TABLE idempotent_answer (
  caller_hash  text NOT NULL,
  key          text NOT NULL,
  -- Hash of route and body: another request under the same key is a mistake.
  request_hash text NOT NULL,
  answer       bytea,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (caller_hash, key)
);
CREATE INDEX idempotent_answer_created_at ON idempotent_answer (created_at);

CREATE INDEX spend_entry_user ON spend_entry (user_id, at);
CREATE INDEX spend_entry_team ON spend_entry (team_id, at);
