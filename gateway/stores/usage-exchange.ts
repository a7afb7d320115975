/**
 * Usage of deployments between sibling processes: every process tells its totals of the running minute and hears those of
 * all. Totals and not amounts, so that a message which is lost or doubled changes nothing. The minutes are Redis's.
 */
import { z } from 'zod';
import type { UsageLedger } from '../domain/usage.ts';
import type { RedisClient } from './redis.ts';

/** Siblings know of a request after at most this time and one round trip; routing overshoots by what came in it. */
export const exchangeEveryMs = 500;

const key = 'holdfast:usage';

/**
 * One hash for the running minute: `r:ID` and `t:ID` hold requests and tokens of all, `PROCESS:ID` what one has told.
 * ARGV: process, minute of its totals, then id, requests and tokens of each deployment.
 */
const script = `
local time = redis.call('TIME')
local minute = string.format('%d', math.floor(time[1] / 60))
if redis.call('HGET', KEYS[1], 'minute') ~= minute then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'minute', minute)
end
redis.call('PEXPIRE', KEYS[1], 120000)
local reply = { time[1] * 1000 + math.floor(time[2] / 1000) }
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  if ARGV[2] == minute then
    local field = ARGV[1] .. ':' .. id
    local told = redis.call('HGET', KEYS[1], field)
    local requests, tokens = 0, 0
    if told then requests, tokens = string.match(told, '(%d+) (%d+)') end
    if tonumber(ARGV[i + 1]) ~= tonumber(requests) or tonumber(ARGV[i + 2]) ~= tonumber(tokens) then
      redis.call('HINCRBY', KEYS[1], 'r:' .. id, ARGV[i + 1] - requests)
      redis.call('HINCRBY', KEYS[1], 't:' .. id, ARGV[i + 2] - tokens)
      redis.call('HSET', KEYS[1], field, ARGV[i + 1] .. ' ' .. ARGV[i + 2])
    end
  end
  local totals = redis.call('HMGET', KEYS[1], 'r:' .. id, 't:' .. id)
  reply[#reply + 1] = tonumber(totals[1] or 0)
  reply[#reply + 1] = tonumber(totals[2] or 0)
end
return reply`;

const replySchema = z.array(z.number());

export interface UsageExchangeOptions {
  readonly processId: string;
  /** Those of the configuration that is live: read each time. None where nothing is routed by usage. */
  readonly deploymentIds: readonly string[];
  readonly ledger: UsageLedger;
}

export class UsageExchange {
  readonly #options: UsageExchangeOptions;

  constructor(options: UsageExchangeOptions) {
    this.#options = options;
  }

  /** One round trip. @throws when Redis does not answer; then each process goes by its own counts. */
  async run(client: RedisClient): Promise<void> {
    const { processId, deploymentIds, ledger } = this.#options;
    if (deploymentIds.length === 0) return;
    const { minute } = ledger;
    const own = deploymentIds.map((id) => ledger.counted(id));
    const totals = deploymentIds.flatMap((id, index) => [
      id,
      own[index]?.requests ?? 0,
      Math.round(own[index]?.tokens ?? 0),
    ]);
    const reply = replySchema.parse(await client.eval(script, 1, key, processId, minute, ...totals));
    const [commonMs = 0, ...all] = reply;
    const commonMinute = Math.floor(commonMs / 60_000);
    ledger.align(commonMs);
    for (const [index, id] of deploymentIds.entries()) {
      // In another minute than Redis's nothing was told.
      const told = commonMinute === minute ? own[index] : undefined;
      ledger.adopt(commonMinute, id, {
        requests: Math.max(0, (all[2 * index] ?? 0) - (told?.requests ?? 0)),
        tokens: Math.max(0, (all[2 * index + 1] ?? 0) - (told?.tokens ?? 0)),
      });
    }
  }
}
