/** One history of two regions: a seed decides what goes wrong and when; clients go on all the while. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../../runbooks/lab/region-database.ts';
import { type Ends, type HistoryEvent, violationsOf, type WriteRow } from '../../../runbooks/lab/region-history.ts';
import { makeTemplate, type RegionName, startTwoRegions, type TwoRegions } from '../../../runbooks/lab/two-regions.ts';
import { Random } from '../../gateway/admission/simulation/random.ts';
import { LocalMember, type Member, ProcessMember, slowDown, type Timed } from './member.ts';
import { Operator, type Step, writesIn } from './operator.ts';
import { type GatewayPlace, placeOf, RegionGateway, spendAccount } from './region-gateway.ts';
import { chosen, type Variant } from './variants.ts';

export interface RunOptions {
  readonly directory: string;
  readonly template: string;
  readonly seed: number;
  readonly variant?: Variant;
  /** What happens, instead of what the seed says. */
  readonly script?: Script;
  /** Of the lease; short, so that a history is. */
  readonly ttlSeconds?: number;
  readonly buckets?: 1 | 3;
  /**
   * How long everything may take after it is mended: until a change is taken, and until spend arrives that no gateway says
   * it is still sending. A machine that is busy takes its time; what has not arrived by then is lost.
   */
  readonly settleSeconds?: number;
}

/** What a script can do. */
export interface Stage {
  readonly lab: TwoRegions;
  readonly random: Random;
  readonly operator: Operator;
  /** Those in this process. */
  readonly gateways: readonly RegionGateway[];
  /** Those in processes of their own, which can be killed. */
  readonly mortals: readonly ProcessMember[];
  /** Everything so far, as it was heard; it grows. */
  readonly history: readonly HistoryEvent[];
  /** Which region writes, as far as the script has brought it. */
  writer: RegionName;
  /** Names of what went wrong. */
  readonly did: string[];
  /** Ends with everything sound, and the region that does not write rebuilt as a replica. */
  repair(): Promise<void>;
}
export type Script = (stage: Stage) => Promise<void>;

export interface RunResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly acknowledged: number;
  readonly events: number;
  readonly did: readonly string[];
}

