/**
 * A drill in AWS over the wire. Answers of AWS FIS are written from the service's published model (botocore, fis/2020-12-01,
 * service-2.json), those of alarms from monitoring/2010-08-01.
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsDrill, type AwsDrillOptions } from '../../../runbooks/aws/aws-drill.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { drillConditions } from '../../../runbooks/aws/drill-conditions.ts';
import { faultState, type RunExperiment } from '../../../runbooks/aws/experiments.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { type DrillConditions, type DrillPlan, drill } from '../../../runbooks/books/drill.ts';
import type { RegionDatabase } from '../../../runbooks/books/region-world.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import type { Runbook } from '../../../runbooks/engine/step.ts';
import { LedgerFile } from '../../../runbooks/load/ledger-file.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { startWire, type Wire, type WireAnswer, type WireCall } from '../../support/aws/wire.ts';
import { listening } from '../../support/listening.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { endsAlike } from '../books/crashes.ts';
import { optionsFor } from '../engine/world.ts';

const platform = definePlatform(spec({ environment: 'staging' }));
const [east, west] = ['us-east-1', 'us-west-2'] as const;
const plan: DrillPlan = {
  environment: 'staging',
  fault: 'partition',
  victim: east,
  survivor: west,
  requestsPerSecond: 20,
};
const { signal } = new AbortController();
const quiet: DrillConditions = {
  alerts: [],
  unfinishedRuns: [],
  lagSeconds: 0,
  isInWindow: true,
  backupVerifiedDaysAgo: 1,
};

interface Experiment {
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  status: RunExperiment['status'];
}

/** A region's AWS FIS: templates of this platform and of a neighbour. */
class FakeFis {
  readonly starts: string[] = [];
  readonly stops: string[] = [];
  readonly experiments: Experiment[] = [];
  readonly #tokens = new Map<string, Experiment>();

  readonly service = ({ action, query, body, path }: WireCall): WireAnswer => {
    if (action === 'ListExperimentTemplates') return { json: this.#page(templates, 'experimentTemplates', query) };
    if (action === 'ListExperiments') {
      for (const one of this.experiments) {
        if (one.status === 'pending') one.status = 'running';
        else if (one.status === 'stopping') one.status = 'stopped';
      }
      const summaries = this.experiments.map(({ id, tags, status }) => ({ id, tags, state: { status } }));
      return { json: this.#page(summaries, 'experiments', query) };
    }
    if (action === 'StopExperiment') {
      const stopped = this.experiments.find(({ id }) => path.endsWith(id));
      if (stopped === undefined) return { json: { __type: 'ResourceNotFoundException' }, status: 404 };
      this.stops.push(stopped.name);
      stopped.status = 'stopping';
      return { json: { experiment: { id: stopped.id } } };
    }
    const { clientToken, experimentTemplateId: id, tags } = JSON.parse(body);
    const known = this.#tokens.get(clientToken);
    if (known === undefined) {
      const name = String(templates.find((one) => one.id === id)?.tags['Name']);
      const made: Experiment = { id: `EXP${this.experiments.length}`, name, tags, status: 'pending' };
      this.starts.push(name);
      this.experiments.push(made);
      this.#tokens.set(clientToken, made);
    }
    return { json: { experiment: { id: known?.id } } };
  };

  /** One on each page. */
  #page(all: readonly object[], name: string, query: URLSearchParams): object {
    const at = Number(query.get('nextToken') ?? 0);
    return { [name]: all.slice(at, at + 1), nextToken: at + 1 < all.length ? String(at + 1) : null };
  }
}

const ours = { 'holdfast:platform': platform.name, 'holdfast:environment': 'staging' };
const templates = [
  { id: 'EXT1', tags: { ...ours, Name: 'link-cut-us-west-2' } },
  { id: 'EXT2', tags: { ...ours, Name: 'link-cut-eu-west-1' } },
  { id: 'EXT3', tags: { ...ours, Name: 'gateway-pods-deleted' } },
  { id: 'EXT4', tags: { ...ours, 'holdfast:platform': 'neighbour', Name: 'link-cut-us-west-2' } },
];

let wire: Wire;
let clients: AwsClients;
afterEach(async () => {
  clients.destroy();
  await wire.close();
});

async function connect(services: Parameters<typeof startWire>[0]['services']): Promise<void> {
  wire = await startWire({ services });
  clients = new AwsClients(wire.access);
}

/** A gateway that answers everybody and remembers what it was asked. */
async function answering() {
  const seen = { calls: [] as string[], aliases: [] as string[] };
  const server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const piece of request) body += String(piece);
      const callId = request.headers['x-litellm-call-id'];
      if (typeof callId === 'string') seen.calls.push(callId);
      else seen.aliases.push(String(JSON.parse(body).key_alias));
      response.end('data: [DONE]\n\n');
    })();
  });
  return { seen, url: await listening(server) };
}

