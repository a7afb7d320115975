import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isUnfinished } from '../../../bin/runbook/drills.ts';
import { resumeRun, runBook, undoRun } from '../../../bin/runbook/perform.ts';
import { reportRun } from '../../../bin/runbook/report.ts';
import { listBooks, rehearseBook, showBook } from '../../../bin/runbook/show.ts';
import { keepEvidenceIn } from '../../../bin/runbook/this-machine.ts';
import { evidenceSchema } from '../../../lib/platform/evidence.ts';
import { evidenceOf } from '../../../runbooks/books/evidence.ts';
import { runbookTitles } from '../../../runbooks/catalog.ts';
import type { JournalEvent } from '../../../runbooks/engine/journal.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { SimulatedWorld } from '../books/simulated-world.ts';
import { type FakeHost, type FakeHostOptions, fakeHost } from './fake-host.ts';

const failover = ['target=b', 'former=a'];
const options = { world: 'lab', poll: 1 } as const;

function withoutA(): SimulatedWorld {
  const world = new SimulatedWorld();
  world.database('a').away = true;
  return world;
}

async function runIdOf(host: FakeHost): Promise<string> {
  const id = (await host.journals.runs()).at(-1);
  if (id === undefined) throw new Error('there is no run');
  return id;
}

describe('holdfast runbook run', () => {
  it('asks for the name before each step that cannot be taken back, runs to the end, and ends with 0', async () => {
    const host = fakeHost({ world: withoutA(), typed: ['b', 'b'] });
    expect(await runBook(host, 'region-failover', failover, options)).toBe(0);
    expect(host.questions).toEqual(['Type b to do it: ', 'Type b to do it: ']);
    expect(host.output()).toContain('This cannot be taken back: a promoted database');
    expect(host.output()).toContain('The run is complete.');
  });

  it('ends with 2 and every fault at once when parameters are wrong, and touches nothing', async () => {
    const world = withoutA();
    const host = fakeHost({ world });
    expect(await runBook(host, 'database-restore', ['way=magic', 'colour=red'], options)).toBe(2);
    expect(host.output()).toContain('way: ');
    expect(host.output()).toContain('colour: there is no such parameter');
    expect(await runBook(host, 'database-restore', ['way=snapshot', 'dump=s3://bucket/7.dump'], options)).toBe(2);
    expect(host.output()).toContain('dump: names a dump: leave it out, or say way=dump');
    expect(await runBook(host, 'region-fallover', [], options)).toBe(2);
    expect(await runBook(host, 'region-failover', ['b'], options)).toBe(2);
    expect(await host.journals.runs()).toEqual([]);
  });

  it('names every wrong parameter with its fault and its meaning, mistyped regions and zones among them', async () => {
    const faultsOf = async (book: string, words: readonly string[], world: 'lab' | 'aws' = 'lab') => {
      const host = fakeHost({ world: withoutA() });
      expect(await runBook(host, book, words, { world, poll: 1 })).toBe(2);
      return host.output().trim().split('\n  - ').slice(1);
    };
    expect(await faultsOf('region-switchover', ['b', 'target=c', 'target=a', 'maxLagSeconds=abc'])).toEqual([
      'b: write parameters as name=value',
      'target: is given twice',
      'maxLagSeconds: is no number (refuse above this lag of the replica)',
      'target: there is no region c; there are a, b',
    ]);
    expect(await faultsOf('region-failover', ['target=a'])).toEqual([
      'target: is the same region as former (region that becomes the writer)',
    ]);
    expect(await faultsOf('zone-evacuation', ['zone=a9', 'shiftMinutes=-1'])).toEqual([
      'shiftMinutes: must be more than 0 (the shift ends by itself after this)',
      'zone: there is no zone a9 in a; there are a1, a2',
    ]);
    expect(await faultsOf('region-failover', ['target=us-wset-2'], 'aws')).toEqual([
      'target: there is no region us-wset-2; there are us-east-1, us-west-2, eu-west-1',
    ]);
    expect(await faultsOf('release', ['standbys=us-west-2,mars'], 'aws')).toEqual([
      'standbys: there is no region mars; there are us-east-1, us-west-2, eu-west-1',
    ]);
  });

  it('ends with 3 when it is refused before anything was changed, and says the mend', async () => {
    const world = new SimulatedWorld();
    world.database('b').lagSeconds = 60;
    const host = fakeHost({ world, typed: ['b'] });
    expect(await runBook(host, 'region-switchover', failover, options)).toBe(3);
    expect(host.output()).toContain('Nothing was changed');
    expect(host.output()).toContain('Mend: find out what holds replication up');
  });

  it('ends with 4 when it stops on the way, and says how another person goes on', async () => {
    const world = withoutA();
    const host = fakeHost({ world, typed: ['b', 'a'] });
    expect(await runBook(host, 'region-failover', failover, options)).toBe(4);
    const id = await runIdOf(host);
    expect(host.output()).toContain(`npx holdfast runbook resume ${id} --journal 'memory'`);
    const bob = fakeHost({ world, journals: host.journals, typed: ['b'], operator: 'bob@phone' });
    expect(await resumeRun(bob, id, options)).toBe(0);
    expect(await reportRun(bob, id, { format: 'md' })).toBe(0);
    expect(bob.output()).toContain('alice@desk, bob@phone');
  });

  it('ends with 5 when patience is over', async () => {
    const world = new SimulatedWorld();
    const replica = world.database('b');
    replica.source = undefined;
    const host = fakeHost({ world, typed: ['b'] });
    expect(await runBook(host, 'region-switchover', failover, options)).toBe(5);
    expect(host.output()).toContain('Patience is over at "replayed"');
  });

  it('asks nobody where nobody is: names come from the command line, else the step is declined', async () => {
    const alone = fakeHost({ world: withoutA() });
    expect(await runBook(alone, 'region-failover', failover, options)).toBe(4);
    expect(alone.output()).toContain('not confirmed');
    const scripted = fakeHost({ world: withoutA() });
    expect(await runBook(scripted, 'region-failover', failover, { ...options, confirm: ['b'] })).toBe(0);
  });

  it('ends with 4 when another operator has taken the run over, without a second act', async () => {
    const world = withoutA();
    const host = fakeHost({ world, typed: ['b', 'a'] });
    await runBook(host, 'region-failover', failover, options);
    const id = await runIdOf(host);
    const both = await Promise.all(
      ['bob', 'carol'].map((operator) =>
        resumeRun(fakeHost({ world, journals: host.journals, operator, typed: ['b', 'b'] }), id, options),
      ),
    );
    expect(new Set(both)).toEqual(new Set([0, 4]));
    expect(world.database('b').promotions).toBe(1);
  });

  it('writes one JSON object a line when asked to, ending with the outcome', async () => {
    const host = fakeHost({ world: withoutA() });
    expect(await runBook(host, 'region-failover', failover, { ...options, json: true, confirm: ['b'] })).toBe(0);
    const lines = host
      .output()
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines[0]).toMatchObject({ is: 'run-started', book: 'region-failover', operator: 'alice@desk' });
    expect(lines).toContainEqual(expect.objectContaining({ is: 'waiting', step: 'promote' }));
    expect(lines.at(-1)).toMatchObject({ is: 'outcome', outcome: { is: 'completed' } });
  });

  it('ends with 2 before the first step when the world lacks what the book needs', async () => {
    const world = withoutA();
    const host = fakeHost({ world });
    const poor = {
      ...host,
      openWorld: async () => ({ world, books: ['release'] as const, close: async () => undefined }),
    };
    expect(await runBook(poor, 'region-failover', failover, { ...options, confirm: ['b'] })).toBe(2);
    expect(host.output()).toContain('cannot run region-failover yet, only release');
    expect(world.takeovers.size).toBe(0);
  });

  it('a world that has no part in a book says why, and in the lab regions are called a and b', async () => {
    const world = withoutA();
    const host = fakeHost({ world });
    const lab = {
      ...host,
      openWorld: async () => ({ world, refusals: { upgrade: 'it has one version' }, close: async () => undefined }),
    };
    expect(await runBook(lab, 'upgrade', [], { world: 'lab', poll: 1 })).toBe(2);
    expect(host.output()).toContain('The world lab has no part in upgrade: it has one version');
    expect(await rehearseBook(lab, 'region-failover', [], { world: 'lab' })).toBe(0);
    expect(host.output()).toContain('Seize the right to write for b');
  });

  it('what is typed wrongly ends with 2, whichever command it is, and names the mend', async () => {
    const holdfast = join(import.meta.dirname, '../../../bin/holdfast.ts');
    const words = [['runbook', 'run', 'region-failover', '--poll', 'soon'], ['region', 'promote'], ['fly']];
    const ended = await Promise.all(
      words.map((typed) =>
        promisify(execFile)(process.execPath, [holdfast, ...typed]).catch((error: unknown) => error),
      ),
    );
    for (const end of ended) {
      expect(end).toMatchObject({ code: 2, stderr: expect.stringContaining('add --help for the options') });
    }
    expect(ended[0]).toMatchObject({ stderr: expect.stringContaining('at most 3600') });
  });

  it('fills in what holdfast.config.ts says', async () => {
    const host = fakeHost({ world: withoutA() });
    await showBook(host, 'region-failover', [], { format: 'md' });
    expect(host.output()).toContain('# Fail over to us-west-2');
  });
});

