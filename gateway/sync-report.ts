/** `GET /config/sync/status`: LiteLLM's and RouteIQ's names, and what else an operator asks at night. */
import type { ConfigSync } from './cluster/config-sync.ts';
import type { LeaderElection } from './cluster/leader.ts';
import type { FoundConfig } from './find-config.ts';
import type { Ground } from './ground.ts';
import type { Settings } from './settings.ts';

export interface SyncReportOptions {
  readonly ground: Ground;
  readonly found: FoundConfig;
  readonly sync: Pick<ConfigSync<unknown>, 'status'>;
  readonly election: LeaderElection | undefined;
  readonly processId: string;
  readonly isOn: boolean;
}

export function syncReport({ ground, found, sync, election, processId, isOn }: SyncReportOptions): object {
  const { settings, restartRequired } = ground;
  const { adopted, adoptedCount, etag, fault, lastSyncAtMs, running, skippedCount } = sync.status;
  return {
    enabled: isOn,
    hot_reload_enabled: isOn,
    sync_interval_seconds: settings.configSyncSeconds,
    source: found.source?.name ?? 'database',
    version: adopted.version === undefined ? null : Number(adopted.version),
    config_sha256: adopted.sha256,
    fault: fault ?? null,
    restart_required: restartRequired,
    s3: objectReport(settings, 's3', etag),
    gcs: objectReport(settings, 'gcs', etag),
    appconfig: { enabled: false },
    local_config_path: settings.configPath,
    local_config_hash: adopted.sha256,
    reload_count: adoptedCount,
    last_sync_time: lastSyncAtMs === undefined ? null : new Date(lastSyncAtMs).toISOString(),
    running,
    ha_mode: election === undefined ? 'single' : 'leader_election',
    leader_election: electionReport(ground, election, processId, skippedCount),
  };
}

function objectReport({ configSource }: Settings, kind: 's3' | 'gcs', etag: string | undefined): object {
  if (configSource.is !== kind) return { enabled: false, bucket: null, key: null, last_etag: null };
  return { enabled: true, bucket: configSource.bucket, key: configSource.key, last_etag: etag ?? null };
}

function electionReport(
  { settings: { ha }, region }: Ground,
  election: LeaderElection | undefined,
  processId: string,
  skippedCount: number,
): object {
  const leadership = election?.leadership;
  const remainingMs = election?.remainingMs;
  return {
    enabled: election !== undefined,
    is_leader: leadership?.is === 'leader',
    leader: leadership?.is === 'leader' ? processId : leadership?.is === 'follower' ? leadership.leader : null,
    holder_id: processId,
    lock_name: ha.lockName,
    lease_seconds: ha.leaseSeconds,
    renew_interval_seconds: ha.renewSeconds,
    lease_expires_at: remainingMs === undefined ? null : new Date(Date.now() + remainingMs).toISOString(),
    generation: leadership === undefined || leadership.is === 'unknown' ? null : Number(leadership.epoch),
    // A replica takes no lease, and nobody expects it to.
    consecutive_renewal_failures: region?.office.state.standing === 'standby' ? 0 : (election?.renewalFailures ?? 0),
    renewal_thread_alive: election?.isRunning ?? false,
    skipped_sync_count: skippedCount,
  };
}
