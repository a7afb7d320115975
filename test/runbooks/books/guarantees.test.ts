/** What single books promise beyond what holds for all of them. */
import { describe, expect, it } from 'vitest';
import { backupFault, backups } from '../../../lib/platform/backups.ts';
import { judge } from '../../../runbooks/books/canary-world.ts';
import { databaseRestore } from '../../../runbooks/books/database-restore.ts';
import { type DrillResult, drillDue, drillFaults } from '../../../runbooks/books/drill-history.ts';
import { canaryShares } from '../../../runbooks/books/region-failback.ts';
import { versionFault } from '../../../runbooks/books/upgrade.ts';
import type { World } from '../../../runbooks/books/world.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { optionsFor } from '../engine/world.ts';
import { type BookCase, everyBook } from './every-book.ts';
import type { SimulatedWorld } from './simulated-world.ts';

function caseOf(id: string): BookCase {
  const found = everyBook.find((one) => one.id === id);
  if (found === undefined) throw new Error(`there is no book ${id}`);
  return found;
}

const options = (one: BookCase, world: SimulatedWorld, more: Partial<RunOptions<World>> = {}) =>
  optionsFor<World>(one.book, world, { confirm: async (_, expected) => expected, ...more });

describe('region-switchover', () => {
  const one = caseOf('region-switchover');

  it('closes the former writer, sees the closed row on the replica, and loses nothing', async () => {
    const world = one.world();
    const journal = new MemoryJournal();
    await run(options(one, world, { journal }));
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'held' });
    expect(world.database('a').row).toEqual({ epoch: 1, writer: 'a', state: 'closed' });
    const replayed = (await journal.read()).find((event) => event.is === 'found-done' && event.step === 'replayed');
    expect(replayed).toMatchObject({ facts: { lostWrites: 0, dataLossSeconds: 0 } });
    // Fencing was read back: transactions are waited for, not the lease.
    expect(world.waits).toEqual([5]);
  });

  it('is refused on lag, before anything is closed', async () => {
    const world = one.world();
    world.database('b').lagSeconds = 6;
    expect(await run(options(one, world))).toMatchObject({ is: 'refused', step: 'lag' });
    expect(world.database('a').row.state).toBe('open');
  });

  it('promotes nothing while the closing row has not arrived, and opens the former writer again when taken back', async () => {
    const world = one.world();
    const source = world.database('b').source;
    world.database('b').source = undefined;
    const journal = new MemoryJournal();
    expect(await run(options(one, world, { journal }))).toMatchObject({ is: 'timed-out', step: 'replayed' });
    expect(world.database('b').promotions).toBe(0);
    world.database('b').source = source;
    expect(await undo(options(one, world, { journal }))).toMatchObject({ is: 'completed' });
    expect(world.database('a').row).toEqual({ epoch: 2, writer: 'a', state: 'open' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'a', phase: 'held' });
  });
});

describe('region-failback', () => {
  const one = caseOf('region-failback');

  it('lists what only the old database has, and moves the writer after every share has been watched', async () => {
    const world = one.world();
    const journal = new MemoryJournal();
    expect(await run(options(one, world, { journal }))).toEqual({ is: 'completed' });
    const done = (await journal.read()).flatMap((event) =>
      event.is === 'verified' || event.is === 'found-done' ? [event.step] : [],
    );
    expect(done.indexOf('lost-writes')).toBeLessThan(done.indexOf('rebuild'));
    for (const share of canaryShares) expect(done.indexOf(`bake-${share}`)).toBeLessThan(done.indexOf('close'));
    // The object divides clients by shares: it goes when all are back, and leaves no share for the next takeover.
    expect(done.indexOf('bake-100')).toBeLessThan(done.indexOf('give-back'));
    expect(done.indexOf('give-back')).toBeLessThan(done.indexOf('rest'));
    expect(world.shareOfA).toBe(0);
    expect(world.takeovers.size).toBe(0);
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 3, writer: 'a' });
  });

  it.each([
    ['errors', { requests: 1_000, errors: 11, addedLatencyMs: 5 }],
    ['latency', { requests: 1_000, errors: 0, addedLatencyMs: 140 }],
  ])('steps back by itself when %s appear at 25 %%, and the writer stays where it is', async (_, bad) => {
    const world = one.world();
    const { set } = world.shares;
    world.shares.set = async (region, percent) => {
      await set(region, percent);
      if (percent === 25) world.vitalsNow = bad;
    };
    const journal = new MemoryJournal();
    expect(await run(options(one, world, { journal }))).toMatchObject({ is: 'partial', step: 'bake-25' });
    expect(world.shareOfA).toBe(0);
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'b', phase: 'held' });
    // Resumed, it does not go on as if nothing had been.
    expect(await run(options(one, world, { journal }))).toMatchObject({
      step: 'bake-25',
      because: expect.stringContaining('set back'),
    });
  });

  it('goes no further with a share that nobody used', async () => {
    const world = one.world();
    world.vitalsNow = { requests: 3, errors: 0, addedLatencyMs: undefined };
    expect(await run(options(one, world))).toMatchObject({
      is: 'partial',
      step: 'bake-10',
      because: expect.stringContaining('3 of 20'),
    });
    expect(world.shareOfA).toBe(10);
  });

  it('is refused while another run has the right to write in its hands', async () => {
    const world = one.world();
    const [bucket] = world.buckets;
    if (bucket?.claim !== undefined) bucket.claim = { ...bucket.claim, phase: 'seized', run: 'theirs' };
    expect(await run(options(one, world))).toMatchObject({ is: 'refused', step: 'fenced' });
  });
});