/** Notes in the database itself by whom, in which epoch and under which row each change was made. */
export const makeRunTemplate = (directory: string, migrate: (url: string) => Promise<void>): Promise<string> =>
  makeTemplate(directory, async (url) => {
    await migrate(url);
    await ask(
      url,
      `CREATE TABLE harness_write (n bigserial, write text, region text, epoch bigint, row_epoch bigint, row_writer text);
       CREATE FUNCTION harness_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO harness_write (write, region, epoch, row_epoch, row_writer)
         SELECT NEW.budget_id, NEW.created_by, current_setting('holdfast.write_epoch', true)::bigint, e.epoch, e.writer_region
           FROM region_epoch e;
         RETURN NULL; END $$;
       CREATE TRIGGER harness_noted AFTER INSERT ON budget FOR EACH ROW EXECUTE FUNCTION harness_note()`,
    );
  });

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, variant = chosen, script = seeded, ttlSeconds = 2, settleSeconds = 120 } = options;
  const { rules, waits, reports, sql } = variant;
  const random = new Random(seed);
  const directory = join(options.directory, `run-${seed}-${Math.random().toString(36).slice(2, 8)}`);
  const history: HistoryEvent[] = [];
  const timed: Timed[] = [];
  const did: string[] = [];
  const recordAt = (one: Timed): void => {
    history.push(one.event);
    timed.push(one);
  };
  const record = (event: HistoryEvent): void => recordAt({ event, atNs: process.hrtime.bigint() });
  record({ is: 'epoch', epoch: 1, writer: 'a', planned: false });
  const buckets = options.buckets ?? (random.chance(0.3) ? 3 : 1);
  const lab = await startTwoRegions({
    directory,
    template: options.template,
    gateways: 1,
    ownGateways: true,
    ttlSeconds,
    buckets,
  });
  if (sql !== undefined) await ask(lab.region('a').operatorUrl, sql);
  const places = (['a', 'b'] as const).flatMap((name) => [0, 1].map((index) => placeOf(lab, name, index, directory)));
  const listening = (name: RegionName) => (port: number) =>
    lab.link(`${otherOf(name)}.gateways>${name}.gateways`).retarget({ port });
  // A script holds gateways at doors; a seeded history kills those that renew the claim and answer for their region.
  const isMortal = ({ index }: GatewayPlace): boolean => script === seeded && index === 0;
  const mortals = places
    .filter(isMortal)
    .map((place) => new ProcessMember({ place, seed, record: recordAt, onListening: listening(place.name) }));
  const gateways = places
    .filter((place) => !isMortal(place))
    .map((place) => {
      const onListening = listening(place.name);
      const mayForget = variant.mayForget?.(lab, place.name);
      return new RegionGateway({
        place,
        rules,
        record,
        onListening,
        ...(mayForget === undefined ? {} : { mayForget }),
      });
    });
  // Each with its own: how often clients ask must not change what goes wrong.
  const members: Member[] = [
    ...mortals,
    ...gateways.map((gateway, index) => new LocalMember(gateway, new Random(seed + 1_000 * (index + 1)))),
  ];
  const operator = new Operator({ lab, rules, record, waits, reports });
  const everywhere = new Map<string, WriteRow>();
  const stage: Stage = {
    lab,
    random,
    operator,
    gateways,
    mortals,
    history,
    writer: 'a',
    did,
    repair: async () => {
      await lab.heal();
      const former: RegionName = stage.writer === 'a' ? 'b' : 'a';
      const region = lab.region(former);
      await region.thawDatabase();
      if (await isGone(region.database.exited)) await region.restartDatabase();
      // Time for the old writer's gateways to act on what they hold, if anything lets them.
      await sleep(400);
      for (const row of await rowsIn(lab, former)) everywhere.set(row.write, row);
      if ((await region.operator.view(AbortSignal.timeout(5_000))).role === 'primary') await operator.rebuild(former);
    },
  };
  try {
    await Promise.all(members.map((member) => member.start()));
    const begun = await until(() => history.some(({ is }) => is === 'acknowledged'), 60_000);
    if (!begun) throw new Error('no change was ever acknowledged: the run shows nothing');
    await script(stage);
    await stage.repair();
    for (const member of members) member.hurry();
    const mended = history.length;
    const isWritable = () => history.slice(mended).some(({ is }) => is === 'acknowledged');
    const writable = await until(isWritable, settleSeconds * 1000);
    await Promise.all(members.map((member) => member.rest()));
    const accepted = history.flatMap((event) => (event.is === 'accepted' ? [event.event] : []));
    let queued: readonly number[] = [];
    const isSettled = async (): Promise<boolean> => {
      queued = await Promise.all(members.map((member) => member.settle()));
      const { counted } = await spendIn(lab, stage.writer);
      return accepted.every((event) => counted.has(event)) && queued.every((count) => count === 0);
    };
    const settled = (await until(isSettled, settleSeconds * 1000)) || (await whileSending(isSettled, () => queued));
    did.push(`settled ${settled}, queued ${queued.join()}, buckets ${buckets}`);
    const survivor = await rowsIn(lab, stage.writer);
    for (const row of survivor) everywhere.set(row.write, row);
    const ends: Ends = {
      everywhere: [...everywhere.values()],
      survivor,
      ...(await spendIn(lab, stage.writer)),
      // What is not there by now, with everything sound and shipped, is nowhere.
      kept: new Set(),
      writable,
    };
    const acknowledged = history.filter(({ is }) => is === 'acknowledged').length;
    // As it was, and not as it was heard.
    const ordered = timed.toSorted((one, other) => (one.atNs < other.atNs ? -1 : 1)).map(({ event }) => event);
    return { seed, violations: violationsOf(ordered, ends), acknowledged, events: accepted.length, did };
  } finally {
    await lab.heal();
    await Promise.all(members.map((member) => member.stop()));
    await lab.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Up to two rounds of trouble; commits and the network are slow now and then, and in most histories gateways die. */
const seeded: Script = async (stage) => {
  const { lab, random, gateways } = stage;
  for (const gateway of gateways) slowDown(gateway, new Random(random.integer(1_000_000)));
  const crashes = random.chance(0.75)
    ? stage.mortals.map((mortal) => crashing(mortal, new Random(random.integer(1_000_000)), stage.did))
    : [];
  for (const name of ['a.gateways>b.gateways', 'b.gateways>a.gateways', 'b.database>a.database'] as const) {
    if (random.chance(0.5)) await lab.link(name).set({ latencyMs: random.integer(30), jitterMs: random.integer(30) });
  }
  try {
    const rounds = 1 + random.integer(2);
    for (let round = 0; round < rounds; round++) {
      await sleep(random.integer(400));
      const name = random.pick(Object.keys(troubles));
      stage.did.push(name);
      await troubles[name]?.(stage, `run-${round}`);
      if (round + 1 < rounds) await stage.repair();
    }
  } finally {
    await Promise.all(crashes.map((crash) => crash.stop()));
  }
};

/** Killed in the midst of whatever it does, and started again on what it left. */
function crashing(mortal: ProcessMember, random: Random, did: string[]): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const pause = (mostMs: number) =>
    sleep(random.integer(mostMs), undefined, { signal: stopping.signal }).catch(() => undefined);
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await pause(6_000);
      if (stopping.signal.aborted) return;
      did.push('killed');
      await mortal.kill();
      await pause(1_500);
      await mortal.start();
    }
  })().then(
    () => undefined,
    (error: unknown) => new Error('a gateway could not be killed or started', { cause: error }),
  );
  return {
    stop: async () => {
      stopping.abort();
      const error = await loop;
      if (error !== undefined) throw error;
    },
  };
}