describe('holdfast runbook undo', () => {
  it('opens the former writer again when a switchover is taken back before the promotion', async () => {
    const world = new SimulatedWorld();
    const host = fakeHost({ world, typed: ['b', 'no', 'b'] });
    expect(await runBook(host, 'region-switchover', failover, options)).toBe(4);
    expect(world.buckets[0]?.claim).toMatchObject({ writer: 'b', phase: 'seized', epoch: 2 });
    expect(await undoRun(host, await runIdOf(host), options)).toBe(0);
    expect(world.buckets[0]?.claim).toMatchObject({ writer: 'a', phase: 'held', epoch: 3, candidates: ['b'] });
    expect(world.database('a').row).toEqual({ epoch: 3, writer: 'a', state: 'open' });
  });

  it('ends with 4 at what cannot be taken back', async () => {
    const world = withoutA();
    const host = fakeHost({ world, typed: ['b', 'b'] });
    await runBook(host, 'region-failover', failover, options);
    expect(await undoRun(host, await runIdOf(host), options)).toBe(4);
    expect(host.output()).toContain('the new writer may have acknowledged writes');
  });

  it('ends with 2 when there is no such run, and names where it looked', async () => {
    const host = fakeHost({ world: withoutA() });
    expect(await undoRun(host, 'r-none', options)).toBe(2);
    expect(host.output()).toContain('Looked into: memory');
  });
});

