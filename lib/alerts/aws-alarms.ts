/** Every alarm of a region, from names alone: what AWS invents (load balancer, certificate) is handed in. */
import { metricNames } from '../../gateway/contract.ts';
import {
  bucketName,
  cacheName,
  canaryName,
  databaseIdentifier,
  gatewayMetricNamespace,
  readinessMetric,
  replicatedBuckets,
  replicationRuleId,
} from '../platform/names.ts';
import { archivePlace, copyPlaces } from '../platform/places.ts';
import type { Platform, Region } from '../platform/platform.ts';
import type { AwsAlarm, AwsMetric } from './aws-alarm.ts';
import { exportsMetrics } from './exported-metrics.ts';

/** Names that only a deployment knows. */
export interface DeployedNames {
  /** `app/NAME/ID` */
  readonly loadBalancer: string;
  /** `targetgroup/NAME/ID` */
  readonly targetGroup: string;
  readonly certificateArn: string | undefined;
}

const gib = 1024 ** 3;

/** The alarms of a region, those that wake somebody up first. */
export function awsAlarms(platform: Platform, region: Region, deployed: DeployedNames): AwsAlarm[] {
  const all = [
    ...serving(platform, region, deployed),
    ...database(platform, region),
    ...cache(platform),
    ...copies(platform, region),
    ...(exportsMetrics(platform) ? spend(platform, region) : []),
    ...certificate(deployed),
    ...standby(platform, region),
  ];
  return all.toSorted((left, right) => left.severity.localeCompare(right.severity));
}

function serving(platform: Platform, region: Region, { loadBalancer, targetGroup }: DeployedNames): AwsAlarm[] {
  const balancer = (name: string, statistic: AwsMetric['statistic']): AwsMetric => ({
    namespace: 'AWS/ApplicationELB',
    name,
    dimensions: { LoadBalancer: loadBalancer },
    statistic,
  });
  const healthy: AwsMetric = {
    namespace: 'AWS/ApplicationELB',
    name: 'HealthyHostCount',
    dimensions: { LoadBalancer: loadBalancer, TargetGroup: targetGroup },
    statistic: 'Minimum',
  };
  return [
    {
      name: 'CanaryFailing',
      severity: 'critical',
      summary: 'A real completion through this region fails',
      firstResponse:
        'A client’s request, made from outside, was not answered three times in a row. Its log says which step: no connection (load balancer, DNS), 401 (the canary’s key was deleted: make one and put it into its secret), 5xx (gateway or provider, see HighErrorRate). If the whole region is out, Route 53 has moved clients already.',
      runbook: 'region-failover',
      metrics: [
        {
          namespace: 'CloudWatchSynthetics',
          name: 'SuccessPercent',
          dimensions: { CanaryName: canaryName(platform) },
          statistic: 'Average',
        },
      ],
      periodSeconds: 60,
      periods: 3,
      below: 100,
      silence: 'bad',
    },
    {
      name: 'GatewayAbsent',
      severity: 'critical',
      summary: 'The load balancer finds no healthy gateway',
      firstResponse:
        'No pod is ready. `kubectl -n holdfast get pods,events --sort-by=.lastTimestamp`. Route 53 moves clients to another region if there is one. Pods run but are not registered: look at the TargetGroupBinding and the security group.',
      runbook: 'region-failover',
      metrics: [healthy],
      periodSeconds: 60,
      periods: 2,
      below: 1,
      silence: 'bad',
    },
    {
      name: 'InsufficientReplicas',
      severity: 'critical',
      summary: 'Fewer than half of the gateways are healthy',
      firstResponse:
        '`kubectl -n holdfast get pods -o wide`: all missing in one zone means the zone is impaired, start a zonal shift; spread over zones means a bad release, roll it back; Pending means no node has room.',
      runbook: 'zone-evacuation',
      metrics: [healthy],
      periodSeconds: 60,
      periods: 5,
      below: Math.ceil(region.gatewayReplicas / 2),
      silence: 'bad',
    },
    {
      name: 'HighErrorRate',
      severity: 'critical',
      summary: 'More than 1 % of the answers are errors of ours or of a provider',
      firstResponse:
        'Look at HighErrorRate in Prometheus, which knows the model group and the provider. One provider: its deployments are avoided already, add a fallback. All: the last release, or egress of this region.',
      runbook: 'region-failover',
      metrics: [balancer('HTTPCode_Target_5XX_Count', 'Sum'), balancer('RequestCount', 'Sum')],
      expression: '100 * FILL(m1, 0) / IF(m2 > 0, m2, 1)',
      periodSeconds: 60,
      periods: 5,
      above: 1,
      silence: 'good',
    },
    {
      name: 'LoadBalancerErrors',
      severity: 'critical',
      summary: 'The load balancer itself answers with errors',
      firstResponse:
        'Requests never reached a gateway, or a gateway closed the connection. 503: no healthy target. 502: gateways die under load (memory). 504: they hang. Compare with GatewayAbsent and with restarts of pods.',
      runbook: 'region-failover',
      metrics: [balancer('HTTPCode_ELB_5XX_Count', 'Sum')],
      periodSeconds: 60,
      periods: 5,
      above: 10,
      silence: 'good',
    },
  ];
}

