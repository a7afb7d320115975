/** Slices of rate limits out of Redis: one script for each account, on Redis's clock. Nothing here is kept for good. */
import type { Result } from 'ioredis';
import { z } from 'zod';
import type { RedisSettings } from '../domain/redis-settings.ts';
import type { LimitClaim, LimitReply, LimitSlices } from '../domain/slices.ts';
import { answeredWithin } from './answered-within.ts';
import { openRedis, type RedisClient } from './redis.ts';

/**
 * Totals in, totals out, as in PostgreSQL: `g` is all that a process was given in this window, `t` all that it gave back.
 * A limit of windows forgets everything when the next one begins; in one of slots (window 0) each process's field has an
 * expiry that its calls renew.
 *
 * KEYS[1] the limit; ARGV: limit, window ms (0 = slots), process, granted, returned, want, slack, processes, the window
 * that the totals belong to, expiry of slots in ms. Returns window, ms left, granted, free.
 */
const script = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit, length, me = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local granted, returned = tonumber(ARGV[4]), tonumber(ARGV[5])
local want, slack, live = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local known, expiry = tonumber(ARGV[9]), tonumber(ARGV[10])

local function grant(free, need)
  if need > 0 and free > 16 * live then
    need = need + math.floor(math.min(slack, free / (4 * live)))
  end
  return math.max(0, math.min(need, free))
end

if length == 0 then
  local held, g, r = 0, granted, returned
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local theirs, back, till = string.match(fields[i + 1], '(%d+) (%d+) (%d+)')
    if tonumber(till) <= now then
      redis.call('HDEL', KEYS[1], fields[i])
    elseif fields[i] == me then
      g, r = math.max(g, tonumber(theirs)), math.max(r, tonumber(back))
    else
      held = held + tonumber(theirs) - tonumber(back)
    end
  end
  local free = limit - held - (g - r)
  local need = grant(free, math.max(want - g, 0))
  redis.call('HSET', KEYS[1], me, string.format('%d %d %d', g + need, r, now + expiry))
  redis.call('PEXPIRE', KEYS[1], 2 * expiry)
  return { 0, expiry, g + need, free - need }
end

local window = math.floor(now / length)
local row = redis.call('HMGET', KEYS[1], 'w', 'held', 'g' .. me, 't' .. me)
if tonumber(row[1]) ~= window then
  redis.call('DEL', KEYS[1])
  row = { window, 0, 0, 0 }
end
local held, g, r = tonumber(row[2] or 0), tonumber(row[3] or 0), tonumber(row[4] or 0)
local same = known == window
if same then
  local g2, r2 = math.max(g, granted), math.max(r, returned)
  held = held + (g2 - r2) - (g - r)
  g, r = g2, r2
end
local free = limit - held
local need = grant(free, math.max(want - (same and g or granted), 0))
redis.call('HSET', KEYS[1], 'w', window, 'held', held + need, 'g' .. me, g + need, 't' .. me, r)
redis.call('PEXPIRE', KEYS[1], 2 * length)
return { window, (window + 1) * length - now, g + need, free - need }
`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    holdfastLimit(key: string, ...values: (string | number)[]): Result<unknown, Context>;
  }
}

const replySchema = z.tuple([z.number(), z.number(), z.number(), z.number()]);
const prefix = 'holdfast:limit:';
const checkEveryMs = 1_000;
/** Requests wait for it, and shares are there instead; a Redis that is well answers in one. */
const answerWithinMs = 100;

export interface RedisLimitOptions {
  readonly redis: RedisSettings | string;
  /** Names this process; a new one after every start. */
  readonly processId: string;
  /** Slots of a process that is not heard for so long return. */
  readonly slotExpiryMs: number;
  readonly onError: (error: Error) => void;
}

export class RedisLimitSlices implements LimitSlices {
  readonly #options: RedisLimitOptions;
  readonly #client: RedisClient;
  #timer: NodeJS.Timeout | undefined;
  #up = false;

  constructor(options: RedisLimitOptions) {
    this.#options = options;
    this.#client = openRedis(options.redis, 'limits', options.onError);
    this.#client.defineCommand('holdfastLimit', { numberOfKeys: 1, lua: script });
    this.#client.on('ready', () => {
      this.#up = true;
    });
    this.#client.on('close', () => {
      this.#up = false;
    });
  }

  get up(): boolean {
    return this.#up;
  }

  /** Connects, in the background when nobody is there or it takes longer than `patienceMs`: until then shares hold. */
  async start(patienceMs = 1_000): Promise<void> {
    const told = new Promise<void>((resolve) => {
      this.#client.once('ready', resolve);
      this.#client.once('close', resolve);
    });
    this.#client.connect().catch(this.#options.onError);
    this.#timer = setInterval(() => void this.#check(), checkEveryMs);
    this.#timer.unref();
    let patience: NodeJS.Timeout | undefined;
    await Promise.race([
      told,
      new Promise<void>((resolve) => {
        patience = setTimeout(resolve, patienceMs);
      }),
    ]);
    clearTimeout(patience);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#client.disconnect();
  }

  async claim(claims: readonly LimitClaim[], live: number): Promise<LimitReply[]> {
    try {
      // Single commands in one write, and no pipeline of them: each key may live on another node of a cluster.
      return await answeredWithin(Promise.all(claims.map((claim) => this.#claimOne(claim, live))), answerWithinMs);
    } catch (error) {
      this.#up = false;
      throw error;
    }
  }

  async #claimOne(claim: LimitClaim, live: number): Promise<LimitReply> {
    const reply = await this.#client.holdfastLimit(
      `${prefix}${claim.key}`,
      claim.limit,
      claim.windowMs,
      this.#options.processId,
      claim.granted,
      claim.returned,
      claim.want,
      claim.slack,
      live,
      claim.window,
      this.#options.slotExpiryMs,
    );
    const [window, leftMs, granted, free] = replySchema.parse(reply);
    return { window, leftMs, granted, free };
  }

  /** A connection that hangs is not closed by anybody; a question without an answer shows it. */
  async #check(): Promise<void> {
    try {
      await this.#client.ping();
      this.#up = true;
    } catch (error) {
      this.#up = false;
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
      if (this.#client.status === 'ready') this.#client.disconnect(true);
    }
  }
}