async function drillWorld(more: Partial<AwsDrillOptions> = {}) {
  const gateway = await answering();
  const options: AwsDrillOptions = {
    platform: platform.name,
    environment: 'staging',
    conditions: async () => quiet,
    url: gateway.url,
    regionalUrls: { [east]: gateway.url },
    key: 'sk-admin',
    model: 'chat',
    ledgerFolder: join(await temporaryDirectory(), 'drills'),
    writer: async () => west,
    rows: async () => ({
      survivors: new Set(gateway.seen.aliases),
      booked: new Map(gateway.seen.calls.map((id) => [id, 1])),
    }),
    epochs: async () => '2 us-west-2',
    counted: () => Promise.reject(new Error('there are clients of its own')),
    wait: async () => undefined,
    pauses: { warmUp: 0.02, settle: 0.01, after: 0.03, drain: 1 },
    ...more,
  };
  const controls = new AwsDrill(clients, options);
  onTestFinished(() => controls.close());
  return { controls, options, gateway, world: { drill: controls, verify: async () => [] } };
}

/** A book that does nothing: what is under test stands around it. */
const nothing: Runbook<unknown> = {
  id: 'nothing',
  title: 'Nothing',
  useWhen: [],
  doNotUseWhen: [],
  lookFirst: [],
  takes: 'no time',
  harms: 'nobody',
  afterwards: [],
  steps: [],
};
const realClock = {
  date: () => new Date(),
  now: () => performance.now(),
  sleep: (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.min(milliseconds, 5))),
};
const confirm = async (_: unknown, expected: string): Promise<string> => expected;

describe('a drill in AWS', () => {
  it('starts every cut of the region once, stops them, and measures its clients, with the printed policy', async () => {
    const fis = new FakeFis();
    await connect({ fis: fis.service });
    const { world, options } = await drillWorld();
    const journal = new MemoryJournal();
    const book = drill(nothing, plan);
    expect(await run(optionsFor(book, world, { journal, confirm, clock: realClock }))).toEqual({ is: 'completed' });
    expect(fis.starts).toEqual(['link-cut-us-west-2', 'link-cut-eu-west-1']);
    expect(fis.stops).toEqual(fis.starts);
    expect(fis.experiments.every(({ status }) => status === 'stopped')).toBe(true);
    const measured = (await journal.read()).find((event) => 'step' in event && event.step === 'drill-measure');
    expect(measured).toMatchObject({
      facts: {
        errorPercent: 0,
        lostWrites: 0,
        spendEventsLost: 0,
        invariantViolations: null,
        epochHistory: '2 us-west-2',
      },
    });
    expect(await new LedgerFile(options.ledgerFolder, 'run-1').read()).toMatchObject({ sessions: [{}] });
    const policy = policyOf('drill', platform, { claims: [], takeovers: [], journals: [] });
    expect(refusedCalls(policy, wire.calls, platform.account)).toEqual([]);
  });

  it('whose process ends anywhere is gone on with by another one: each experiment is started and stopped once', async () => {
    const fis: FakeFis[] = [];
    await connect({ fis: (call) => fis.at(-1)?.service(call) ?? 'pass' });
    const fresh = async () => {
      const own = new FakeFis();
      fis.push(own);
      // The clock of these runs does not wait.
      const { world } = await drillWorld({ pauses: { warmUp: 0.01, settle: 0, after: 0, drain: 0 } });
      return { world, state: () => ({ starts: own.starts, stops: own.stops }) };
    };
    const isOwn = ({ is, ...event }: { is: string; step?: string }): boolean =>
      is !== 'run-started' && (event.step === 'drill-break' || event.step === 'drill-mend');
    const { state, crashes } = await endsAlike(drill(nothing, plan), fresh, isOwn);
    expect(state).toEqual({
      starts: ['link-cut-us-west-2', 'link-cut-eu-west-1'],
      stops: ['link-cut-us-west-2', 'link-cut-eu-west-1'],
    });
    expect(crashes).toBeGreaterThan(8);
  }, 30_000);

  it('starts what was not started yet when a start failed between two, and the first not again', async () => {
    const fis = new FakeFis();
    let failures = 1;
    await connect({
      fis: (call) => {
        const isSecond = call.action === 'StartExperiment' && call.body.includes('EXT2');
        if (isSecond && failures-- > 0) return { json: { __type: 'ValidationException', message: 'no' }, status: 400 };
        return fis.service(call);
      },
    });
    const { controls } = await drillWorld();
    const drilling = { runId: 'run-1', plan };
    await controls.startLoad(drilling, signal);
    await expect(controls.break(drilling, signal)).rejects.toThrow('ValidationException');
    expect(await controls.fault(drilling, signal)).toEqual({ is: 'partly' });
    await controls.break(drilling, signal);
    expect(await controls.fault(drilling, signal)).toEqual({ is: 'there' });
    expect(fis.starts).toEqual(['link-cut-us-west-2', 'link-cut-eu-west-1']);
  });

  it('counts on in another process from the ledger of the first; the time between is told and is no error', async () => {
    await connect({ fis: new FakeFis().service });
    const first = await drillWorld();
    const drilling = { runId: 'run-1', plan };
    await first.controls.startLoad(drilling, signal);
    await first.controls.close();
    const second = await drillWorld({ ...first.options });
    expect(await second.controls.load(drilling)).toBe('absent');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await second.controls.startLoad(drilling, signal);
    let found = await second.controls.measure(drilling, '', signal);
    while (found === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      found = await second.controls.measure(drilling, '', signal);
    }
    expect(found).toMatchObject({ errorPercent: 0, servingGapSeconds: 0, spendEventsLost: 0 });
    expect(found.clientsAwaySeconds).toBeGreaterThanOrEqual(0.2);
    expect(found.requests).toBeGreaterThan(0);
  });

  it('on another machine, without its ledger, measures nothing and says where to', async () => {
    await connect({});
    const { controls } = await drillWorld();
    await expect(controls.measure({ runId: 'run-9', plan }, '', signal)).rejects.toThrow(
      'measure on the machine on which the drill was begun',
    );
  });

  it('is told when the region has no experiment for the fault', async () => {
    await connect({ fis: () => ({ json: { experimentTemplates: [] } }) });
    const { controls } = await drillWorld();
    const drilling = { runId: 'run-1', plan };
    await controls.startLoad(drilling, signal);
    await expect(controls.break(drilling, signal)).rejects.toThrow('us-east-1 has no experiment for that');
  });
});