function database(platform: Platform, region: Region): AwsAlarm[] {
  const { tier } = platform;
  const metric = (name: string, statistic: AwsMetric['statistic']): AwsMetric => ({
    namespace: 'AWS/RDS',
    name,
    dimensions: { DBInstanceIdentifier: databaseIdentifier(platform, region) },
    statistic,
  });
  const lag = { metrics: [metric('ReplicaLag', 'Maximum')], periodSeconds: 60, periods: 5, silence: 'good' } as const;
  const replica: AwsAlarm[] = [
    {
      ...lag,
      name: 'ReplicationLagBeyondRpo',
      severity: 'critical',
      summary: 'The replica is farther behind than may be lost',
      firstResponse:
        'A failover now would lose more than the tier promises. Is the link between the regions cut? Is a long query holding replay back, or the instance too small? Until it has caught up, do not promote this region if another one can be.',
      runbook: 'region-failover',
      above: tier.rpoSeconds,
    },
    {
      ...lag,
      name: 'DatabaseReplicationLag',
      severity: 'warning',
      summary: 'PostgreSQL replication lag > 30s',
      firstResponse:
        'On the writer: `select client_addr, state, replay_lag from pg_stat_replication` (no row: the link is cut). With a row: a long query on the replica, or too small an instance. Do not start a switchover until it is below a second.',
      above: 30,
    },
  ];
  return [
    ...(region.databaseSource === undefined ? [] : replica),
    {
      name: 'DatabaseStorageLow',
      severity: 'critical',
      summary: 'Less than a tenth of the database’s storage is free',
      firstResponse:
        'Storage grows by itself up to the tier’s bound; it has reached the bound, or grew less than six hours ago. Raise the bound (maxAllocatedStorageGiB). A replication slot without a reader keeps WAL: `select slot_name, active from pg_replication_slots`.',
      metrics: [metric('FreeStorageSpace', 'Minimum')],
      periodSeconds: 300,
      periods: 1,
      below: tier.database.allocatedStorageGiB * 0.1 * gib,
      silence: 'unknown',
    },
    {
      name: 'DatabaseCpuHigh',
      severity: 'warning',
      summary: 'The database has used more than 80 % of its CPU for a quarter of an hour',
      firstResponse:
        'Performance Insights shows the statement. Spend arrives in batches: if it is the inserts, the outboxes wait and nothing is lost. Take the next instance class in a maintenance window.',
      metrics: [metric('CPUUtilization', 'Average')],
      periodSeconds: 300,
      periods: 3,
      above: 80,
      silence: 'unknown',
    },
  ];
}

