/** How the response cache is configured. */
import type { Operation } from './operation.ts';

/** Who shares answers. `team`: a key without a team is on its own. */
export type CacheScope = 'key' | 'team' | 'global';

export interface CacheSettings {
  /** Whether answers are also kept in Redis; in the memory of each process always. */
  readonly inRedis: boolean;
  readonly ttlSeconds: number;
  readonly namespace: string;
  readonly operations: ReadonlySet<Operation>;
  /** False = only for requests that ask for it (`mode: default_off`). */
  readonly byDefault: boolean;
  readonly scope: CacheScope;
  /** Identical requests that run at once are asked once. */
  readonly coalesce: boolean;
  readonly maxAnswerBytes: number;
  readonly maxMemoryBytes: number;
}
