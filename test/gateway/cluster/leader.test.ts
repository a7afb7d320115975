import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LeaderElection, type Leadership, leaseFault } from '../../../gateway/cluster/leader.ts';
import { LeaderLease } from '../../../gateway/stores/leader-lease.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';

const leaseSeconds = 0.6;
const renewSeconds = 0.15;
const template = { name: 'migrated_for_leader', prepare: async (url: string) => void (await migrate(url)) };

async function database(): Promise<string> {
  const fresh = await freshDatabase(template);
  onTestFinished(() => fresh.drop());
  return fresh.url;
}

/** A candidate whose way to the database can be cut. */
function candidate(url: string, holder: string) {
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  const lease = new LeaderLease(pool, 'config_sync', leaseSeconds);
  const changes: Leadership[] = [];
  const listeners = new Set<(leadership: Leadership) => void>();
  const state = { cut: false };
  const election = new LeaderElection({
    lease: {
      take: (who) => (state.cut ? Promise.reject(new Error('cut off')) : lease.take(who)),
      resign: (who) => lease.resign(who),
    },
    holder,
    leaseSeconds,
    renewSeconds,
    now: () => performance.now(),
    onChange: (leadership) => {
      changes.push(leadership);
      for (const listener of listeners) listener(leadership);
    },
    onError: () => undefined,
  });
  onTestFinished(async () => {
    await election.stop();
    await pool.end();
  });
  const becomes = (is: Leadership['is']): Promise<Leadership> =>
    new Promise((resolve) => {
      if (election.leadership.is === is) resolve(election.leadership);
      listeners.add((leadership) => {
        if (leadership.is === is) resolve(leadership);
      });
    });
  return { election, changes, becomes, state };
}

const epochIn = async (url: string): Promise<unknown> =>
  (await query(url, 'SELECT epoch FROM leader_lease'))[0]?.['epoch'];

describe('leader election', () => {
  it('has one leader among many, and says to the others who it is', async () => {
    const url = await database();
    const candidates = ['a', 'b', 'c', 'd'].map((holder) => candidate(url, holder));
    for (const { election } of candidates) election.start();
    await Promise.all(candidates.map(({ becomes }) => Promise.race([becomes('leader'), becomes('follower')])));
    const standings = candidates.map(({ election }) => election.leadership);
    expect(standings.filter(({ is }) => is === 'leader')).toHaveLength(1);
    const leaders = new Set(standings.flatMap((standing) => (standing.is === 'follower' ? [standing.leader] : [])));
    expect(leaders.size).toBe(1);
  });

  it('ends the leadership of a process that lost its database before another one can begin', async () => {
    const url = await database();
    const [first, second] = [candidate(url, 'a'), candidate(url, 'b')];
    first.election.start();
    await first.becomes('leader');
    second.election.start();
    await second.becomes('follower');
    const ended = first.becomes('unknown').then(() => performance.now());
    first.state.cut = true;
    const began = second.becomes('leader').then(() => performance.now());
    const [endedAt, beganAt] = await Promise.all([ended, began]);
    expect(beganAt).toBeGreaterThan(endedAt);
  });

  it('passes on at once when the leader resigns, and its epoch never goes back', async () => {
    const url = await database();
    const epochs: unknown[] = [];
    for (const holder of ['a', 'b', 'a', 'a']) {
      const { election, becomes } = candidate(url, holder);
      const begun = performance.now();
      election.start();
      await becomes('leader');
      expect(performance.now() - begun).toBeLessThan(leaseSeconds * 1000);
      epochs.push(await epochIn(url));
      await election.stop();
    }
    expect(epochs).toEqual([1n, 2n, 3n, 4n]);
  });

  it('keeps its epoch over renewals, and gets a new one after its lease has run out', async () => {
    const url = await database();
    const { election, becomes, state } = candidate(url, 'a');
    election.start();
    await becomes('leader');
    await sleep(renewSeconds * 3 * 1000);
    expect(election.leadership).toEqual({ is: 'leader', epoch: 1n });
    state.cut = true;
    await becomes('unknown');
    expect(election.renewalFailures).toBeGreaterThan(1);
    await query(url, 'UPDATE leader_lease SET expires_at = clock_timestamp()');
    state.cut = false;
    expect(await becomes('leader')).toEqual({ is: 'leader', epoch: 2n });
  });

  it('refuses the write of a leader that slept through its lease, however late it wakes up', async () => {
    const url = await database();
    const { election, becomes } = candidate(url, 'a');
    election.start();
    await becomes('leader');
    await query(url, `SELECT require_leader('config_sync', 1)`);
    await query(url, 'UPDATE leader_lease SET expires_at = clock_timestamp()');
    await query(url, `SELECT take_leader_lease('config_sync', 'b', '10 s')`);
    await expect(query(url, `SELECT require_leader('config_sync', 1)`)).rejects.toMatchObject({ code: 'HF020' });
    await query(url, `SELECT require_leader('config_sync', 2)`);
  });

  it('does not believe a machine whose clock is ahead: only the database says when a lease is over', async () => {
    const url = await database();
    await query(url, `SELECT take_leader_lease('config_sync', 'b', '1 hour')`);
    const { election, becomes } = candidate(url, 'a');
    election.start();
    expect(await becomes('follower')).toEqual({ is: 'follower', leader: 'b', epoch: 1n });
  });

  it('is refused with numbers that one late renewal would break', () => {
    expect(leaseFault(30, 10)).toBeUndefined();
    expect(leaseFault(30, 14)).toContain('renew at least twice');
  });
});