describe('holdfast runbook rehearse, list, show', () => {
  it('rehearses with 0 when a run would begin and with 3 when not', async () => {
    const host = fakeHost({ world: withoutA() });
    expect(await rehearseBook(host, 'region-failover', failover, { world: 'lab' })).toBe(0);
    const lagging = new SimulatedWorld();
    lagging.database('b').lagSeconds = 60;
    expect(await rehearseBook(fakeHost({ world: lagging }), 'region-switchover', failover, { world: 'lab' })).toBe(3);
  });

  it('lists every book with its parameters', async () => {
    const host = fakeHost({ world: withoutA() });
    expect(await listBooks(host, {})).toBe(0);
    for (const id of Object.keys(runbookTitles)) expect(host.output()).toContain(`  ${id} `);
  });

  it('prints a book as a page that needs nothing but itself', async () => {
    const host = fakeHost({ world: withoutA() });
    expect(await showBook(host, 'region-failback', [], { format: 'html' })).toBe(0);
    expect(host.output()).toMatch(/^<!doctype html>/);
    expect(host.output()).toContain('When not to use it');
  });
});

describe('a drill', () => {
  const words = ['environment=lab', 'fault=kill', ...failover];

  it('passes with 0, and its report compares it with the one before', async () => {
    const first = fakeHost({ world: new SimulatedWorld(), typed: ['b', 'b'] });
    expect(await runBook(first, 'drill', words, options)).toBe(0);
    const second = fakeHost({ world: new SimulatedWorld(), journals: first.journals, typed: ['b', 'b'] });
    await second.clock.sleep(3_600_000, second.signal);
    expect(await runBook(second, 'drill', words, options)).toBe(0);
    await reportRun(second, await runIdOf(second), { format: 'md' });
    expect(second.output()).toContain('## The drill passed');
    expect(second.output()).toContain('the one before (2026-01-01)');
    expect(second.output()).toContain('For the post-mortem');
  });

  it('ends with 1 when it ran well and the numbers were not good', async () => {
    const world = new SimulatedWorld();
    world.measured = { ...world.measured, errorPercent: 1, spendEventsLost: 2 };
    const host = fakeHost({ world, typed: ['b', 'b'] });
    expect(await runBook(host, 'drill', words, options)).toBe(1);
    expect(host.output()).toContain('the share of errors was 1 %, less than 1 are good');
    expect(host.output()).toContain('spend lost was 2 events, at most 0 are good');
  });

  it('is refused in production while an alert fires, out of hours, or without a verified backup', async () => {
    const world = new SimulatedWorld();
    world.drillConditions = {
      alerts: ['HighErrorRate'],
      unfinishedRuns: [],
      lagSeconds: 1,
      isInWindow: false,
      backupVerifiedDaysAgo: undefined,
    };
    const host = fakeHost({ world, typed: [] });
    const production = ['environment=production', 'fault=partition', ...failover];
    expect(await runBook(host, 'drill', production, options)).toBe(3);
    for (const reason of ['HighErrorRate', 'outside of the hours', 'never passed']) {
      expect(host.output()).toContain(reason);
    }
    expect(world.broken.size).toBe(0);
  });
});