function cache(platform: Platform): AwsAlarm[] {
  const metric = (name: string): AwsMetric => ({
    namespace: 'AWS/ElastiCache',
    name,
    dimensions: { ReplicationGroupId: cacheName(platform) },
    statistic: 'Maximum',
  });
  return [
    {
      name: 'CacheMemoryHigh',
      severity: 'warning',
      summary: 'The cache is more than 90 % full',
      firstResponse:
        'Cached answers make room by themselves; counters do not. Requests go on. Take the next node type, or shorten the time for which answers are cached.',
      metrics: [metric('DatabaseMemoryUsagePercentage')],
      periodSeconds: 300,
      periods: 3,
      above: 90,
      silence: 'unknown',
    },
    {
      name: 'CacheCpuHigh',
      severity: 'warning',
      summary: 'The cache’s one thread is more than 80 % busy',
      firstResponse:
        'Shared counters become late and limits less exact; nothing stops. Look for large cached answers, then take the next node type.',
      metrics: [metric('EngineCPUUtilization')],
      periodSeconds: 300,
      periods: 3,
      above: 80,
      silence: 'unknown',
    },
  ];
}

function copies(platform: Platform, region: Region): AwsAlarm[] {
  const jobs = (name: string): AwsMetric => ({
    namespace: 'AWS/Backup',
    name,
    dimensions: { ResourceType: 'RDS' },
    statistic: 'Sum',
  });
  const late = copyPlaces(platform, region).map(
    (place): AwsAlarm => ({
      name: `ObjectReplicationLate-${place.region}`,
      severity: 'warning',
      summary: `Objects reach ${place.region} late`,
      firstResponse:
        'Configuration, backups or archived spend are not in the other region within a quarter of an hour. Look at the bucket’s replication metrics: failed operations mean rights (role, key), pending ones a link or a service event. After repair, `aws s3control create-job` copies what failed.',
      metrics: replicatedBuckets.map((kind) => ({
        namespace: 'AWS/S3',
        name: 'ReplicationLatency',
        dimensions: {
          SourceBucket: bucketName(platform, region, kind),
          DestinationBucket: bucketName(platform, place, kind),
          RuleId: replicationRuleId(place),
        },
        statistic: 'Maximum',
      })),
      expression: `MAX([${replicatedBuckets.map((_, index) => `m${index + 1}`).join(', ')}])`,
      periodSeconds: 300,
      periods: 3,
      above: 900,
      silence: 'good',
    }),
  );
  return [
    ...late,
    {
      name: 'BackupFailed',
      severity: 'critical',
      summary: 'A backup, its copy or its test restore failed',
      firstResponse:
        '`aws backup list-backup-jobs --by-state FAILED`, and the same for copy and restore jobs: the message names the cause (key policy, vault lock, an instance being modified). Start it again by hand; the database’s own point-in-time recovery goes on meanwhile.',
      runbook: 'backup-verify',
      metrics: [jobs('NumberOfBackupJobsFailed'), jobs('NumberOfCopyJobsFailed'), jobs('NumberOfRestoreJobsFailed')],
      expression: 'SUM([FILL(m1, 0), FILL(m2, 0), FILL(m3, 0)])',
      periodSeconds: 3600,
      periods: 1,
      above: 0,
      silence: 'good',
    },
  ];
}

