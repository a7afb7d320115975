/** Alerts on what must not be lost: database, replicas, spend, backups. */
import { metricNames } from '../../gateway/contract.ts';
import { kubernetes, standbyMetrics } from '../platform/names.ts';
import type { Alert } from './alert.ts';
import { exporterJobs, gatewayJob } from './scope.ts';

const hour = 3600;

/** Seconds since a CronJob last succeeded, or since it was made if it never has. */
const sinceSuccess = (cronJob: string): string => {
  const matchers = `namespace="${kubernetes.namespace}",cronjob="${cronJob}"`;
  return `time() - (max by (cronjob) (kube_cronjob_status_last_successful_time{${matchers}}) or max by (cronjob) (kube_cronjob_created{${matchers}}))`;
};

export const dataAlerts: readonly Alert[] = [
  {
    name: 'DatabaseConnectionFailed',
    expression: `${metricNames.databaseUp}{${gatewayJob}} == 0`,
    forSeconds: 60,
    severity: 'critical',
    summary: 'Gateway {{ $labels.instance }} cannot reach PostgreSQL',
    firstResponse:
      'Known keys keep working, new keys and administration do not. One gateway: its network or its pool; restart the pod. All gateways of a region: `aws rds describe-db-instances` (failover, storage full, maintenance), then PgBouncer (`kubectl -n holdfast logs deploy/pgbouncer`). A Multi-AZ failover ends by itself within two minutes. If the region is lost, promote a standby.',
    runbook: 'region-failover',
    origin: 'LiteLLM: High availability',
  },
  {
    // Depending on its version, the exporter says 0 while everything received is replayed, so a replica that is cut off
    // looks perfect. Hence the second half: a replica that has replayed nothing for five minutes. A writer in use is never
    // silent for so long, since its leader renews its lease in the database. Once a region, not once for each exporter.
    name: 'DatabaseReplicationLag',
    expression:
      'max by (region) (pg_replication_lag_seconds) > 30 or max by (region) (pg_replication_last_replay_seconds and on (instance) pg_replication_is_replica == 1) > 300',
    forSeconds: 300,
    severity: 'warning',
    summary: 'PostgreSQL replication lag > 30s ({{ $value | humanizeDuration }} in {{ $labels.region }})',
    firstResponse:
      'A failover now would lose what the replica has not replayed. On the writer: `select client_addr, state, replay_lag from pg_stat_replication` (no row: the link is cut; look at peering and security groups). With a row: a long query on the replica, or too small an instance. Do not start a switchover until it is below a second.',
    origin: 'High availability patterns',
  },
  {
    name: 'ChangesRefusedBeyondRpo',
    expression: `max by (region) (${metricNames.regionBeyondRpo}{${gatewayJob}}) > 0`,
    forSeconds: 60,
    severity: 'critical',
    summary: 'Every replica is farther behind than may be lost: {{ $labels.region }} takes no changes',
    firstResponse:
      'Requests are served; keys, budgets and configuration cannot be changed, and budgets last only as far as gateways hold them. `curl GATEWAY/health/region` (`candidate_lag_ms`) says which replica is how far behind: mend the link or the replica (DatabaseReplicationLag). If the other region is gone for long: `npx holdfast region detach` takes it out of the claim, and changes go on without a replica.',
    origin: 'Holdfast',
  },
  {
    // Each region's cluster asks this of itself (`cluster.regionWatch`); where nobody does there is no such series.
    name: 'RegionNotReady',
    expression: `min by (region, check) (${standbyMetrics.ready}) == 0`,
    forSeconds: 900,
    severity: 'warning',
    summary: 'The standby {{ $labels.region }} could not take over: {{ $labels.check }}',
    firstResponse:
      'A failover now would stop at this, or lose more than the tier allows. The newest line of `kubectl -n holdfast logs deploy/region-watch` there, or `npx holdfast region ready`, says what was found. `answers`, `database`: its gateways; `version`, `image`: release there; `schema`, `config`: its database lags, or its gateways did not take what is stored; `lag`: see DatabaseReplicationLag; `secrets`: copies of another version; `capacity`: pods or nodes are missing; `quotas`: ask for more, it takes days; `backups`: see what makes them; `candidate`: the claim does not name its replica.',
    origin: 'Holdfast',
  },
  {
    // By the newest of a day: the series of a watch that was scraped end with it, and silence must not look like safety. A
    // watch that stands and has never told anything counts from when it was made.
    name: 'RegionReadyUnwatched',
    expression: `time() - (max by (region) (max_over_time(${standbyMetrics.checkedAt}[1d])) or max by (region) (kube_deployment_created{namespace="${kubernetes.namespace}",deployment="${kubernetes.regionWatch}"})) > 900`,
    forSeconds: 300,
    severity: 'warning',
    summary: 'Nobody has looked for {{ $value | humanizeDuration }} whether {{ $labels.region }} could take over',
    firstResponse:
      'Whatever asks it has stopped, and the last answer is stale. `kubectl -n holdfast describe deploy/region-watch` and its log, there: a pod that does not start or is not scraped, or no right to ask (AWS, Kubernetes). Where somebody runs `holdfast region ready --watch` elsewhere: look there. Once by hand: `npx holdfast region ready`.',
    origin: 'Holdfast',
  },
  {
    name: 'RedisUnreachable',
    expression: `min by (region) (${metricNames.redisUp}{${gatewayJob}}) == 0`,
    forSeconds: 300,
    severity: 'warning',
    summary: 'A gateway in {{ $labels.region }} cannot reach Redis',
    firstResponse:
      'Requests are served. Limits are shares of each process meanwhile, cooldowns and cached answers are not shared. `aws elasticache describe-replication-groups` (failover, maintenance), or `kubectl -n holdfast get pods -l app.kubernetes.io/component=redis`. One gateway alone: its network policy or its password; its log names the reason.',
    origin: 'Holdfast',
  },
  {
    // Asked of a leader it counts its replicas; asked of a replica, its link says that there are two.
    name: 'RedisWithoutReplica',
    expression:
      'max by (region) (redis_connected_slaves) < 1 unless on (region) max by (region) (redis_master_link_up) == 1',
    forSeconds: 600,
    severity: 'warning',
    summary: 'Redis in {{ $labels.region }} has no replica',
    firstResponse:
      'The loss of one more node takes the cache and the counters of limits of this region away; nothing that must be kept. See why the replica does not come back: `kubectl -n holdfast describe pods -l app.kubernetes.io/component=redis` (its zone, its volume), or the events of the replication group in ElastiCache.',
    origin: 'Holdfast',
  },
  {
    name: 'SpendDropped',
    expression: `sum by (region) (increase(${metricNames.spendDropped}{${gatewayJob}}[10m])) > 0`,
    forSeconds: 0,
    severity: 'critical',
    summary: 'Spend events were given up in {{ $labels.region }}',
    firstResponse:
      'Requests were served whose cost could be written nowhere: neither disk nor database took it. Look at the disk of the pods first (`kubectl -n holdfast exec POD -- df /var/lib/holdfast`, OutboxUnderPressure), then at the database. The log lines of the gateways name how many events and why; keep them, they are what the cost is restored from.',
    origin: 'Holdfast',
  },
  {
    name: 'OutboxNotShipping',
    expression: `max by (region) (${metricNames.outboxOldestSeconds}{${gatewayJob}}) > 300`,
    forSeconds: 300,
    severity: 'warning',
    summary: 'Spend in {{ $labels.region }} is {{ $value | humanizeDuration }} behind',
    firstResponse:
      'Spend waits on disk and does not reach the database: nothing is lost, but budgets reckon with old numbers and a lost disk would lose it. The database is away or slow (DatabaseConnectionFailed), or this region cannot reach the writer. One gateway alone: its log says why its outbox is stuck. Do not delete a pod or its volume before it has shipped.',
    origin: 'Holdfast',
  },
  {
    // A segment is completed after a minute, and goes within seconds.
    name: 'OutboxNotArchived',
    expression: `max by (region) (${metricNames.outboxUnarchivedSeconds}{${gatewayJob}}) > 900`,
    forSeconds: 300,
    severity: 'warning',
    summary: 'Spend in {{ $labels.region }} has waited {{ $value | humanizeDuration }} for its archive',
    firstResponse:
      'Segments of spend are complete and do not reach the bucket in the other region (HOLDFAST_OUTBOX_ARCHIVE): requests are served and nothing is lost yet, but a disk that is lost now takes with it what a restored database would need, and disks fill, since nothing leaves them before. The gateways’ log says why (“spend could not be archived”): rights on the bucket or its key, the link to its region, or a bucket that was renamed. How much: `sum by (region) (holdfast_outbox_unarchived_bytes)`. Do not delete a pod or its volume meanwhile, nor restore the database before the archive has caught up: `npx holdfast spend reingest` finds only what is in it.',
    runbook: 'database-restore',
    origin: 'Holdfast',
  },
  {
    name: 'OutboxUnderPressure',
    expression: `max by (region) (${metricNames.outboxPressure}{${gatewayJob}}) > 0`,
    forSeconds: 60,
    severity: 'critical',
    summary: 'The spend outbox in {{ $labels.region }} is running full: requests are refused',
    firstResponse:
      'At 1 requests with a budget are refused, at 2 all that cost money. Mend what keeps spend from the database (DatabaseConnectionFailed, OutboxNotShipping); it drains by itself then. To win time, let more gateways start: each brings room of its own (`kubectl -n holdfast patch hpa gateway -p \'{"spec":{"minReplicas":N}}\'`).',
    origin: 'Holdfast',
  },
  {
    name: 'VaultSnapshotOverdue',
    expression: `${sinceSuccess(kubernetes.vaultSnapshot)} > ${2 * hour}`,
    forSeconds: 300,
    severity: 'critical',
    summary: 'The last Vault snapshot is {{ $value | humanizeDuration }} old',
    firstResponse:
      'If Vault is lost now, secrets of that time are. `kubectl -n holdfast get jobs -l app.kubernetes.io/component=vault-snapshot`, then the log of the last one: a sealed Vault (KMS key, `vault status`), an expired role, or S3. Run it by hand: `kubectl -n holdfast create job --from=cronjob/vault-snapshot vault-snapshot-now`.',
    origin: 'Holdfast',
  },
  {
    name: 'DatabaseBackupOverdue',
    expression: `${sinceSuccess(kubernetes.databaseBackup)} > ${26 * hour}`,
    forSeconds: 300,
    severity: 'warning',
    summary: 'The last dump of the database is {{ $value | humanizeDuration }} old',
    firstResponse:
      'The daily dump to S3 has not succeeded. Point-in-time recovery of the database service is another matter and may be fine. `kubectl -n holdfast logs -l app.kubernetes.io/component=database-backup --tail=50`, mend the cause, then `kubectl -n holdfast create job --from=cronjob/database-backup database-backup-now`.',
    runbook: 'database-restore',
    origin: 'Holdfast',
  },
  {
    name: 'ConfigurationBackupOverdue',
    expression: `${sinceSuccess(kubernetes.configurationBackup)} > ${26 * hour}`,
    forSeconds: 300,
    severity: 'warning',
    summary: 'The last backup of configuration and secrets is {{ $value | humanizeDuration }} old',
    firstResponse:
      'A cluster that is lost now comes back with the keys of that time. `kubectl -n holdfast logs -l app.kubernetes.io/component=configuration-backup --all-containers --tail=50`, mend the cause, then `kubectl -n holdfast create job --from=cronjob/configuration-backup configuration-backup-now`.',
    origin: 'Holdfast',
  },
  {
    // What an exporter cannot see fires nothing: a silent exporter looks like a sound database.
    name: 'AlertsBlind',
    expression: `max by (region, job) (up{${exporterJobs}}) == 0 or max by (region, job) (pg_up{${exporterJobs}}) == 0 or max by (region, job) (redis_up{${exporterJobs}}) == 0`,
    forSeconds: 300,
    severity: 'warning',
    summary: '{{ $labels.job }} in {{ $labels.region }} sees nothing: alerts that rest on it cannot fire',
    firstResponse:
      'postgres-exporter: replication lag is unknown, so start no switchover. kube-state-metrics: neither replicas nor backups are watched. `kubectl -n holdfast logs deploy/JOB`: a wrong password (Secret exporter-secrets), a database that is away (DatabaseConnectionFailed says so, too), or no right at the Kubernetes API.',
    origin: 'Holdfast',
  },
];