it('a fault that did not work is no drill, one that ended by itself is over', () => {
  const one = (status: RunExperiment['status']): RunExperiment => ({
    id: 'EXP1',
    name: 'cut',
    status,
    reason: 'no target',
  });
  expect(faultState([], ['cut'])).toEqual({ is: 'absent' });
  expect(faultState([one('completed'), one('running')], ['cut'])).toEqual({ is: 'there' });
  expect(faultState([one('stopping')], ['cut'])).toEqual({ is: 'there' });
  expect(faultState([one('running')], ['cut', 'more'])).toEqual({ is: 'partly' });
  expect(faultState([one('completed'), one('stopped')], ['cut'])).toEqual({ is: 'over' });
  expect(faultState([one('running'), one('failed')], ['cut'])).toMatchObject({
    is: 'failed',
    because: 'the experiment cut (EXP1) has failed: no target',
    lasts: true,
  });
  expect(faultState([one('failed'), one('stopped')], ['cut'])).toMatchObject({ is: 'failed', lasts: false });
});

describe('what speaks against a drill in AWS', () => {
  const done = async (): Promise<void> => undefined;
  const row = { epoch: 1, writer: east, state: 'open' } as const;
  const database: RegionDatabase = {
    view: async () => ({ role: 'replica', row, lagSeconds: 4 }),
    promote: done,
    close: done,
    raise: done,
  };
  const host = {
    unfinishedRuns: async (runId: string) => [`not ${runId}`],
    backupVerifiedAt: async () => new Date(Date.now() - 3.5 * 86_400_000).toISOString(),
    ledgerFolder: '',
  };

  it('alarms of every region, page by page; one that does not answer counts as ringing', async () => {
    await connect({
      monitoring: ({ region, body }) => {
        if (region !== east) return { json: { __type: 'InvalidParameterValue', message: 'away' }, status: 400 };
        const { NextToken, AlarmNamePrefix, StateValue } = JSON.parse(body);
        expect([AlarmNamePrefix, StateValue]).toEqual(['acme-staging-', 'ALARM']);
        return NextToken === undefined
          ? { json: { MetricAlarms: [{ AlarmName: 'acme-staging-one' }], NextToken: 'more' } }
          : { json: { CompositeAlarms: [{ AlarmName: 'acme-staging-two' }] } };
      },
    });
    const conditions = drillConditions(clients, { platform, host, databaseIn: () => database });
    const found = await conditions({ runId: 'run-1', plan }, signal);
    expect(found.alerts.slice(0, 2)).toEqual(['acme-staging-one', 'acme-staging-two']);
    expect(found.alerts.slice(2).join()).toContain(`CloudWatch in ${west} does not say`);
    expect(found).toMatchObject({
      describedAs: 'staging',
      unfinishedRuns: ['not run-1'],
      lagSeconds: 4,
      backupVerifiedDaysAgo: 3,
    });
    const policy = policyOf('drill', platform, { claims: [], takeovers: [], journals: [] });
    expect(refusedCalls(policy, wire.calls, platform.account)).toEqual([]);
  });
});
