/** The state of this process and its siblings, for people: nothing here is waited for by a request. */
import { hostname } from 'node:os';
import type { Ground } from './ground.ts';
import type { HeardProcess } from './stores/process-registry.ts';

export async function gatewayStatus(ground: Ground): Promise<object> {
  const { administration, outbox, stores, settings, region, redis, live } = ground;
  const standing = administration?.standing();
  const degraded = ground.degradations.list();
  return {
    status: degraded.length === 0 ? 'healthy' : 'degraded',
    degraded: degraded.map(({ reason, message, sinceMs }) => ({
      reason,
      message,
      since: new Date(sinceMs).toISOString(),
    })),
    process: {
      id: standing?.processId ?? null,
      host: hostname(),
      pid: process.pid,
      worker: settings.workerIndex,
      gateway_version: ground.version,
      started_at: new Date(Date.now() - process.uptime() * 1000).toISOString(),
      in_flight_requests: live.inFlight,
    },
    leadership:
      standing === undefined
        ? null
        : {
            mode: standing.isElected ? 'leader_election' : 'single',
            role: standing.role,
            leader: standing.leader ?? null,
            epoch: standing.epoch === undefined ? null : Number(standing.epoch),
            lease_remaining_seconds: standing.leaseRemainingMs === undefined ? null : standing.leaseRemainingMs / 1000,
          },
    region: region === undefined ? null : { name: region.office.region, ...region.office.state },
    config:
      standing === undefined
        ? null
        : {
            version: standing.version === undefined ? null : Number(standing.version),
            sha256: standing.sha256,
            source: standing.source,
            fault: standing.fault ?? null,
            restart_required: ground.restartRequired,
          },
    stores: {
      database: wordOf(stores.mirror?.up),
      redis: wordOf(redis?.cooldowns.up),
      hears_changes: ground.listener?.up ?? false,
      snapshot_age_seconds: stores.mirror?.snapshotAgeSeconds ?? null,
    },
    outbox:
      outbox === undefined
        ? null
        : {
            events: outbox.queued,
            bytes: outbox.bytes,
            oldest_unshipped_seconds: outbox.oldestUnshippedSeconds,
            pressure: outbox.pressure,
          },
    processes: await siblings(ground),
  };
}

/** Null while the database cannot be asked. */
async function siblings({ stores: { cluster, mirror } }: Ground): Promise<object[] | null> {
  if (cluster === undefined || mirror?.up !== true) return null;
  try {
    return (await cluster.processes.heard()).map(toAnswer);
  } catch {
    // The mirror says why, in the log and above.
    return null;
  }
}

const toAnswer = (sibling: HeardProcess): object => ({
  id: sibling.id,
  host: sibling.host,
  pid: sibling.pid,
  gateway_version: sibling.gatewayVersion,
  started_at: sibling.startedAt.toISOString(),
  silent_seconds: sibling.silentSeconds,
  config_version: sibling.configVersion === undefined ? null : Number(sibling.configVersion),
  config_sha256: sibling.configSha256,
  config_fault: sibling.configFault ?? null,
});

const wordOf = (up: boolean | undefined): string | null =>
  up === undefined ? null : up ? 'connected' : 'disconnected';