/** The gateways' own numbers, which the cluster's collector sends to CloudWatch. */
function spend(platform: Platform, { region }: Region): AwsAlarm[] {
  const own = (name: string): AwsMetric => ({
    namespace: gatewayMetricNamespace,
    name,
    dimensions: { region },
    statistic: 'Maximum',
  });
  return [
    {
      name: 'OutboxNotShipping',
      severity: 'warning',
      summary: 'Spend is more than five minutes behind',
      firstResponse:
        'It waits on disk and nothing is lost, but a lost disk would lose it. The database is away or slow, or this region cannot reach the writer. Do not delete a pod or its volume before it has shipped.',
      metrics: [own(metricNames.outboxOldestSeconds)],
      periodSeconds: 60,
      periods: 5,
      above: 300,
      silence: 'unknown',
    },
    ...(archivePlace(platform, { region }) === undefined ? [] : [notArchived(own)]),
    {
      name: 'OutboxUnderPressure',
      severity: 'critical',
      summary: 'The spend outbox is running full: requests are refused',
      firstResponse:
        'At 1 requests with a budget are refused, at 2 all that cost money. Mend what keeps spend from the database; it drains by itself then. To win time, let more gateways start: each brings room of its own.',
      metrics: [own(metricNames.outboxPressure)],
      periodSeconds: 60,
      periods: 1,
      above: 0,
      silence: 'unknown',
    },
  ];
}

function certificate({ certificateArn }: DeployedNames): AwsAlarm[] {
  if (certificateArn === undefined) return [];
  return [
    {
      name: 'CertificateExpires',
      severity: 'warning',
      summary: 'The certificate expires within 30 days and was not renewed',
      firstResponse:
        'AWS renews 60 days before the end if the validation records of the zone are still there. `aws acm describe-certificate` names the record that is missing; put it back.',
      metrics: [
        {
          namespace: 'AWS/CertificateManager',
          name: 'DaysToExpiry',
          dimensions: { CertificateArn: certificateArn },
          statistic: 'Minimum',
        },
      ],
      periodSeconds: 86_400,
      periods: 1,
      below: 30,
      silence: 'unknown',
    },
  ];
}

/**
 * Of a region that has to be able to take over; one that writes needs not, and says so. Where the cluster's own watch runs,
 * silence is its fault; elsewhere the alarm shows that it knows nothing.
 */
function standby({ claimRegions, cluster }: Platform, { region }: Region): AwsAlarm[] {
  if (claimRegions.length === 0) return [];
  return [
    {
      name: 'RegionNotReady',
      severity: 'warning',
      summary: 'This region could not take over',
      firstResponse: `A failover to it would stop at something, or lose more than the tier allows: version and image, schema and configuration, lag, secrets, capacity, quotas, backups, certificate. ${
        cluster.regionWatch
          ? 'The newest line of `kubectl -n holdfast logs deploy/region-watch` there says at what. No data for a quarter of an hour rings, too: then that pod does not run, or may not put its metric (`kubectl -n holdfast describe deploy/region-watch`).'
          : '`npx holdfast region ready` says at what. No data at all: nobody runs `npx holdfast region ready --watch 60 --cloudwatch`.'
      }`,
      metrics: [
        {
          ...readinessMetric,
          dimensions: { Region: region },
          statistic: 'Minimum',
        },
      ],
      periodSeconds: 300,
      periods: 3,
      below: 1,
      silence: cluster.regionWatch ? 'bad' : 'unknown',
    },
  ];
}

const notArchived = (own: (name: string) => AwsMetric): AwsAlarm => ({
  name: 'OutboxNotArchived',
  severity: 'warning',
  summary: 'Spend has waited more than a quarter of an hour for its archive',
  firstResponse:
    'Segments of spend are complete and do not reach the bucket in the other region (HOLDFAST_OUTBOX_ARCHIVE): requests are served and nothing is lost yet, but a disk that is lost now takes with it what a restored database would need, and disks fill, since nothing leaves them before. The gateways’ log says why (“spend could not be archived”): rights on the bucket or its key, the link to its region, or a bucket that was renamed. Do not delete a pod or its volume meanwhile, nor restore the database before the archive has caught up: `npx holdfast spend reingest` finds only what is in it.',
  runbook: 'database-restore',
  metrics: [own(metricNames.outboxUnarchivedSeconds)],
  periodSeconds: 60,
  periods: 5,
  above: 900,
  silence: 'unknown',
});
