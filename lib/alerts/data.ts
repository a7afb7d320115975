/** Alerts on what must not be lost: database, replicas, spend, backups. */
import { metricNames } from '../../gateway/contract.ts';
import { kubernetes } from '../platform/names.ts';
import type { Alert } from './alert.ts';
import { gatewayJob } from './scope.ts';

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
    // silent for so long, since its leader renews its lease in the database.
    name: 'DatabaseReplicationLag',
    expression:
      'pg_replication_lag_seconds > 30 or (pg_replication_last_replay_seconds > 300 and on (instance) pg_replication_is_replica == 1)',
    forSeconds: 300,
    severity: 'warning',
    summary: 'PostgreSQL replication lag > 30s ({{ $value | humanizeDuration }} at {{ $labels.instance }})',
    firstResponse:
      'A failover now would lose what the replica has not replayed. On the writer: `select client_addr, state, replay_lag from pg_stat_replication` (no row: the link is cut; look at peering and security groups). With a row: a long query on the replica, or too small an instance. Do not start a switchover until it is below a second.',
    origin: 'High availability patterns',
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
];
