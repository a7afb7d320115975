/**
 * What sibling processes tell each other over one pair of connections. Cooldowns: a message for those that run, a key with
 * its own expiry for those that start. Usage: totals, exchanged twice a second. Notices: a message, and a hash for those
 * that start.
 */
import { z } from 'zod';
import type { CooldownShare } from '../domain/recovery.ts';
import type { RedisSettings } from '../domain/redis-settings.ts';
import { openRedis, type RedisClient } from './redis.ts';
import { exchangeEveryMs, type UsageExchange } from './usage-exchange.ts';

const channel = 'holdfast:cooldown';
const keyOf = (deploymentId: string): string => `holdfast:cooldown:${deploymentId}`;
/** Durations, not moments: the clocks of two machines are never compared. */
const messageSchema = z.object({ id: z.string(), forMs: z.number().positive(), from: z.string() });
const checkEveryMs = 5_000;
const noticeChannel = 'holdfast:notice';
const noticeKey = 'holdfast:notices';
const noticesKeptMs = 24 * 3_600_000;
/** Kept for those that start; beyond it only those that run hear of them. */
const mostNotices = 10_000;

/** Texts that every process of the region has to hear, each known by an id. Told more than once is told once. */
export interface NoticeBoard {
  onNotice(text: string): void;
  /** Redis is there, or there again: it may have forgotten everything. */
  onReady(): void;
}

export interface RedisCooldownOptions {
  readonly redis: RedisSettings | string;
  /** Names this process, so that it ignores its own messages. */
  readonly processId: string;
  /** Those of the configuration that is live: read each time. */
  readonly deploymentIds: readonly string[];
  readonly onCooldown: (deploymentId: string, forMs: number) => void;
  readonly onError: (error: Error) => void;
  /** Told when Redis is lost and found, once each. */
  readonly onChange?: (up: boolean) => void;
  /** Undefined where nothing is routed by usage. */
  readonly usage?: UsageExchange;
  readonly notices?: NoticeBoard | undefined;
}

export class RedisCooldownShare implements CooldownShare {
  readonly #options: RedisCooldownOptions;
  readonly #publisher: RedisClient;
  readonly #subscriber: RedisClient;
  #timer: NodeJS.Timeout | undefined;
  #usageTimer: NodeJS.Timeout | undefined;
  #exchanging = false;
  #up = false;

  constructor(options: RedisCooldownOptions) {
    this.#options = options;
    this.#publisher = openRedis(options.redis, 'cooldown', options.onError);
    this.#subscriber = openRedis(options.redis, 'cooldown-subscriber', options.onError);
    this.#subscriber.on('message', (from: string, text: string) => {
      if (from === noticeChannel) options.notices?.onNotice(text);
      else this.#onMessage(text);
    });
    // After every connection, also a later one, once both stand: subscribe, then read what was missed.
    for (const client of [this.#publisher, this.#subscriber]) client.on('ready', () => void this.#catchUp());
  }

  /** Whether Redis answered when it was last asked. */
  get up(): boolean {
    return this.#up;
  }

  /** Connects in the background; the gateway does not wait for Redis. */
  start(): void {
    for (const client of [this.#publisher, this.#subscriber]) client.connect().catch(this.#options.onError);
    this.#timer = setInterval(() => void this.#check(), checkEveryMs);
    this.#timer.unref();
    if (this.#options.usage === undefined) return;
    this.#usageTimer = setInterval(() => void this.#exchange(), exchangeEveryMs);
    this.#usageTimer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#usageTimer);
    this.#publisher.disconnect();
    this.#subscriber.disconnect();
  }

  publish(deploymentId: string, forMs: number): void {
    if (this.#publisher.status !== 'ready') return;
    const message = JSON.stringify({ id: deploymentId, forMs, from: this.#options.processId });
    // Two commands and no transaction: in a Cluster, a key and a channel have no place in common. Either one alone is right.
    for (const sent of [
      this.#publisher.set(keyOf(deploymentId), '1', 'PX', Math.ceil(forMs)),
      this.#publisher.publish(channel, message),
    ]) {
      sent.catch(this.#options.onError);
    }
  }

  /** Never waits; what Redis does not take is told again by whoever knows it, when Redis is back. */
  notify(id: string, text: string): void {
    if (this.#publisher.status !== 'ready') return;
    void this.#notify(id, text).catch(this.#options.onError);
  }

  async #notify(id: string, text: string): Promise<void> {
    await this.#publisher.publish(noticeChannel, text);
    if ((await this.#publisher.hlen(noticeKey)) >= mostNotices) return;
    await this.#publisher.hset(noticeKey, id, text);
    await this.#publisher.pexpire(noticeKey, noticesKeptMs);
  }

  async #readNotices(): Promise<void> {
    const { notices } = this.#options;
    if (notices === undefined) return;
    await this.#subscriber.subscribe(noticeChannel);
    for (const text of await this.#publisher.hvals(noticeKey)) notices.onNotice(text);
    notices.onReady();
  }

  async #exchange(): Promise<void> {
    if (this.#exchanging || this.#publisher.status !== 'ready') return;
    this.#exchanging = true;
    try {
      await this.#options.usage?.run(this.#publisher);
    } catch (error) {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#exchanging = false;
    }
  }

  #onMessage(text: string): void {
    const message = messageSchema.safeParse(parse(text));
    if (!message.success || message.data.from === this.#options.processId) return;
    this.#options.onCooldown(message.data.id, message.data.forMs);
  }

  async #catchUp(): Promise<void> {
    if (this.#publisher.status !== 'ready' || this.#subscriber.status !== 'ready') return;
    try {
      await this.#subscriber.subscribe(channel);
      await this.#readNotices();
      const { deploymentIds } = this.#options;
      const left = await Promise.all(deploymentIds.map((id) => this.#publisher.pttl(keyOf(id))));
      for (const [index, id] of deploymentIds.entries()) {
        const forMs = left[index] ?? 0;
        if (forMs > 0) this.#options.onCooldown(id, forMs);
      }
      this.#isUp(true);
    } catch (error) {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    }
    // One that starts must not begin with an empty minute.
    await this.#exchange();
  }

  #isUp(up: boolean): void {
    if (up === this.#up) return;
    this.#up = up;
    this.#options.onChange?.(up);
  }

  /** A connection that hangs is not closed by anybody; a question without an answer shows it. */
  async #check(): Promise<void> {
    try {
      await Promise.all([this.#publisher.ping(), this.#subscriber.ping()]);
      this.#isUp(true);
    } catch (error) {
      this.#isUp(false);
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
      for (const client of [this.#publisher, this.#subscriber]) if (client.status === 'ready') client.disconnect(true);
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
