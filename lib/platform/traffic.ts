/** How Route 53 notices a dead region. Runbooks and alerts reckon with these numbers. */
export const regionHealthCheck = {
  /** Route 53 knows 10 and 30 seconds. */
  intervalSeconds: 10,
  /** Failed checks in a row until a region counts as unhealthy. */
  failureThreshold: 3,
} as const;

/** Seconds that Route 53 needs to notice a dead region, before resolvers' caches. */
export const regionDetectionSeconds = regionHealthCheck.intervalSeconds * regionHealthCheck.failureThreshold;

/** Route 53 answers alias records with this time to live; it cannot be set. */
export const aliasTtlSeconds = 60;

/**
 * How Route 53 sees that a region takes over. An object that can be read is no accident, so once is enough; it is seen
 * within one interval.
 */
export const takeoverCheck = { intervalSeconds: 10, failureThreshold: 1 } as const;

/** Percent of the traffic that a primary gets back, step by step, in a failback. */
export const failbackPercents = [0, 10, 25, 50, 75, 100] as const;
