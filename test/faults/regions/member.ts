/** A gateway of a history with its clients: in the test's own process, or in one of its own that can be killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { HistoryEvent } from '../../../runbooks/lab/region-history.ts';
import { Random } from '../../gateway/admission/simulation/random.ts';
import { type GatewayPlace, type RegionGateway, repeat } from './region-gateway.ts';

/** An event, and when it was: processes of one machine share the monotonic clock. */
export interface Timed {
  readonly event: HistoryEvent;
  readonly atNs: bigint;
}

export interface Member {
  start(): Promise<void>;
  /** Its clients ask no more. */
  rest(): Promise<void>;
  /** The network is as quick as it can be. */
  hurry(): void;
  /** @returns events that the ledger does not have. */
  settle(): Promise<number>;
  stop(): Promise<void>;
}

/** Of a process, by message. */
export type Order = { readonly is: 'rest' } | { readonly is: 'hurry' } | { readonly is: 'settle' };
export type Told =
  | { readonly is: 'event'; readonly event: HistoryEvent; readonly atNs: string }
  | { readonly is: 'listening'; readonly port: number }
  | { readonly is: 'started' }
  | { readonly is: 'rested' }
  | { readonly is: 'settled'; readonly queued: number };

/** Clients that ask all the while. @returns what ends them. */
export function clientsOf(gateway: RegionGateway, random: Random): () => Promise<unknown> {
  const pauseMs = (): number => 20 + random.integer(60);
  const loops = [
    repeat(() => gateway.write(), pauseMs),
    repeat(() => gateway.spend(), pauseMs),
    repeat(
      () => gateway.outbox.maintain(),
      () => 150,
    ),
  ];
  return () => Promise.all(loops.map((loop) => loop.stop()));
}

/** Commits and the network are slow now and then. */
export function slowDown(gateway: RegionGateway, random: Random): void {
  const slow = async (): Promise<void> => {
    if (random.chance(0.05)) await sleep(random.integer(1_600));
  };
  gateway.beforeCommit = slow;
  gateway.afterCommit = slow;
}

export class LocalMember implements Member {
  readonly #gateway: RegionGateway;
  readonly #random: Random;
  #rest: (() => Promise<unknown>) | undefined;

  constructor(gateway: RegionGateway, random: Random) {
    this.#gateway = gateway;
    this.#random = random;
  }

  async start(): Promise<void> {
    await this.#gateway.start();
    this.#rest = clientsOf(this.#gateway, this.#random);
  }

  async rest(): Promise<void> {
    await this.#rest?.();
  }

  hurry(): void {
    this.#gateway.beforeCommit = async () => undefined;
    this.#gateway.afterCommit = async () => undefined;
  }

  async settle(): Promise<number> {
    await this.#gateway.outbox.heartbeat.beat();
    return this.#gateway.outbox.queued;
  }

  async stop(): Promise<void> {
    await this.rest();
    await this.#gateway.stop();
  }
}

const program = fileURLToPath(new URL('./gateway-program.ts', import.meta.url));
const answerWithinMs = 20_000;

export interface ProcessMemberOptions {
  readonly place: GatewayPlace;
  readonly seed: number;
  readonly record: (timed: Timed) => void;
  readonly onListening: (port: number) => void;
}

/** What it has told before it is killed counts; what it only did does not. */
export class ProcessMember implements Member {
  readonly #options: ProcessMemberOptions;
  #life = 0;
  #child: ChildProcess | undefined;
  #heard: ((told: Told) => void) | undefined;

  constructor(options: ProcessMemberOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { place, seed, record, onListening } = this.#options;
    const life = ++this.#life;
    const child = fork(program, [JSON.stringify({ place: { ...place, life }, seed: seed + life })], {
      stdio: ['ignore', process.env['HOLDFAST_REGION_LOG'] === undefined ? 'ignore' : 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    const started = new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`gateway ${place.name}${place.index} ended while it started`)));
      child.on('message', (told: Told) => {
        if (told.is === 'event') record({ event: told.event, atNs: BigInt(told.atNs) });
        else if (told.is === 'listening') onListening(told.port);
        else if (told.is === 'started') resolve();
        else this.#heard?.(told);
      });
    });
    await started;
  }

  /** SIGKILL; nothing of it runs any more when this resolves. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async rest(): Promise<void> {
    await this.#ask({ is: 'rest' });
  }

  hurry(): void {
    this.#child?.send({ is: 'hurry' } satisfies Order);
  }

  async settle(): Promise<number> {
    const told = await this.#ask({ is: 'settle' });
    return told.is === 'settled' ? told.queued : Number.NaN;
  }

  async stop(): Promise<void> {
    await this.kill();
  }

  async #ask(order: Order): Promise<Told> {
    const { place } = this.#options;
    const answer = new Promise<Told>((resolve) => {
      this.#heard = resolve;
    });
    this.#child?.send(order);
    const outOfTime = sleep(answerWithinMs, undefined, { ref: false }).then(() => {
      throw new Error(`gateway ${place.name}${place.index} did not answer "${order.is}"`);
    });
    return Promise.race([answer, outOfTime]);
  }
}