describe('release', () => {
  it('puts the zone and the standby back to the version before when it does harm, and touches no other zone', async () => {
    const one = caseOf('release');
    const world = one.world();
    const { roll } = world.releases;
    world.releases.roll = async (part, image) => {
      await roll(part, image);
      if (part.zone !== undefined) world.vitalsNow = { requests: 500, errors: 50, addedLatencyMs: 0 };
    };
    expect(await run(options(one, world))).toMatchObject({ is: 'partial', step: 'bake-zone' });
    expect(world.images.get('a/a1')).toBe('image:1');
    expect(world.images.get('b')).toBe('image:1');
    expect(world.images.has('a')).toBe(false);
  });
});

describe('credential-rotation', () => {
  it('has both accepted before anybody changes over, and can be taken back until the old one is refused', async () => {
    const one = caseOf('credential-rotation');
    const world = one.world();
    const journal = new MemoryJournal();
    const declined = options(one, world, { journal, confirm: async () => 'no' });
    expect(await run(declined)).toMatchObject({ is: 'partial', step: 'retire' });
    expect(world.credential.accepted).toEqual(['v1', 'version-run-1']);
    expect(await undo(options(one, world, { journal }))).toMatchObject({ is: 'completed' });
    expect(world.credential).toMatchObject({ current: 'v1', accepted: ['v1'], used: ['v1'] });
  });
});

describe('database-restore', () => {
  it('uses nothing that holds no keys, and fences the old database before the new one is written', async () => {
    const one = caseOf('database-restore');
    const world = one.world();
    world.keysInBackup = 0;
    expect(await run(options(one, world))).toMatchObject({ is: 'partial', step: 'read' });
    expect(world.buckets[0]?.claim).toMatchObject({ epoch: 1, phase: 'held' });
    const sound = one.world();
    await run(options(one, sound));
    expect(sound.buckets[0]?.claim).toMatchObject({ epoch: 2, writer: 'a', phase: 'held' });
    expect(sound.restoredEpoch).toBe(2);
    expect(sound.waits).toEqual([18]);
    expect(sound.missing).toBe(0);
  });

  it('restores an old dump only when it is named, and in a world that has the newest alone no other one', async () => {
    const restore = (dump?: string) => {
      const world = caseOf('database-restore').world();
      world.backupAges = { 'postgresql-dump': 27 * 3_600 };
      const book = databaseRestore({ region: 'a', way: 'dump', at: undefined, dump });
      return run(optionsFor<World>(book, world, { confirm: async (_, expected) => expected }));
    };
    expect(await restore()).toMatchObject({
      is: 'refused',
      because:
        'the newest dump, postgresql-dump-7, is 27 hours old, and one is made each day (at most 26 hours are good)',
      fix: expect.stringContaining('dump=postgresql-dump-7'),
    });
    expect(await restore('postgresql-dump-6')).toMatchObject({
      is: 'refused',
      because: 'dump: there is no postgresql-dump-6',
    });
    expect(await restore('postgresql-dump-7')).toEqual({ is: 'completed' });
  });
});

describe('backup-verify', () => {
  it('stops at a backup that is too old, and leaves nothing behind when all is well', async () => {
    const one = caseOf('backup-verify');
    const world = one.world();
    world.backupAges = { 'vault-snapshot': 3 * 3_600 };
    expect(await run(options(one, world))).toMatchObject({
      step: 'fresh-vault-snapshot',
      because: 'the newest vault-snapshot is 180 minutes old, at most 120 are good',
    });
    const sound = one.world();
    await run(options(one, sound));
    expect(sound.acts.get('remove restored')).toBe(1);
  });

  it("knows the specification's table: how often, how long, where", () => {
    const hours = Object.fromEntries(
      Object.entries(backups).map(([name, { everySeconds, retentionDays, place }]) => [
        name,
        [everySeconds / 3_600, retentionDays, place],
      ]),
    );
    expect(hours).toEqual({
      'postgresql-full': [24, 30, 'cross-region'],
      'postgresql-wal': [0, 7, 'cross-region'],
      'vault-snapshot': [1, 7, 'cross-region'],
      'redis-rdb': [1, 1, 'same-region'],
      configuration: [24, undefined, 'git'],
      'secrets-metadata': [24, 30, 'vault-backup'],
    });
    expect(backupFault('redis-rdb', undefined)).toBeUndefined();
    expect(backupFault('postgresql-full', undefined)).toBe('there is no postgresql-full');
  });
});

