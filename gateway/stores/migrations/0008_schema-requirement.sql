-- Up Migration

-- Which gateways may still use this schema. A migration that takes something away from older ones (a column they read, a
-- function they call) raises the number in the same transaction and says why; see gateway/stores/schema-watch.ts.
CREATE TABLE schema_requirement (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- A gateway knows its own generation; a smaller one must not start.
  generation integer NOT NULL CHECK (generation > 0),
  because    text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO schema_requirement (generation, because) VALUES (1, 'every gateway so far');
