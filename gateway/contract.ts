/**
 * What the gateway promises to everything around it: ports, paths, names, waits. Stacks, manifests, alerts and runbooks
 * import these constants, so that a probe can never point at a path that does not exist. This file imports nothing.
 */

/** Version of the gateway, reported by its health pages; the same as package.json's (tested). */
export const version = '0.1.0';

/** Port the gateway listens on. */
export const gatewayPort = 4000;

/** Paths that need no key. `health` calls nothing and always answers 200 while the process can answer at all. */
export const healthPaths = {
  /** `{"status":"healthy"}`: startup probe, Route 53 health checks, people with curl. */
  health: '/health',
  /** `"I'm alive!"`: restarts the process when it fails. */
  liveliness: '/health/liveliness',
  /** 200 while requests can be served (also degraded), 503 while draining. */
  readiness: '/health/readiness',
  /** Same as readiness; some manifests use this spelling. */
  ready: '/health/ready',
  /** What this region may write, and since which epoch; for people and runbooks, never a probe. */
  region: '/health/region',
  metrics: '/metrics',
} as const;

/** How a gateway leaves: first unready, then no new connections, then the running requests, then the end. */
export const drain = {
  /** Where a load balancer learns late that a gateway ends (Kubernetes), it goes on serving for so long before SIGTERM. */
  pauseSeconds: 15,
  /** Readiness answers 503 for so long before connections are refused, so that load balancers notice. */
  noticeSeconds: 5,
  /** Running requests get so long after that. */
  deadlineSeconds: 120,
  /** What is left for flushing queues and closing pools. */
  flushSeconds: 10,
} as const;

/**
 * For the Node of every gateway: twice the usual room for what requests leave behind, at most 96 MB of memory. It is cleared
 * half as often then, and more of it is dead by that time, which is worth a twentieth of all CPU time.
 */
export const youngHeapFlag = '--max-semi-space-size=32';

/** Longest stream that a load balancer must not cut. */
export const longestStreamSeconds = 600;

/** Connections that clients keep open are closed after this idle time, so that clients leave a dead region. */
export const clientKeepAliveSeconds = 60;

/**
 * The gateway keeps idle connections open for longer than any load balancer before it does (their idle time is the
 * longest stream plus some): else it would close one in the moment a request is sent into it.
 */
export const listenerKeepAliveSeconds = longestStreamSeconds + 120;

/** Lock of the leader in configurations, unless LLMROUTER_HA_LOCK_NAME names another. */
export const usualLockName = 'config_sync';

/** Name of a lock's Kubernetes Lease: names of objects take no underscore. */
export const leaseObjectName = (lockName: string): string =>
  `holdfast-${lockName.toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-')}`.replace(/-+$/, '');

/** Variable by which a gateway knows its image, for its health page; a release changes it along with the image. */
export const imageVariable = 'HOLDFAST_IMAGE';

/** Prometheus metrics that alerts and autoscalers name. */
export const metricNames = {
  requests: 'litellm_proxy_total_requests_metric_total',
  failedRequests: 'litellm_proxy_failed_requests_metric_total',
  requestSeconds: 'litellm_request_total_latency_metric',
  inFlight: 'litellm_in_flight_requests',
  deploymentState: 'litellm_deployment_state',
  deploymentCooledDown: 'litellm_deployment_cooled_down_total',
  upstreamAttempts: 'holdfast_upstream_attempts_total',
  databaseUp: 'holdfast_database_up',
  redisUp: 'holdfast_redis_up',
  leader: 'holdfast_leader',
  leaderEpoch: 'holdfast_leader_epoch',
  leaseRemainingSeconds: 'holdfast_leader_lease_remaining_seconds',
  configVersion: 'holdfast_config_version',
  configFault: 'holdfast_config_fault',
  snapshotAgeSeconds: 'holdfast_snapshot_age_seconds',
  degraded: 'holdfast_degraded',
  regionWriter: 'holdfast_region_writer',
  regionEpoch: 'holdfast_region_epoch',
  regionLeaseSeconds: 'holdfast_region_lease_seconds',
  regionReplayLagSeconds: 'holdfast_region_replay_lag_seconds',
  regionCandidateLagSeconds: 'holdfast_region_candidate_lag_seconds',
  regionBeyondRpo: 'holdfast_region_beyond_rpo',
  budgetUnconfirmed: 'holdfast_budget_unconfirmed_dollars',
  regionFaults: 'holdfast_region_faults',
  regionFeedSilentSeconds: 'holdfast_region_feed_silent_seconds',
  spendQueue: 'litellm_in_memory_spend_update_queue_size',
  spendDropped: 'holdfast_spend_dropped_total',
  admissionRefused: 'holdfast_admission_refused_total',
  softBudget: 'holdfast_soft_budget_exceeded_total',
  spendReduced: 'holdfast_spend_reduced_total',
  spendInterrupted: 'holdfast_spend_interrupted_total',
  spendRecovered: 'holdfast_spend_recovered_total',
  outboxBytes: 'holdfast_outbox_bytes',
  outboxOldestSeconds: 'holdfast_outbox_oldest_unshipped_seconds',
  outboxUnarchivedBytes: 'holdfast_outbox_unarchived_bytes',
  outboxUnarchivedSeconds: 'holdfast_outbox_unarchived_seconds',
  outboxPressure: 'holdfast_outbox_pressure',
  cacheHits: 'litellm_cache_hits_metric_total',
  cacheMisses: 'litellm_cache_misses_metric_total',
  unpricedDeployments: 'holdfast_deployments_without_price',
  unpricedRequests: 'holdfast_requests_without_cost_total',
} as const;