describe('zone-evacuation', () => {
  it('gives the zone its traffic back when taken back, and leaves the stores where they are', async () => {
    const one = caseOf('zone-evacuation');
    const world = one.world();
    const journal = new MemoryJournal();
    await run(options(one, world, { journal }));
    expect(world.placed).toEqual({ database: 'a2', cache: 'a2' });
    expect(await undo(options(one, world, { journal }))).toEqual({ is: 'completed', undone: ['shift'] });
    expect(world.shifts.size).toBe(0);
    expect(world.placed).toEqual({ database: 'a2', cache: 'a2' });
  });
});

describe('upgrade', () => {
  it.each([
    ['database', '18.4', '18.6', undefined],
    ['database', '17.9', '18.1', /major step/],
    ['database', '18.6', '18.4', /newer/],
    ['cluster', '1.35', '1.36', undefined],
    ['cluster', '1.35', '1.37', /more than one/],
    ['cluster', '1.35', 'latest', /no version/],
  ] as const)('of a %s from %s to %s', (component, from, to, fault) => {
    const found = versionFault(component, from, to);
    if (fault === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(fault);
  });

  it('is refused by what the service itself finds, before the first replica changes', async () => {
    const one = caseOf('upgrade');
    const world = one.world();
    world.obstaclesFound = ['a logical replication slot is in use'];
    expect(await run(options(one, world))).toMatchObject({ is: 'refused', step: 'obstacles' });
    expect(world.acts.size).toBe(0);
  });
});

describe('the gate', () => {
  const limits = { maxErrorPercent: 1, maxAddedLatencyMs: 100, minRequests: 20 };

  it.each([
    [{ requests: 100, errors: 1, addedLatencyMs: 100 }, 'passes'],
    [{ requests: 100, errors: 2, addedLatencyMs: 0 }, 'breached'],
    [{ requests: 100, errors: 0, addedLatencyMs: 101 }, 'breached'],
    [{ requests: 100, errors: 0, addedLatencyMs: undefined }, 'passes'],
    [{ requests: 3, errors: 1, addedLatencyMs: 0 }, 'too-few'],
  ] as const)('%j %s', (vitals, expected) => {
    expect(judge(vitals, limits).is).toBe(expected);
  });
});

describe('drills', () => {
  const passed: DrillResult = {
    run: 'r-1',
    at: '2026-01-01T00:00:00.000Z',
    book: 'region-failover',
    environment: 'lab',
    isComplete: true,
    recoverySeconds: 60,
    numbers: {
      requests: 9_000,
      errorPercent: 0.5,
      retriedPercent: 1,
      addedLatencyMs: 40,
      troubleSeconds: 1,
      servingGapSeconds: 3,
      clientsAwaySeconds: undefined,
      writeGapSeconds: 12,
      dataLossSeconds: 10,
      acknowledgedWrites: 100,
      lostWrites: 0,
      spendEventsLost: 0,
      spendEventsDoubled: 0,
      invariantViolations: undefined,
    },
    violations: [],
    epochHistory: [],
  };

  it("pass inside the tier's objectives, and never by what was not measured", () => {
    expect(drillFaults(passed, { recoverySeconds: 60 }, 'critical')).toEqual([]);
    expect(drillFaults(passed, { recoverySeconds: 901 }, 'critical')).toEqual([
      'the recovery time was 901 s, at most 900 are good',
    ]);
    const unmeasured = { ...passed, numbers: { ...passed.numbers, spendEventsLost: undefined } };
    expect(drillFaults(unmeasured, { recoverySeconds: 60 }, 'critical')).toEqual(['spend lost was not measured']);
  });

  it('fail when what must never happen did, and when a planned move failed or lost anything', () => {
    const broken = { ...passed, numbers: { ...passed.numbers, invariantViolations: 1 } };
    expect(drillFaults(broken, { recoverySeconds: 60 }, 'critical')).toEqual([
      'what must never happen was 1 times, at most 0 are good',
    ]);
    const planned = { ...passed, book: 'region-switchover', numbers: { ...passed.numbers, lostWrites: 1 } };
    expect(drillFaults(planned, { recoverySeconds: 60 }, 'critical')).toEqual([
      'acknowledged writes lost was 1 writes, at most 0 are good',
      'the share of errors of a planned move was 0.5 %, at most 0 are good',
    ]);
  });

  it.each([
    ['critical', 30],
    ['high', 30],
    ['standard', 90],
  ] as const)('are due for the tier %s after %i days', (tier, days) => {
    const later = (after: number) => new Date(Date.parse(passed.at) + after * 86_400_000);
    expect(drillDue([passed], 'region-failover', tier, later(days - 1)).daysLeft).toBe(1);
    expect(drillDue([passed], 'region-failover', tier, later(days + 2)).daysLeft).toBe(-2);
    expect(drillDue([passed], 'region-switchover', tier, later(1)).lastAt).toBeUndefined();
  });
});
