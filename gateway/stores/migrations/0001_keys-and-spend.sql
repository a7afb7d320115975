-- Up Migration

-- A key is known by its SHA-256 only; the key itself is shown once and never stored.
CREATE TABLE api_key (
  key_hash   text PRIMARY KEY CHECK (key_hash ~ '^[0-9a-f]{64}$'),
  -- Masked form for people: "sk-...wxyz".
  key_name   text NOT NULL,
  key_alias  text UNIQUE,
  role       text NOT NULL DEFAULT 'caller' CHECK (role IN ('admin', 'caller')),
  -- Model groups; empty = all.
  models     text[] NOT NULL DEFAULT '{}',
  blocked    boolean NOT NULL DEFAULT false,
  expires_at timestamptz,
  metadata   jsonb NOT NULL DEFAULT '{}',
  created_by text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Gateways poll for what changed since they last looked, so a deleted key stays as a tombstone.
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at timestamptz
);
CREATE INDEX api_key_updated_at ON api_key (updated_at);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER api_key_touch BEFORE UPDATE ON api_key FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- One row for each request that was let through to an upstream.
CREATE TABLE spend_event (
  -- Made by the gateway: an id that a client could repeat would let it hide requests.
  request_id        uuid PRIMARY KEY,
  -- What the client sent as x-litellm-call-id, else the request id.
  call_id           text NOT NULL,
  key_hash          text NOT NULL,
  operation         text NOT NULL,
  requested_model   text NOT NULL,
  model_group       text NOT NULL,
  deployment_id     text,
  provider          text,
  model             text,
  status            smallint NOT NULL,
  ending            text NOT NULL CHECK (ending IN ('finished', 'broken', 'abandoned', 'failed')),
  stream            boolean NOT NULL,
  prompt_tokens     integer,
  completion_tokens integer,
  -- Millionths of a US dollar; NULL = not priced yet, never a silent 0.
  cost_micros       bigint,
  attempts          smallint NOT NULL,
  fallbacks         smallint NOT NULL,
  started_at        timestamptz NOT NULL,
  duration_ms       integer NOT NULL
);
CREATE INDEX spend_event_key ON spend_event (key_hash, started_at);
CREATE INDEX spend_event_started_at ON spend_event (started_at);