describe('a drill of another environment', () => {
  it('than the platform is described to be is refused: production must not be drilled as staging', async () => {
    const world = new SimulatedWorld();
    world.drillConditions = { ...world.drillConditions, describedAs: 'production' };
    const host = fakeHost({ world, typed: [] });
    expect(await runBook(host, 'drill', ['environment=staging', 'fault=none', ...failover], options)).toBe(3);
    expect(host.output()).toContain('holdfast.config.ts describes production');
    expect(world.isLoaded).toBe(false);
  });
});

describe('runs that speak against a drill', () => {
  const at = { at: '2026-11-21T18:40:00.000Z', session: 's', monotonicMs: 0 };
  const started = (world: string): JournalEvent => ({
    ...at,
    is: 'run-started',
    book: 'release',
    parameters: {},
    world,
    operator: 'alice',
  });
  const acting: JournalEvent = { ...at, is: 'acting', step: 'one' };

  it('have touched AWS and are not at their end; what was refused has touched nothing', () => {
    expect(isUnfinished({ events: [started('aws'), acting] })).toBe(true);
    expect(isUnfinished({ events: [started('aws')] })).toBe(false);
    expect(isUnfinished({ events: [started('lab'), acting] })).toBe(false);
    expect(isUnfinished({ events: [started('aws'), acting, { ...at, is: 'run-completed' }] })).toBe(false);
    expect(isUnfinished({ events: [started('aws'), acting, { ...at, is: 'run-undone' }] })).toBe(false);
  });
});

describe('what a run has shown', () => {
  const here = { world: 'aws', poll: 1 } as const;
  // Of a platform whose regions nobody has described: the simulated world's are a and b.
  const undescribed = (more: FakeHostOptions): FakeHost => ({ ...fakeHost(more), platform: async () => undefined });

  it('is kept for the checklist: a verified backup as a restore, with the run as its source', async () => {
    const host = undescribed({ world: new SimulatedWorld() });
    expect(await runBook(host, 'backup-verify', ['region=a'], here)).toBe(0);
    const id = await runIdOf(host);
    expect(host.evidence).toEqual([
      { kind: 'restore', on: expect.any(String), passed: true, source: `run ${id} in memory` },
    ]);
    expect(evidenceSchema.parse(host.evidence[0])).toEqual(host.evidence[0]);
    expect(host.output()).toContain('For the checklist of npm run synth: evidence/restore');
  });

  it('is a failure when the backups cannot be used, and nothing when a move was refused', async () => {
    const world = new SimulatedWorld();
    world.backupAges = { 'postgresql-full': undefined };
    const host = undescribed({ world });
    expect(await runBook(host, 'backup-verify', ['region=a'], here)).toBe(3);
    expect(host.evidence).toMatchObject([{ kind: 'restore', passed: false }]);
    const lagging = new SimulatedWorld();
    lagging.database('b').lagSeconds = 60;
    const refused = undescribed({ world: lagging, typed: ['b'] });
    expect(await runBook(refused, 'region-switchover', failover, here)).toBe(3);
    expect(refused.evidence).toEqual([]);
  });

  it('of the lab is a drill of the book and nothing of AWS, and a drill that did not pass is told as one', () => {
    const ended = { outcome: 'completed', at: '2026-11-21T18:40:00.000Z', source: 'run r-1' } as const;
    expect(evidenceOf({ ...ended, book: 'backup-verify', world: 'lab' })).toEqual([]);
    const drill = { ...ended, book: 'drill', drilled: 'region-failover', world: 'lab' } as const;
    expect(evidenceOf({ ...drill, drillPassed: true })).toMatchObject([{ kind: 'region-drill', passed: true }]);
    expect(evidenceOf({ ...drill, drillPassed: false })).toMatchObject([{ kind: 'region-drill', passed: false }]);
    expect(evidenceOf({ ...ended, outcome: 'partial', book: 'zone-evacuation', world: 'aws' })).toMatchObject([
      { kind: 'zone-loss', passed: false },
    ]);
  });

  it('lies in a file of its own that the review reads', async () => {
    const folder = join(await temporaryDirectory(), 'evidence');
    const report = { kind: 'restore', on: '2026-11-21T18:40:00.000Z', passed: true, source: 'run r-1' } as const;
    const path = await keepEvidenceIn(folder, report);
    expect(basename(path)).toBe('2026-11-21T18-40-00.000Z-restore.json');
    expect(evidenceSchema.parse(JSON.parse(await readFile(path, 'utf8')))).toEqual(report);
  });
});
