/** What of a grant may be spent, with candidates that show it, lag behind, are silent, or are cut off. */
import { describe, expect, it } from 'vitest';
import { Candidates, reliedOn } from '../../../gateway/cluster/candidates.ts';
import { ConfirmedGrants, confirmedReply, showSlices } from '../../../gateway/cluster/confirmed-grants.ts';
import type { RegionState } from '../../../gateway/domain/region.ts';
import type { BudgetClaim, BudgetReply } from '../../../gateway/domain/slices.ts';

const held: RegionState = {
  standing: 'writer',
  epoch: 1,
  writer: 'a',
  phase: 'held',
  leaseRemainingMs: 10_000,
  replayLagMs: 0,
  candidates: ['b', 'c'],
  ttlSeconds: 15,
  faults: [],
};
const reply = (granted: number, free = 4): BudgetReply => ({
  account: 'team',
  granted,
  free,
  spent: 0,
  max: 10,
  windowMs: undefined,
});
const claim = (want: number, granted = 0): BudgetClaim => ({
  account: 'team',
  granted,
  returned: 0,
  want,
  slack: 0,
  ticket: 1,
});

describe('what of a grant may be spent', () => {
  it.each([
    ['all, when every candidate shows it', 6, 0, 6, 6, 4],
    ['nothing new while a candidate shows nothing; it is not used up either', 6, 0, 0, 0, 10],
    ['what a candidate that lags shows', 6, 1, 3, 3, 7],
    ['what could be spent before, whatever a candidate shows', 6, 5, 2, 5, 5],
    ['no more than was granted, should a candidate show more', 6, 0, 9, 6, 4],
  ])('%s', (_case, granted, known, shown, usable, free) => {
    expect(confirmedReply(reply(granted), known, shown)).toMatchObject({ granted: usable, free });
  });
});

describe('whom grants rely on', () => {
  it.each([
    ['every candidate', {}, ['b', 'c']],
    ['nobody where another region writes', { writer: 'b' }, []],
    ['nobody after a failover, before there is a replica', { candidates: [] }, []],
    ['nobody in an installation without a claim', { candidates: undefined }, []],
    ['nobody where the right to write was given without the claim', { leaseRemainingMs: null }, []],
    ['not known before the claim of this epoch was read', { candidates: [], phase: undefined }, undefined],
  ] as const)('%s', (_case, over, names) => expect(reliedOn('a', { ...held, ...over })).toEqual(names));
});

/** Candidates that answer as the test says, a database that grants what is wanted, and a clock. */
function writer(over: { isStrict?: boolean; isBeyondRpo?: boolean } = {}) {
  const names: readonly string[] | undefined = ['b'];
  const world = { nowMs: 0, shows: 0, granted: 0, names, answers: true, lagMs: 0, showUntilMs: 0, calls: 0 };
  const grants = new ConfirmedGrants({
    local: {
      grant: async (_log, claims) => {
        world.calls++;
        world.granted = Math.max(world.granted, ...claims.map(({ want }) => want));
        return [reply(world.granted)];
      },
    },
    candidates: {
      get names() {
        return world.names;
      },
      get answer() {
        return world.answers;
      },
      get longestLagMs() {
        return world.lagMs;
      },
      get showUntilMs() {
        return world.showUntilMs;
      },
    },
    link: {
      call: async () => {
        if (!world.answers) throw new Error('silence');
        return { shown: world.shows === 0 ? [] : [['team', world.shows]] };
      },
    },
    isStrict: () => over.isStrict ?? true,
    isBeyondRpo: () => over.isBeyondRpo ?? false,
    now: () => world.nowMs,
  });
  return { world, grants, ask: (want: number, granted = 0) => grants.grant('log', [claim(want, granted)]) };
}