type Trouble = (stage: Stage, runId: string) => Promise<void>;

const otherOf = (name: RegionName): RegionName => (name === 'a' ? 'b' : 'a');

/** Left off after a random step by one operator, taken up by the next. */
async function interrupted({ operator, random }: Stage, work: () => Promise<void>): Promise<void> {
  const at = random.chance(0.4) ? random.pick(['seized', 'waited', 'promoted', 'raised'] satisfies Step[]) : undefined;
  operator.afterStep = async (step) => {
    await sleep(random.integer(150));
    if (step === at) {
      operator.afterStep = async () => undefined;
      throw new Left();
    }
  };
  await work().catch((error: unknown) => {
    if (!(error instanceof Left)) throw error;
    return work();
  });
}

class Left extends Error {}

const failover = async (stage: Stage, runId: string): Promise<void> => {
  const target = otherOf(stage.writer);
  await interrupted(stage, () => stage.operator.failover(target, runId));
  stage.writer = target;
  await sleep(stage.random.integer(800));
};

export const troubles: Readonly<Record<string, Trouble>> = {
  'partition and failover': async (stage, runId) => {
    await stage.lab.partition();
    await sleep(stage.random.integer(1_200));
    await failover(stage, runId);
  },
  'database killed and failover': async (stage, runId) => {
    stage.lab.region(stage.writer).database.kill('SIGKILL');
    await failover(stage, runId);
  },
  'database frozen and failover': async (stage, runId) => {
    await stage.lab.region(stage.writer).freezeDatabase();
    await failover(stage, runId);
  },
  'answers lost and failover': async (stage, runId) => {
    // One way: the answers of the database are lost, the questions are not.
    await stage.lab.link(`${stage.writer}.gateways>${stage.writer}.database`).set({ freeze: 'down' });
    await failover(stage, runId);
  },
  switchover: async (stage, runId) => {
    const target = otherOf(stage.writer);
    await stage.operator.switchover(target, runId);
    stage.writer = target;
  },
  'partition that heals': async (stage) => {
    await stage.lab.partition({ freeze: stage.random.pick(['up', 'down', 'both'] as const) });
    await sleep(stage.random.integer(2_000));
    await stage.lab.heal();
  },
  'seizure that is aborted': async (stage, runId) => {
    const { operator, writer } = stage;
    operator.afterStep = async (step) => {
      if (step === 'seized') throw new Left();
    };
    await operator.failover(otherOf(writer), runId).catch((error: unknown) => {
      if (!(error instanceof Left)) throw error;
    });
    operator.afterStep = async () => undefined;
    await sleep(stage.random.integer(500));
    await operator.abort(writer, `${runId}-abort`);
  },
};

async function rowsIn(lab: TwoRegions, name: RegionName): Promise<WriteRow[]> {
  const rows = await ask(lab.region(name).operatorUrl, 'SELECT * FROM harness_write ORDER BY n');
  return rows.map((row) => ({
    write: String(row['write']),
    region: String(row['region']),
    epoch: Number(row['epoch']),
    rowEpoch: Number(row['row_epoch']),
    rowWriter: String(row['row_writer']),
  }));
}

async function spendIn(lab: TwoRegions, name: RegionName): Promise<Pick<Ends, 'counted' | 'ledger'>> {
  // In one statement: spend may still arrive.
  const rows = await ask(
    lab.region(name).operatorUrl,
    `SELECT id, count(*)::int AS n, coalesce((SELECT lifetime_micros::int FROM account WHERE id = $1), 0) AS spent
       FROM spend_entry GROUP BY id`,
    [spendAccount],
  );
  const counted = new Map(rows.map((row) => [String(row['id']), Number(row['n'])]));
  const booked = [...counted.values()].reduce((sum, times) => sum + times, 0);
  return { counted, ledger: { rows: booked, summed: Number(rows[0]?.['spent'] ?? 0) } };
}

/** As long as gateways say that they have less to send than before. */
async function whileSending(isDone: () => Promise<boolean>, queued: () => readonly number[]): Promise<boolean> {
  const count = (): number => queued().reduce((sum, one) => sum + one, 0);
  for (let before = Number.POSITIVE_INFINITY; count() > 0 && count() < before; ) {
    before = count();
    if (await until(isDone, 30_000)) return true;
  }
  return false;
}

async function until(condition: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    if (await condition()) return true;
    await sleep(50);
  }
  return condition();
}

const isGone = async (exited: Promise<unknown>): Promise<boolean> =>
  Promise.race([exited.then(() => true), sleep(0).then(() => false)]);

export { otherOf, sleep, until, writesIn };
