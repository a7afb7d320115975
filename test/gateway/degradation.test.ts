import { describe, expect, it } from 'vitest';
import { Degradations, degradationsOf, type StandingFacts } from '../../gateway/degradation.ts';

const well: StandingFacts = {
  schemaFault: undefined,
  databaseUp: true,
  redisUp: true,
  snapshotAgeSeconds: undefined,
  pressure: 'none',
  leaderKnown: true,
  configFault: undefined,
  restartRequired: [],
};
const reasons = (facts: Partial<StandingFacts>) => degradationsOf({ ...well, ...facts }).map(({ reason }) => reason);

describe('what a gateway does without', () => {
  it.each<[string, Partial<StandingFacts>, readonly string[]]>([
    ['nothing', {}, []],
    ['what is not there at all is not missed', { databaseUp: undefined, redisUp: undefined, pressure: undefined }, []],
    ['PostgreSQL', { databaseUp: false }, ['database']],
    ['PostgreSQL since the start', { databaseUp: false, snapshotAgeSeconds: 60 }, ['database', 'snapshot']],
    ['Redis', { redisUp: false }, ['redis']],
    ['room for spend', { pressure: 'soft' }, ['outbox']],
    ['a leader', { leaderKnown: false }, ['leader']],
    ['a leader, since the database is away', { leaderKnown: false, databaseUp: false }, ['database']],
    ['the newest configuration', { configFault: 'line 3: sk-secret' }, ['config']],
    ['a restart', { restartRequired: ['general_settings.database_url'] }, ['restart-required']],
  ])('%s', (_what, facts, expected) => {
    expect(reasons(facts)).toEqual(expected);
  });

  it('does not tell the pages of probes what is wrong with a configuration', () => {
    expect(JSON.stringify(degradationsOf({ ...well, configFault: 'line 3: model gpt-secret' }))).not.toContain('gpt');
  });

  it('is known since it began, and begins anew after it was over', () => {
    let facts = well;
    let nowMs = 1_000;
    const degradations = new Degradations(
      () => facts,
      () => nowMs,
    );
    const since = () => degradations.list().map(({ sinceMs }) => sinceMs);
    expect(since()).toEqual([]);
    facts = { ...well, redisUp: false };
    expect(since()).toEqual([1_000]);
    nowMs = 2_000;
    expect(since()).toEqual([1_000]);
    facts = well;
    expect(since()).toEqual([]);
    facts = { ...well, redisUp: false };
    expect(since()).toEqual([2_000]);
  });
});
