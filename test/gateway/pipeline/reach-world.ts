import { setImmediate as turn } from 'node:timers/promises';
import type { Reached } from '../../../gateway/domain/answer.ts';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { type UpstreamError } from '../../../gateway/domain/errors.ts';
import type { CooldownSettings, RecoverySettings, RoutingSettings } from '../../../gateway/domain/recovery.ts';
import type { ModelRequest } from '../../../gateway/domain/request.ts';
import { NotReached } from '../../../gateway/pipeline/not-reached.ts';
import { reach } from '../../../gateway/pipeline/reach.ts';
import type { UpstreamCall } from '../../../gateway/providers/adapter.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { type Reply, type Timers, Transport } from '../../../gateway/providers/transport.ts';
import { LoadBook } from '../../../gateway/routing/load.ts';
import { RetryBudget } from '../../../gateway/routing/retry-budget.ts';
import { Router } from '../../../gateway/routing/router.ts';
import { cooldownSettings, exampleDeployment, exampleRequest, recovery, routingSettings } from '../examples.ts';

/** What an upstream does with a call: a status, or a connection that fails. */
export type Fate = number | 'refused' | 'lost' | 'hangs';
export type Behaviour = (host: string, call: number) => Fate;

/** Sends nothing: answers at once or after a while of the simulated time. */
class FakeTransport extends Transport {
  /** Host and model of each call, oldest first. */
  readonly calls: { readonly host: string; readonly model: unknown }[] = [];
  /** Bodies of these calls. */
  readonly bodies: unknown[] = [];
  behaviour: Behaviour = () => 200;
  latencyMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override async send(call: UpstreamCall, _timers: Timers, signal: AbortSignal): Promise<Reply> {
    const { host } = new URL(call.origin);
    const body: unknown = JSON.parse(call.body.toString());
    const model: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'model') : undefined;
    this.calls.push({ host, model });
    this.bodies.push(body);
    const fate = this.behaviour(host, this.calls.length);
    if (this.latencyMs > 0) await this.#clock.wait(this.latencyMs);
    if (fate === 'hangs') {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(asError(signal.reason)));
      });
    }
    if (fate === 'lost') throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    if (fate === 'refused') throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    return {
      kind: 'whole',
      response: { status: fate, contentType: 'application/json', headers: {}, body: bodyOf(fate) },
    };
  }

  countOf(host: string): number {
    return this.calls.filter((call) => call.host === host).length;
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
const fine = Buffer.from('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}');
const tooLong = Buffer.from('{"error":{"message":"too long","code":"context_length_exceeded"}}');
const wrong = Buffer.from('{"error":{"message":"no"}}');
const bodyOf = (status: number): Buffer => (status < 300 ? fine : status === 413 ? tooLong : wrong);

/** Time that passes only when a test says so. */
class Clock {
  ms = 6_000_000;
  #sleepers: { readonly dueMs: number; readonly wake: () => void }[] = [];
  readonly now = (): number => this.ms;

  wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake, reject) => {
      this.#sleepers.push({ dueMs: this.ms + milliseconds, wake });
      signal?.addEventListener('abort', () => reject(asError(signal.reason)));
    });
  }

  async pass(milliseconds: number): Promise<void> {
    this.ms += milliseconds;
    const due = this.#sleepers.filter(({ dueMs }) => dueMs <= this.ms);
    this.#sleepers = this.#sleepers.filter(({ dueMs }) => dueMs > this.ms);
    for (const { wake } of due) wake();
    await turn();
  }
}

/** Notes which groups it keeps numbers for. */
class WatchedBudget extends RetryBudget {
  readonly groups = new Set<string>();
  retries = 0;

  override countRequest(group: string): void {
    this.groups.add(group);
    super.countRequest(group);
  }

  override countRetry(group: string): void {
    this.groups.add(group);
    this.retries++;
    super.countRetry(group);
  }
}

