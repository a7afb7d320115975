/** What must make each alert fire, and what must not: series in promtool's notation, one sample a minute. */
export interface AlertCase {
  readonly alert: string;
  readonly because: string;
  readonly series: Readonly<Record<string, string>>;
  readonly atMinutes: number;
  /** Labels and summary of what fires, without `severity`; empty when nothing may. */
  readonly fires: readonly { readonly labels: Readonly<Record<string, string>>; readonly summary: string }[];
}

const job = 'namespace="holdfast",job="gateway"';
const up = (region: string, instance: string): string => `up{${job},region="${region}",instance="${instance}"}`;
const requests = (status: string): string =>
  `litellm_proxy_total_requests_metric_total{${job},region="r1",status_code="${status}"}`;
const exporter = (name: string): string => `namespace="holdfast",job="${name}",region="r1"`;
const attempts = (outcome: string): string =>
  `holdfast_upstream_attempts_total{${job},region="r1",outcome="${outcome}"}`;
const deployment = (metric: string, name: string): string =>
  `kube_deployment_${metric}{namespace="holdfast",deployment="${name}"}`;

/** Pods of a workload, on nodes of the given zones. Every series twice, as from two replicas of kube-state-metrics. */
function pods(owner: string, kind: string, zones: readonly string[]): Record<string, string> {
  const series: Record<string, string> = {};
  for (const ksm of ['k1', 'k2']) {
    for (const [index, zone] of zones.entries()) {
      const pod = `namespace="holdfast",pod="${owner}-${index}",instance="${ksm}"`;
      series[`kube_pod_info{${pod},created_by_kind="${kind}",created_by_name="${owner}",node="n${index}"}`] = '1+0x20';
      series[`kube_pod_status_ready{${pod},condition="true"}`] = '1+0x20';
      series[`kube_node_labels{node="n${index}",instance="${ksm}",label_topology_kubernetes_io_zone="${zone}"}`] =
        '1+0x20';
    }
  }
  return series;
}

const instanceDown = {
  labels: { namespace: 'holdfast', job: 'gateway', region: 'r1', instance: 'b' },
  summary: 'Gateway b does not answer',
};