describe('the writer region', () => {
  it('lets nothing be spent that the candidate does not show, and all of it once it does; nothing is granted twice', async () => {
    const { world, ask } = writer();
    expect(await ask(6)).toMatchObject([{ granted: 0, free: 10 }]);
    world.shows = 6;
    expect(await ask(6)).toMatchObject([{ granted: 6, free: 4 }]);
    expect(world.granted).toBe(6);
  });

  it('grants nothing while a candidate is silent, but takes back what is returned', async () => {
    const { world, ask } = writer();
    world.answers = false;
    await expect(ask(6)).rejects.toThrow();
    expect(world.calls).toBe(0);
    expect(await ask(0)).toMatchObject([{ granted: 0 }]);
  });

  it('grants without a candidate that has been cut off for a minute, and says how much until it is shown', async () => {
    const { world, grants, ask } = writer();
    world.answers = false;
    world.lagMs = 59_000;
    await expect(ask(6)).rejects.toThrow();
    world.lagMs = 61_000;
    world.nowMs = 61_000;
    expect(await ask(6)).toMatchObject([{ granted: 6, free: 4 }]);
    expect(grants.unconfirmedMicros).toBe(6);
    expect(grants.overdueMicros).toBe(6);
    Object.assign(world, { answers: true, lagMs: 0, showUntilMs: 62_000 });
    expect(grants.unconfirmedMicros).toBe(0);
  });

  it('waits for nobody when the configuration says so, and says what a failover could grant again', async () => {
    const { grants, ask } = writer({ isStrict: false });
    expect(await ask(6)).toMatchObject([{ granted: 6, free: 4 }]);
    expect(grants.unconfirmedMicros).toBe(6);
    expect(grants.overdueMicros).toBe(0);
  });

  it('lets nothing new be spent while nobody knows who the candidates are, also when it was granted before', async () => {
    const { world, ask } = writer();
    world.granted = 6;
    Object.assign(world, { names: undefined, answers: false });
    expect(await ask(0)).toMatchObject([{ granted: 0, free: 10 }]);
    await expect(ask(7)).rejects.toThrow();
  });

  it('counts all that it grants to a region that is cut off for days', async () => {
    const { world, grants, ask } = writer();
    world.lagMs = 61_000;
    for (let count = 1; count <= 1_500; count++) {
      world.nowMs += 2_000;
      await ask(count, count - 1);
    }
    expect(grants.unconfirmedMicros).toBe(1_500);
    world.showUntilMs = world.nowMs - 1_000;
    expect(grants.unconfirmedMicros).toBe(1);
  });

  it('waits for nobody where there is no candidate', async () => {
    const { world, grants, ask } = writer();
    world.names = [];
    expect(await ask(6)).toMatchObject([{ granted: 6 }]);
    expect(grants.unconfirmedMicros).toBe(0);
  });

  it('grants nothing new while more would be lost than may be', async () => {
    const { ask } = writer({ isBeyondRpo: true, isStrict: false });
    await expect(ask(6)).rejects.toThrow();
    expect(await ask(0)).toMatchObject([{ granted: 0 }]);
  });
});

describe('a candidate', () => {
  it('looks at its rows until they show what is wanted, and no longer than a second', async () => {
    let nowMs = 0;
    const clock = {
      now: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    };
    const replayedAtMs = 300;
    const rows = { shown: async () => new Map(nowMs < replayedAtMs ? [] : [['team', 6]]) };
    expect(await showSlices(rows, 'log', [['team', 6]], clock)).toEqual(new Map([['team', 6]]));
    expect(nowMs).toBeLessThan(replayedAtMs + 150);
    nowMs = 0;
    expect(await showSlices({ shown: async () => new Map() }, 'log', [['team', 6]], clock)).toEqual(new Map());
    expect(nowMs).toBeLessThanOrEqual(1_000);
  });
});

describe('how far a candidate is behind', () => {
  function watched(state: () => RegionState = () => ({ ...held, candidates: ['b'] })) {
    const world = { nowMs: 0, ageMs: 0, isNewest: true, answers: true, epoch: 1 };
    const candidates = new Candidates({
      region: 'a',
      state,
      rows: { behind: async () => ({ ageMs: world.ageMs, lagMs: world.isNewest ? 0 : world.ageMs }) },
      link: {
        call: async () => {
          if (!world.answers) throw new Error('silence');
          return { epoch: world.epoch, until: 'a time' };
        },
      },
      now: () => world.nowMs,
      onError: () => undefined,
    });
    return { world, candidates };
  }

  it('is what its newest renewal says, and grows while nobody hears it', async () => {
    const { world, candidates } = watched();
    world.nowMs = 100_000;
    Object.assign(world, { ageMs: 7_000, isNewest: false });
    await candidates.look();
    expect(candidates.longestLagMs).toBe(7_000);
    expect(candidates.showUntilMs).toBe(93_000);
    world.answers = false;
    world.nowMs = 110_000;
    await candidates.look();
    expect(candidates.answer).toBe(false);
    expect(candidates.shortestLagMs).toBe(17_000);
    Object.assign(world, { answers: true, isNewest: true, ageMs: 1_000 });
    await candidates.look();
    expect([candidates.answer, candidates.longestLagMs]).toEqual([true, 0]);
  });

  it('grows from the first question on when it never answers, and one of an older epoch shows nothing', async () => {
    const { world, candidates } = watched();
    world.epoch = 0;
    await candidates.look();
    world.nowMs = 70_000;
    await candidates.look();
    expect([candidates.longestLagMs, candidates.answer]).toEqual([70_000, false]);
    expect(candidates.showUntilMs).toBe(Number.NEGATIVE_INFINITY);
  });

  it('grows while nobody knows who the candidates are: the claim of this epoch cannot be read', async () => {
    const { world, candidates } = watched(() => ({ ...held, phase: undefined, candidates: [] }));
    await candidates.look();
    world.nowMs = 61_000;
    expect([candidates.longestLagMs, candidates.answer]).toEqual([61_000, false]);
  });
});
