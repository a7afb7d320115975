/** Cached answers in Redis. Every wait is bounded, and a Redis that does not answer is soon not asked any more. */
import { randomUUID } from 'node:crypto';
import { Cluster, type Redis, type Result } from 'ioredis';
import type { CacheStore, StoreLook } from '../domain/answer-cache.ts';
import type { RedisSettings } from '../domain/redis-settings.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import { openRedis, type RedisClient } from './redis.ts';

/** KEYS: entry, lock. ARGV: token, ms. Returns the entry, else 1 when the lock is ours, 0 when somebody else has it. */
const lookScript = `
local entry = redis.call('GET', KEYS[1])
if entry then return entry end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
`;
/** KEYS: lock. ARGV: token. Only its own lock: another may have begun since. */
const unlockScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    holdfastCacheLookBuffer(entry: string, lock: string, token: string, ms: number): Result<unknown, Context>;
    holdfastCacheUnlock(lock: string, token: string): Result<unknown, Context>;
  }
}

/** A request waits for this. */
const commandTimeoutMs = 250;
/** Entries on their way to Redis; beyond it they are kept in memory only. */
const writesUnderWay = 100;
const keysPerScan = 500;
/** How long copies outlive a removal in other processes. */
const lookForRemovalsMs = 1_000;

export interface RedisResponseCacheOptions {
  readonly redis: RedisSettings | string;
  readonly namespace: string;
  readonly onError: (error: Error) => void;
  /** Told at each change and only then. */
  readonly onChange: (state: BreakerState, error: unknown) => void;
  /** Somebody else removed entries: copies of them must go. */
  readonly onRemoved?: () => void;
}

export class RedisResponseCache implements CacheStore {
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #options: RedisResponseCacheOptions;
  readonly #breaker: Breaker;
  #writing = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Another one after each removal; null while nobody has removed anything, as far as is known here. */
  #generation: string | null = null;

  constructor(options: RedisResponseCacheOptions) {
    this.#options = options;
    this.#prefix = `holdfast:cache:${options.namespace}:`;
    this.#client = openRedis(options.redis, 'cache', options.onError, { commandTimeoutMs });
    this.#client.defineCommand('holdfastCacheLook', { numberOfKeys: 2, lua: lookScript });
    this.#client.defineCommand('holdfastCacheUnlock', { numberOfKeys: 1, lua: unlockScript });
    this.#breaker = new Breaker({ now: () => performance.now(), onChange: options.onChange });
  }

  /** Connects in the background; nobody waits for Redis. */
  start(): void {
    this.#client.connect().catch(this.#options.onError);
    this.#timer = setInterval(() => void this.#lookForRemovals(), lookForRemovalsMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#client.disconnect();
  }

  async look(key: string, lock: { readonly token: string; readonly forMs: number } | undefined): Promise<StoreLook> {
    if (!this.#breaker.allows()) return { is: 'away' };
    try {
      const { entry: entryKey, lock: lockKey } = this.#keys(key);
      const found: unknown =
        lock === undefined
          ? await this.#client.getBuffer(entryKey)
          : await this.#client.holdfastCacheLookBuffer(entryKey, lockKey, lock.token, lock.forMs);
      this.#breaker.succeeded();
      if (Buffer.isBuffer(found)) return { is: 'found', bytes: found };
      return { is: found === 0 ? 'awaited' : 'yours' };
    } catch (error) {
      // A key of another type, which somebody else made, is no outage.
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) this.#breaker.succeeded();
      else this.#breaker.failed(error);
      return { is: 'away' };
    }
  }

  keep(key: string, bytes: Buffer, ttlMs: number, token: string | undefined): void {
    if (this.#writing >= writesUnderWay || this.#breaker.state === 'open') return;
    this.#writing++;
    const { entry } = this.#keys(key);
    this.#client
      .set(entry, bytes, 'PX', Math.max(1, Math.ceil(ttlMs)))
      .catch((error: unknown) => this.#breaker.failed(error))
      .finally(() => {
        this.#writing--;
      });
    if (token !== undefined) this.unlock(key, token);
  }

  unlock(key: string, token: string): void {
    // A lock that is not freed ends by itself.
    if (this.#breaker.state === 'open') return;
    this.#client
      .holdfastCacheUnlock(this.#keys(key).lock, token)
      .catch((error: unknown) => this.#breaker.failed(error));
  }

  /** @throws when Redis does not answer. */
  async ping(): Promise<void> {
    const key = `${this.#prefix}ping:${randomUUID()}`;
    await this.#client.set(key, 'pong', 'PX', 10_000);
    const answer = await this.#client.get(key);
    await this.#client.del(key);
    if (answer !== 'pong') throw new Error('Redis did not return what was written');
  }

  async remove(keys: readonly string[]): Promise<void> {
    // One by one: in a Cluster each has its own node.
    await Promise.all(keys.map((key) => this.#client.del(this.#keys(key).entry)));
    await this.#tellOthers();
  }

  /** By SCAN and UNLINK, so that the server answers everybody else meanwhile; limits and cooldowns live there, too. */
  async removeAll(): Promise<number> {
    const nodes: readonly Redis[] = this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
    let removed = 0;
    for (const node of nodes) {
      let cursor = '0';
      do {
        const [next, keys] = await node.scan(cursor, 'MATCH', `${literal(this.#prefix)}*`, 'COUNT', keysPerScan);
        cursor = next;
        const counts = await Promise.all(keys.map((key) => this.#client.unlink(key)));
        removed += counts.reduce((sum, count) => sum + count, 0);
      } while (cursor !== '0');
    }
    await this.#tellOthers();
    return removed;
  }

  async #tellOthers(): Promise<void> {
    this.#generation = randomUUID();
    await this.#client.set(`${this.#prefix}generation`, this.#generation);
  }

  /** A Redis that was emptied by hand counts as well. Never rejects. */
  async #lookForRemovals(): Promise<void> {
    if (this.#options.onRemoved === undefined || this.#breaker.state === 'open') return;
    const before = this.#generation;
    try {
      const now = await this.#client.get(`${this.#prefix}generation`);
      // A removal of this process's own, meanwhile.
      if (this.#generation !== before) return;
      this.#generation = now;
      if (now !== before) this.#options.onRemoved();
    } catch (error) {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async info(): Promise<Readonly<Record<string, string>>> {
    const text = await this.#client.info();
    return Object.fromEntries(
      text
        .split('\r\n')
        .filter((line) => line.includes(':') && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    );
  }

  /** Braces: an entry and its lock share a slot of a Cluster. */
  #keys(key: string): { readonly entry: string; readonly lock: string } {
    return { entry: `${this.#prefix}{${key}}`, lock: `${this.#prefix}{${key}}:lock` };
  }
}

/** A namespace may hold what has a meaning in a pattern. */
const literal = (text: string): string => text.replaceAll(/[*?[\]\\]/g, String.raw`\$&`);