export const alertCases: readonly AlertCase[] = [
  {
    alert: 'InstanceDown',
    because: 'one of two does not answer',
    series: { [up('r1', 'a')]: '1+0x10', [up('r1', 'b')]: '0+0x10' },
    atMinutes: 3,
    fires: [instanceDown],
  },
  {
    alert: 'InstanceDown',
    because: 'a restart of a minute is none',
    series: { [up('r1', 'b')]: '1 0 1 1 1' },
    atMinutes: 3,
    fires: [],
  },
  {
    alert: 'GatewayAbsent',
    because: 'the last target is gone',
    series: { [up('r1', 'a')]: '1 1 stale _ _ _ _ _ _ _ _ _' },
    atMinutes: 9,
    fires: [{ labels: { namespace: 'holdfast', job: 'gateway' }, summary: 'Prometheus finds no gateway at all' }],
  },
  {
    alert: 'GatewayAbsent',
    because: 'a gateway that is down is there',
    series: { [up('r1', 'a')]: '0+0x10' },
    atMinutes: 9,
    fires: [],
  },
  {
    alert: 'HighErrorRate',
    because: '2 of 102 answers are 5xx',
    series: { [requests('200')]: '0+100x20', [requests('503')]: '0+2x20' },
    atMinutes: 15,
    fires: [{ labels: { region: 'r1' }, summary: 'Error rate above 1% in r1 (1.961%)' }],
  },
  {
    alert: 'HighErrorRate',
    because: 'clients with wrong keys are no fault of ours',
    series: { [requests('200')]: '0+100x20', [requests('401')]: '0+50x20', [requests('429')]: '0+50x20' },
    atMinutes: 15,
    fires: [],
  },
  {
    alert: 'AllProvidersDown',
    because: 'attempts fail and nothing ever succeeded',
    series: { [attempts('Timeout')]: '0+10x20' },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'No provider answers from r1' }],
  },
  {
    alert: 'AllProvidersDown',
    because: 'successes stopped',
    series: { [attempts('Timeout')]: '0+10x20', [attempts('success')]: '50+0x20' },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'No provider answers from r1' }],
  },
  {
    alert: 'AllProvidersDown',
    because: 'one deployment works',
    series: { [attempts('Timeout')]: '0+100x20', [attempts('success')]: '0+1x20' },
    atMinutes: 10,
    fires: [],
  },
  {
    alert: 'AllProvidersDown',
    because: 'nobody asks',
    series: { [attempts('success')]: '50+0x20', [attempts('Timeout')]: '7+0x20' },
    atMinutes: 10,
    fires: [],
  },
  {
    alert: 'RegionHealthDegraded',
    because: 'one of two in one region, none in the other',
    series: { [up('r1', 'a')]: '1+0x20', [up('r1', 'b')]: '0+0x20', [up('r2', 'c')]: '1+0x20' },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'Region r1 health < 80%' }],
  },
  {
    alert: 'InsufficientReplicas',
    because: 'one of three, by two replicas of kube-state-metrics',
    series: {
      [`${deployment('status_replicas_available', 'gateway').slice(0, -1)},instance="k1"}`]: '1+0x20',
      [`${deployment('status_replicas_available', 'gateway').slice(0, -1)},instance="k2"}`]: '1+0x20',
      [`${deployment('spec_replicas', 'gateway').slice(0, -1)},instance="k1"}`]: '3+0x20',
      [`${deployment('spec_replicas', 'gateway').slice(0, -1)},instance="k2"}`]: '3+0x20',
      [deployment('status_replicas_available', 'agentgateway')]: '2+0x20',
      [deployment('spec_replicas', 'agentgateway')]: '3+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway has < 50% replicas available' }],
  },
  {
    alert: 'InsufficientReplicas',
    because: 'a StatefulSet counts too',
    series: {
      'kube_statefulset_status_replicas_available{namespace="holdfast",statefulset="gateway"}': '2+0x20',
      'kube_statefulset_replicas{namespace="holdfast",statefulset="gateway"}': '7+0x20',
    },
    atMinutes: 10,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway has < 50% replicas available' }],
  },
  {
    alert: 'SingleAZDeployment',
    because: 'three pods in one zone',
    series: pods('gateway-7c9f8d', 'ReplicaSet', ['a', 'a', 'a']),
    atMinutes: 15,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway running in single AZ' }],
  },
  {
    alert: 'SingleAZDeployment',
    because: 'a StatefulSet in one zone',
    series: pods('gateway', 'StatefulSet', ['a', 'a']),
    atMinutes: 15,
    fires: [{ labels: { workload: 'gateway' }, summary: 'gateway running in single AZ' }],
  },
  {
    alert: 'SingleAZDeployment',
    because: 'two zones are enough, and other pods do not count',
    series: {
      ...pods('gateway-7c9f8d', 'ReplicaSet', ['a', 'b', 'a']),
      ...pods('gateway-migrate-12345', 'Job', ['a']),
    },
    atMinutes: 15,
    fires: [],
  },
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
    alert: 'AutoscalerAtLimit',
    because: 'one of two autoscalers cannot grow any more',
    series: {
      'kube_horizontalpodautoscaler_status_current_replicas{namespace="holdfast",horizontalpodautoscaler="gateway"}':
        '20+0x30',
      'kube_horizontalpodautoscaler_spec_max_replicas{namespace="holdfast",horizontalpodautoscaler="gateway"}':
        '20+0x30',
      'kube_horizontalpodautoscaler_status_current_replicas{namespace="holdfast",horizontalpodautoscaler="keda-hpa-vllm"}':
        '2+0x30',
      'kube_horizontalpodautoscaler_spec_max_replicas{namespace="holdfast",horizontalpodautoscaler="keda-hpa-vllm"}':
        '8+0x30',
    },
    atMinutes: 20,
    fires: [{ labels: { horizontalpodautoscaler: 'gateway' }, summary: 'gateway has as many pods as it may' }],
  },
  {
    alert: 'ConfigurationBackupOverdue',
    because: 'the last is of the day before yesterday',
    series: {
      'kube_cronjob_status_last_successful_time{namespace="holdfast",cronjob="configuration-backup"}': '0+0x1700',
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
      'kube_cronjob_status_last_successful_time{namespace="holdfast",cronjob="vault-snapshot"}': '0+0x200',
      'kube_cronjob_created{namespace="holdfast",cronjob="vault-snapshot"}': '0+0x200',
    },
    atMinutes: 180,
    fires: [{ labels: { cronjob: 'vault-snapshot' }, summary: 'The last Vault snapshot is 3h 0m 0s old' }],
  },
  {
    alert: 'VaultSnapshotOverdue',
    because: 'it has never succeeded',
    series: { 'kube_cronjob_created{namespace="holdfast",cronjob="vault-snapshot"}': '0+0x200' },
    atMinutes: 180,
    fires: [{ labels: { cronjob: 'vault-snapshot' }, summary: 'The last Vault snapshot is 3h 0m 0s old' }],
  },
  {
    alert: 'DatabaseBackupOverdue',
    because: 'a dump of this morning is young enough',
    series: { 'kube_cronjob_status_last_successful_time{namespace="holdfast",cronjob="database-backup"}': '0+0x1000' },
    atMinutes: 900,
    fires: [],
  },
  {
    alert: 'DatabaseBackupOverdue',
    because: 'the last dump is of the day before yesterday',
    series: { 'kube_cronjob_status_last_successful_time{namespace="holdfast",cronjob="database-backup"}': '0+0x1700' },
    atMinutes: 1620,
    fires: [{ labels: { cronjob: 'database-backup' }, summary: 'The last dump of the database is 1d 3h 0m 0s old' }],
  },
];
