/** What processes share over Redis: cooldowns, usage, and slices of rate limits. Opened together, closed together. */
import { randomUUIDv7 } from 'node:crypto';
import type { GatewayConfig } from './config/gateway-config.ts';
import { describeRedis, type RedisSettings } from './domain/redis-settings.ts';
import type { Live } from './live.ts';
import type { LoadBook } from './routing/load.ts';
import { type NoticeBoard, RedisCooldownShare } from './stores/cooldown-share.ts';
import { RedisLimitSlices } from './stores/limits.ts';
import { UsageExchange } from './stores/usage-exchange.ts';
import type { Logger } from './telemetry/log.ts';

export interface RedisLinks {
  readonly settings: RedisSettings;
  readonly cooldowns: RedisCooldownShare;
  readonly limits: RedisLimitSlices;
  /** Connects; waits a moment for it and never fails, since what is away is waited for in the background. */
  start(): Promise<void>;
  close(): void;
}

export interface RedisLinksOptions {
  readonly settings: RedisSettings;
  readonly live: Live;
  readonly load: LoadBook;
  readonly slotExpiryMs: number;
  readonly notices?: NoticeBoard | undefined;
  readonly logger: Logger;
}

const none: readonly string[] = [];

/** @throws when a PEM file cannot be read. */
export function openRedisLinks(options: RedisLinksOptions): RedisLinks {
  const { settings, live, load, slotExpiryMs, notices, logger } = options;
  const processId = randomUUIDv7();
  const onError = (error: Error): void => logger.debug({ err: error }, 'a Redis command failed');
  const facts = { redis: describeRedis(settings) };
  const cooldowns = new RedisCooldownShare({
    redis: settings,
    processId,
    get deploymentIds() {
      return live.current?.deploymentIds ?? none;
    },
    usage: new UsageExchange({
      processId,
      get deploymentIds() {
        const generation = live.current;
        return generation !== undefined && isRoutedByUsage(generation.config) ? generation.deploymentIds : none;
      },
      ledger: load,
    }),
    onCooldown: (id, forMs) => live.current?.router.adopt(id, forMs),
    notices,
    onError,
    onChange: (up) => {
      if (up) logger.info(facts, 'Redis answers');
      else logger.warn(facts, 'Redis cannot be reached; each process is on its own');
    },
  });
  const limits = new RedisLimitSlices({ redis: settings, processId: randomUUIDv7(), slotExpiryMs, onError });
  return {
    settings,
    cooldowns,
    limits,
    start: () => {
      cooldowns.start();
      return limits.start();
    },
    close: () => {
      cooldowns.close();
      limits.close();
    },
  };
}

/** Whether anything depends on what siblings send to a deployment. */
const isRoutedByUsage = ({ routing, groups }: GatewayConfig): boolean =>
  routing.strategy.startsWith('usage-based') ||
  [...groups.values()].flat().some(({ rpm, tpm }) => rpm !== undefined || tpm !== undefined);