export interface World {
  readonly clock: Clock;
  readonly transport: FakeTransport;
  readonly router: Router;
  readonly load: LoadBook;
  readonly budget: WatchedBudget;
  readonly cooled: Deployment[];
  /** Sends one; a failure comes back as a value. */
  ask(over?: Partial<ModelRequest>, signal?: AbortSignal): Promise<Reached | NotReached>;
}

interface WorldOptions {
  readonly deployments: readonly Deployment[];
  readonly aliases?: Readonly<Record<string, string>>;
  readonly recovery?: Partial<RecoverySettings>;
  readonly routing?: Partial<RoutingSettings>;
  readonly cooldown?: Partial<CooldownSettings>;
  readonly random?: () => number;
}

export function worldOf(options: WorldOptions): World {
  const clock = new Clock();
  const transport = new FakeTransport(clock);
  const routing = routingSettings(options.routing);
  const load = new LoadBook({ now: clock.now, latencyTtlSeconds: routing.latencyTtlSeconds });
  const budget = new WatchedBudget(clock.now);
  const cooled: Deployment[] = [];
  const groups = new Map<string, Deployment[]>();
  for (const one of options.deployments) groups.set(one.modelGroup, [...(groups.get(one.modelGroup) ?? []), one]);
  const router = new Router({
    groups,
    aliases: new Map(Object.entries(options.aliases ?? {}).map(([alias, group]) => [alias, { group, hidden: false }])),
    cooldown: cooldownSettings({ cooldownSeconds: 5, ...options.cooldown }),
    routing,
    load,
    random: Math.random,
    now: clock.now,
    onCooled: (deployment) => cooled.push(deployment),
  });
  const dependencies = {
    router,
    load,
    retries: budget,
    transport,
    sign: (call: UpstreamCall) => Promise.resolve(call),
    adapterFor: () => openAIAdapter,
    recovery: recovery(options.recovery),
    // The exponential wait is drawn between 0 and its ceiling.
    random: options.random ?? (() => 0),
    now: clock.now,
    wait: (milliseconds: number, signal: AbortSignal) => clock.wait(milliseconds, signal),
    onDoubt: () => undefined,
    onAttempt: (_deployment: Deployment, _outcome: 'success' | UpstreamError) => undefined,
  };
  const ask: World['ask'] = async (over = {}, signal = new AbortController().signal) => {
    const request = exampleRequest(
      { model: over.model ?? 'chat', messages: [{ role: 'user', content: 'Hello!' }] },
      over,
    );
    const group = router.directory.resolve(request.model) ?? 'unresolved';
    try {
      const reached = await reach(request, group, clock.ms + 600_000, signal, dependencies);
      reached.release();
      return reached;
    } catch (error) {
      if (error instanceof NotReached) return error;
      throw error;
    }
  };
  return { clock, transport, router, load, budget, cooled, ask };
}

/** `a` is at `http://a`. */
export const at = (host: string, over: Partial<Deployment> = {}): Deployment =>
  exampleDeployment(host, { origin: `http://${host}`, ...over });
export const served = (results: readonly (Reached | NotReached)[]): number =>
  results.filter((result) => !(result instanceof NotReached)).length;
export const burst = (world: World, count: number): Promise<(Reached | NotReached)[]> =>
  Promise.all(Array.from({ length: count }, () => world.ask()));

/** Requests at a steady rate of the simulated time. */
export async function offer(world: World, perSecond: number, seconds: number): Promise<(Reached | NotReached)[]> {
  const stepMs = 10;
  const running: Promise<Reached | NotReached>[] = [];
  for (let elapsedMs = 0; elapsedMs < seconds * 1_000; elapsedMs += stepMs) {
    for (let request = 0; request < (perSecond * stepMs) / 1_000; request++) running.push(world.ask());
    await world.clock.pass(stepMs);
  }
  // Those that are still under way, with all the retries they may need.
  for (let step = 0; step < 200; step++) await world.clock.pass(stepMs);
  return Promise.all(running);
}
