/** What workers and their supervisor say to each other. */
import { z } from 'zod';

/** An administrator removed answers from the cache of one worker; no keys = all. The others forget them, too. */
const cacheRemoved = z.object({ kind: z.literal('cache-removed'), keys: z.array(z.string()).optional() });

const fromWorker = z.discriminatedUnion('kind', [
  /** Requests are accepted. */
  z.object({ kind: z.literal('ready') }),
  /** The worker cannot start and ends. */
  z.object({ kind: z.literal('failed'), message: z.string(), exitCode: z.number() }),
  /** Somebody asked this worker for /metrics. */
  z.object({ kind: z.literal('metrics-wanted'), id: z.number() }),
  /** This worker's own metrics, as prom-client lists them. */
  z.object({ kind: z.literal('metrics-report'), id: z.number(), metrics: z.array(z.looseObject({})) }),
  cacheRemoved,
]);
const fromSupervisor = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('drain') }),
  z.object({ kind: z.literal('report-metrics'), id: z.number() }),
  z.object({ kind: z.literal('metrics-text'), id: z.number(), text: z.string() }),
  cacheRemoved,
]);

export type FromWorker = z.output<typeof fromWorker>;
export type FromSupervisor = z.output<typeof fromSupervisor>;

/** Undefined for messages that are not ours, such as node:cluster's own. */
export const readFromWorker = (message: unknown): FromWorker | undefined => fromWorker.safeParse(message).data;
export const readFromSupervisor = (message: unknown): FromSupervisor | undefined =>
  fromSupervisor.safeParse(message).data;
