/** `cache_params`. */
import { z } from 'zod';
import { parseRedisNodes } from '../../domain/redis-settings.ts';
import { boolean, count, name, positiveCount, positiveSeconds } from './fields.ts';

/** `[{host, port}]` or `[[host, port]]`. */
const redisNodes = z.unknown().transform((value, context) => {
  const nodes = parseRedisNodes(value);
  if (nodes === undefined) context.addIssue('must be a list such as [{host: a, port: 6379}] or [[a, 6379]]');
  return nodes ?? z.NEVER;
});

/** Kinds of cache that LiteLLM has; those that this gateway has not are reported, and the local one stands in. */
const cacheTypes = [
  'local',
  'redis',
  'redis-semantic',
  'qdrant-semantic',
  'valkey-semantic',
  's3',
  'gcs',
  'disk',
  'azure-blob',
] as const;

export const cacheParams = z.looseObject({
  type: z.enum(cacheTypes).optional(),
  url: name.optional(),
  host: name.optional(),
  port: positiveCount.optional(),
  username: name.optional(),
  password: z.string().optional(),
  db: count.optional(),
  redis_startup_nodes: redisNodes.optional(),
  sentinel_nodes: redisNodes.optional(),
  service_name: name.optional(),
  sentinel_username: name.optional(),
  sentinel_password: z.string().optional(),
  ssl: boolean.optional(),
  ssl_ca_certs: name.optional(),
  ssl_certfile: name.optional(),
  ssl_keyfile: name.optional(),
  ssl_cert_reqs: name.nullish(),
  ssl_check_hostname: boolean.optional(),
  /** LiteLLM's size of a connection pool; one connection carries all commands here. */
  max_connections: positiveCount.optional(),
  /** Seconds that an answer is kept. */
  ttl: positiveSeconds.optional(),
  namespace: z.string().max(100).optional(),
  /** Python's names of calls: `acompletion`, `aembedding`, ... `[]` = no answer is cached, Redis is for the rest. */
  supported_call_types: z.array(name).optional(),
  /** `default_off`: only requests that say `cache: {use-cache: true}`. */
  mode: z.enum(['default_on', 'default_off']).optional(),
  /** Who shares answers: a key, a team (a key without one is on its own), or everybody. */
  scope: z.enum(['key', 'team', 'global']).optional(),
  /** Answers beyond it are not kept. */
  max_answer_size_kb: positiveCount.optional(),
  /** Memory for answers in each process. */
  max_memory_mb: positiveCount.optional(),
  /** Whether identical requests that run at once are asked once. */
  coalesce: boolean.optional(),
});
