/** Designs that look right and are not: each replaces one decision, and the check over the history must find it. */
import { type RegionRules, regionRules } from '../../../gateway/region/rules.ts';
import type { RegionName, TwoRegions } from '../../../runbooks/lab/two-regions.ts';
import { ForgetsByPosition } from './by-position.ts';
import type { MayForget } from './region-gateway.ts';

export interface Variant {
  readonly rules: RegionRules;
  readonly waits: boolean;
  readonly reports: boolean;
  /** Done to the writer's database before anything else. */
  readonly sql?: string;
  /** Instead of the rule by which an outbox forgets. */
  readonly mayForget?: (lab: TwoRegions, name: RegionName) => MayForget;
}

export const chosen: Variant = { rules: regionRules, waits: true, reports: true };

const aDay = 86_400_000;
const note = `set_config('holdfast.write_epoch', e.epoch::text, true)`;

/** A first statement that looks at something else than the chosen one. */
const beginning =
  (condition: string): RegionRules['beginControlWrite'] =>
  (epoch, region, marginMs) => ({
    text: `SELECT e.epoch, ${aDay} AS lease_ms, ${note} FROM region_epoch e CROSS JOIN region_lease l
            WHERE ($1::bigint IS NULL OR true) AND ($2::text IS NULL OR true) AND ($3::float8 IS NULL OR true)
              AND (${condition} OR ('no such row' || e.epoch)::bigint = 0)`,
    values: [epoch ?? null, region, marginMs / 1000],
  });

const withRules = (naive: Partial<RegionRules>, more: Partial<Variant> = {}): Variant => ({
  ...chosen,
  rules: { ...regionRules, ...naive },
  ...more,
});

const always = (): true => true;

/** Takes what it has taken before, and counts all that it is handed instead of what was new. */
const countsAgain = `DO $$ DECLARE
    v_text text := pg_get_functiondef('ship_events(uuid, bigint, json, boolean)'::regprocedure);
    v_change text[];
  BEGIN
    FOREACH v_change SLICE 1 IN ARRAY ARRAY[
      ['OR v_last <= v_applied', ''],
      ['WHERE p_first + e.place - 1 > v_applied', ''],
      ['FROM inserted, unnest(accounts) AS one',
       'FROM json_to_recordset(p_events) AS e(accounts text[], cost bigint), LATERAL (SELECT e.cost AS cost_micros) AS c,
          unnest(e.accounts) AS one']]
    LOOP
      IF strpos(v_text, v_change[1]) = 0 THEN RAISE 'ship_events has no "%"', v_change[1]; END IF;
      v_text := replace(v_text, v_change[1], v_change[2]);
    END LOOP;
    EXECUTE v_text;
  END $$`;

export const naive = {
  'no lease': withRules({
    beginControlWrite: beginning(`e.epoch = $1 AND e.writer_region = $2 AND e.state = 'open'`),
    mayAcknowledge: always,
  }),
  'no second look': withRules({ mayAcknowledge: always }),
  'a row that does not name its writer': withRules({
    beginControlWrite: beginning(`e.state = 'open'`),
    mayAcknowledge: always,
  }),
  'no lock on the row': withRules({
    // The same conditions, and nothing that makes closing the row wait.
    beginControlWrite: (epoch, region, marginMs) => ({
      text: `SELECT e.epoch, ${note}, floor(extract(epoch FROM l.until - clock_timestamp()) * 1000)::bigint AS lease_ms
               FROM region_epoch e CROSS JOIN region_lease l
              WHERE e.epoch = $1 AND e.writer_region = $2 AND e.state = 'open' AND l.epoch = e.epoch
                AND l.until > clock_timestamp() + make_interval(secs => $3)
             UNION ALL SELECT ('no right' || e.epoch)::bigint, '', 0 FROM region_epoch e
              WHERE NOT (e.epoch = $1 AND e.writer_region = $2 AND e.state = 'open')`,
      values: [epoch ?? null, region, marginMs / 1000],
    }),
  }),
  'forgets what is committed': withRules({ mayForget: always }),
  'forgets by the position in the log': withRules({}, { mayForget: (lab, name) => new ForgetsByPosition(lab, name) }),
  'counts again what it is sent again': withRules({}, { sql: countsAgain }),
  'no report before the rebuild': withRules({}, { reports: false }),
  'no wait before the promotion': withRules({}, { waits: false }),
  'an epoch that is counted up': withRules({
    raised: (row, _epoch, writer) => ({ epoch: row.epoch + 1, writer, state: 'open' }),
  }),
} satisfies Readonly<Record<string, Variant>>;
