/** What makes the alerts on what must not be lost fire, and what does not. */
import { type AlertCase, cronJob, job } from './alert-case.ts';

const exporter = (name: string): string => `namespace="holdfast",job="${name}",region="r1"`;

export const dataCases: readonly AlertCase[] = [
  {
    alert: 'DatabaseConnectionFailed',
    because: 'a gateway lost its database',
    series: { [`holdfast_database_up{${job},region="r1",instance="a"}`]: '1 0 0 0 0 0' },
    atMinutes: 4,
    fires: [
      {
        labels: { namespace: 'holdfast', job: 'gateway', region: 'r1', instance: 'a' },
        summary: 'Gateway a cannot reach PostgreSQL',
      },
    ],
  },
  {
    alert: 'DatabaseReplicationLag',
    because: 'the replica is behind',
    series: {
      'pg_replication_lag_seconds{region="r2",instance="e1"}': '45+0x20',
      'pg_replication_lag_seconds{region="r2",instance="e2"}': '45+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { region: 'r2' }, summary: 'PostgreSQL replication lag > 30s (45s in r2)' }],
  },
  {
    alert: 'DatabaseReplicationLag',
    because: 'a replica that is cut off says lag 0',
    series: {
      'pg_replication_lag_seconds{region="r2",instance="db"}': '0+0x20',
      'pg_replication_last_replay_seconds{region="r2",instance="db"}': '60+60x20',
      'pg_replication_is_replica{region="r2",instance="db"}': '1+0x20',
    },
    atMinutes: 12,
    fires: [{ labels: { region: 'r2' }, summary: 'PostgreSQL replication lag > 30s (13m 0s in r2)' }],
  },
  {
    alert: 'DatabaseReplicationLag',
    because: 'a writer replays nothing, and needs not',
    series: {
      'pg_replication_lag_seconds{region="r2",instance="db"}': '0+0x20',
      'pg_replication_last_replay_seconds{region="r2",instance="db"}': '900+60x20',
      'pg_replication_is_replica{region="r2",instance="db"}': '0+0x20',
    },
    atMinutes: 12,
    fires: [],
  },
  {
    alert: 'RegionNotReady',
    because: 'pods are missing there for half an hour',
    series: {
      'holdfast_region_ready{region="r2",check="capacity"}': '0+0x40',
      'holdfast_region_ready{region="r2",check="lag"}': '1+0x40',
    },
    atMinutes: 30,
    fires: [{ labels: { region: 'r2', check: 'capacity' }, summary: 'The standby r2 could not take over: capacity' }],
  },
  {
    alert: 'RegionNotReady',
    because: 'r2 has taken over: it is asked no more, and what was wrong there is no matter now',
    series: { 'holdfast_region_ready{region="r2",check="capacity"}': '0+0x20 stale' },
    atMinutes: 30,
    fires: [],
  },
  {
    alert: 'RegionReadyUnwatched',
    because: 'the watch looked once, at the start, and never again',
    series: { 'holdfast_region_ready_checked_timestamp_seconds{region="r2"}': '0+0x60' },
    atMinutes: 30,
    fires: [{ labels: { region: 'r2' }, summary: 'Nobody has looked for 30m 0s whether r2 could take over' }],
  },
  {
    alert: 'RegionReadyUnwatched',
    because: 'the watch of one region was scraped, and is gone with its series; that of the other looks on',
    series: {
      'holdfast_region_ready_checked_timestamp_seconds{region="r1",pod="a"}': '0+60x60',
      'holdfast_region_ready_checked_timestamp_seconds{region="r2",pod="b"}': '0+60x10 stale',
    },
    atMinutes: 40,
    fires: [{ labels: { region: 'r2' }, summary: 'Nobody has looked for 30m 0s whether r2 could take over' }],
  },
  {
    alert: 'RegionReadyUnwatched',
    because: 'the watch of r2 stands since the beginning and has never told anything; that of r1 looks',
    series: {
      'kube_deployment_created{namespace="holdfast",deployment="region-watch",region="r1"}': '0+0x60',
      'kube_deployment_created{namespace="holdfast",deployment="region-watch",region="r2"}': '0+0x60',
      'kube_deployment_created{namespace="holdfast",deployment="gateway",region="r3"}': '0+0x60',
      'holdfast_region_ready_checked_timestamp_seconds{region="r1"}': '0+60x60',
    },
    atMinutes: 40,
    fires: [{ labels: { region: 'r2' }, summary: 'Nobody has looked for 40m 0s whether r2 could take over' }],
  },
  {
    alert: 'RegionReadyUnwatched',
    because: 'nobody ever watched here',
    series: { up: '1+0x60' },
    atMinutes: 40,
    fires: [],
  },
  {
    alert: 'RegionReadyUnwatched',
    because: 'a pod of the watch ends and its successor looks on after two minutes',
    series: {
      'holdfast_region_ready_checked_timestamp_seconds{region="r2",pod="a"}': '0+60x20 stale',
      'holdfast_region_ready_checked_timestamp_seconds{region="r2",pod="b"}': '_x22 1320+60x40',
    },
    atMinutes: 30,
    fires: [],
  },
  {
    alert: 'RedisUnreachable',
    because: 'one of two gateways lost it',
    series: {
      [`holdfast_redis_up{${job},region="r1",instance="a"}`]: '0+0x20',
      [`holdfast_redis_up{${job},region="r1",instance="b"}`]: '1+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'A gateway in r1 cannot reach Redis' }],
  },
  {
    alert: 'RedisWithoutReplica',
    because: 'the leader has none',
    series: { 'redis_connected_slaves{region="r1",instance="e"}': '0+0x20' },
    atMinutes: 15,
    fires: [{ labels: { region: 'r1' }, summary: 'Redis in r1 has no replica' }],
  },
  {
    alert: 'RedisWithoutReplica',
    because: 'a replica was asked, and it follows its leader',
    series: {
      'redis_connected_slaves{region="r1",instance="e"}': '0+0x20',
      'redis_master_link_up{region="r1",instance="e",master_host="redis-0.redis"}': '1+0x20',
    },
    atMinutes: 15,
    fires: [],
  },
  {
    alert: 'AlertsBlind',
    because: 'no exporter reaches the database, one of kube-state-metrics is away',
    series: {
      [`pg_up{${exporter('postgres-exporter')},instance="a"}`]: '0+0x20',
      [`up{${exporter('postgres-exporter')},instance="a"}`]: '1+0x20',
      [`up{${exporter('kube-state-metrics')},instance="a"}`]: '1+0x20',
      [`up{${exporter('kube-state-metrics')},instance="b"}`]: '0+0x20',
      [`redis_up{${exporter('redis-exporter')},instance="a"}`]: '1+0x20',
    },
    atMinutes: 10,
    fires: [
      {
        labels: { region: 'r1', job: 'postgres-exporter' },
        summary: 'postgres-exporter in r1 sees nothing: alerts that rest on it cannot fire',
      },
    ],
  },
  {
    alert: 'AlertsBlind',
    because: 'all of kube-state-metrics are away',
    series: { [`up{${exporter('kube-state-metrics')},instance="a"}`]: '0+0x20' },
    atMinutes: 10,
    fires: [
      {
        labels: { region: 'r1', job: 'kube-state-metrics' },
        summary: 'kube-state-metrics in r1 sees nothing: alerts that rest on it cannot fire',
      },
    ],
  },
  {
    alert: 'ConfigurationBackupOverdue',
    because: 'the last is of the day before yesterday',
    series: {
      [cronJob('status_last_successful_time', 'configuration-backup')]: '0+0x1700',
    },
    atMinutes: 1620,
    fires: [
      {
        labels: { cronjob: 'configuration-backup' },
        summary: 'The last backup of configuration and secrets is 1d 3h 0m 0s old',
      },
    ],
  },
  {
    alert: 'SpendDropped',
    because: 'events were given up',
    series: { [`holdfast_spend_dropped_total{${job},region="r1",instance="a"}`]: '0 0 0 4 4 4' },
    atMinutes: 5,
    fires: [{ labels: { region: 'r1' }, summary: 'Spend events were given up in r1' }],
  },
  {
    alert: 'OutboxNotShipping',
    because: 'one gateway has spend of ten minutes ago',
    series: {
      [`holdfast_outbox_oldest_unshipped_seconds{${job},region="r1",instance="a"}`]: '600+0x20',
      [`holdfast_outbox_oldest_unshipped_seconds{${job},region="r1",instance="b"}`]: '1+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'Spend in r1 is 10m 0s behind' }],
  },
  {
    alert: 'ChangesRefusedBeyondRpo',
    because: 'a gateway of the writer region refuses them',
    series: {
      [`holdfast_region_beyond_rpo{${job},region="r1",instance="a"}`]: '1+0x10',
      [`holdfast_region_beyond_rpo{${job},region="r2",instance="b"}`]: '0+0x10',
    },
    atMinutes: 5,
    fires: [
      {
        labels: { region: 'r1' },
        summary: 'Every replica is farther behind than may be lost: r1 takes no changes',
      },
    ],
  },
  {
    alert: 'OutboxNotArchived',
    because: 'the archive has taken nothing for twenty minutes',
    series: {
      [`holdfast_outbox_unarchived_seconds{${job},region="r1",instance="a"}`]: '1200+0x20',
      [`holdfast_outbox_unarchived_seconds{${job},region="r2",instance="b"}`]: '30+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'Spend in r1 has waited 20m 0s for its archive' }],
  },
  {
    alert: 'OutboxUnderPressure',
    because: 'requests with a budget are refused',
    series: { [`holdfast_outbox_pressure{${job},region="r1",instance="a"}`]: '0 0 1 1 1 1' },
    atMinutes: 5,
    fires: [{ labels: { region: 'r1' }, summary: 'The spend outbox in r1 is running full: requests are refused' }],
  },
  {
    alert: 'VaultSnapshotOverdue',
    because: 'the last success is three hours ago',
    series: {
      [cronJob('status_last_successful_time', 'vault-snapshot')]: '0+0x200',
      [cronJob('created', 'vault-snapshot')]: '0+0x200',
    },
    atMinutes: 180,
    fires: [{ labels: { cronjob: 'vault-snapshot' }, summary: 'The last Vault snapshot is 3h 0m 0s old' }],
  },
  {
    alert: 'VaultSnapshotOverdue',
    because: 'it has never succeeded',
    series: { [cronJob('created', 'vault-snapshot')]: '0+0x200' },
    atMinutes: 180,
    fires: [{ labels: { cronjob: 'vault-snapshot' }, summary: 'The last Vault snapshot is 3h 0m 0s old' }],
  },
  {
    alert: 'DatabaseBackupOverdue',
    because: 'a dump of this morning is young enough',
    series: { [cronJob('status_last_successful_time', 'database-backup')]: '0+0x1000' },
    atMinutes: 900,
    fires: [],
  },
  {
    alert: 'DatabaseBackupOverdue',
    because: 'the last dump is of the day before yesterday',
    series: { [cronJob('status_last_successful_time', 'database-backup')]: '0+0x1700' },
    atMinutes: 1620,
    fires: [{ labels: { cronjob: 'database-backup' }, summary: 'The last dump of the database is 1d 3h 0m 0s old' }],
  },
];
