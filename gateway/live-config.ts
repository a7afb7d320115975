/** The wiring of live configuration: who leads, what is watched, and how another configuration takes over. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Of } from './cluster/config-source.ts';
import { type AdoptedVersion, ConfigSync } from './cluster/config-sync.ts';
import { LeaderElection, type Leadership } from './cluster/leader.ts';
import { Presence } from './cluster/presence.ts';
import { formatFault } from './config/load.ts';
import { leaseObjectName } from './contract.ts';
import type { ConfigAdministration, ConfigStanding } from './domain/config-administration.ts';
import { NotNow, Unusable } from './domain/config-administration.ts';
import { NotWriter, OutcomeUnknown } from './domain/keys.ts';
import { type FoundConfig, sourceName } from './find-config.ts';
import { type PreparedGeneration, prepareGeneration } from './generation.ts';
import type { Ground } from './ground.ts';
import { checkWhoMaySignIn, loadText } from './read-config.ts';
import type { HaSettings } from './settings/high-availability.ts';
import { KubernetesLease } from './stores/kubernetes-lease.ts';
import { LastConfigFile } from './stores/last-config.ts';
import type { LeaderLease } from './stores/leader-lease.ts';
import type { StoredModel } from './stores/model-definitions.ts';
import { codeOf, isUnavailable } from './stores/postgres.ts';
import type { ClusterStores } from './stores/stores.ts';
import { syncReport } from './sync-report.ts';

export interface LiveConfig extends ConfigAdministration {
  /** Undefined where nobody is elected. */
  readonly election: LeaderElection | undefined;
  readonly sync: ConfigSync<PreparedGeneration>;
  readonly presence: Presence | undefined;
  /** Who this process is among its siblings. */
  readonly processId: string;
  /** Takes part in the election and takes over what is live elsewhere. Waits for it only briefly. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Versions are looked for so often, whatever is done for the source. */
const versionSeconds = 1;
/** A start does not wait longer than this for what is live elsewhere. */
const catchUpMs = 2_000;
/** What the database says to a leader that was replaced. */
const leaseOver = 'HF020';

export function openLiveConfig(ground: Ground, found: FoundConfig): LiveConfig {
  const { settings, logger, stores } = ground;
  const { cluster } = stores;
  const { ha, configSync: isOn } = settings;
  const isShared = cluster !== undefined && ha.mode !== 'single';
  const processId = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const models = openModels(ground, found);

  const isWriter = (): boolean => ground.region === undefined || ground.region.office.state.standing === 'writer';
  let toldElectionFault: string | undefined;
  const election = !isShared
    ? undefined
    : new LeaderElection({
        lease: leaseOf(ha, cluster),
        holder: processId,
        leaseSeconds: ha.leaseSeconds,
        renewSeconds: ha.renewSeconds,
        now: () => performance.now(),
        onChange: (leadership) => {
          toldElectionFault = undefined;
          logger.info(leadershipFacts(leadership), 'leadership of configurations');
        },
        onError: (error) => {
          // A replica has no leader of its own.
          if (codeOf(error) === '25006' || error.message === toldElectionFault) return;
          toldElectionFault = error.message;
          logger.warn({ err: error }, 'the lease of the leader could not be renewed');
        },
      });

  const last = new LastConfigFile(settings.dataDirectory, settings.saltKey);
  let saving: Promise<void> = Promise.resolve();
  const saveLast = (): void => {
    // A file that is there again at every start needs no copy.
    if (!ground.writesSnapshot || settings.configSource.is === 'file') return;
    const content = {
      savedAtMs: Date.now(),
      source: sourceName(found.source),
      ...sync.live,
      models: [...models.known()],
    };
    saving = saving
      .then(() => last.save(content))
      .catch((error: unknown) => {
        logger.warn({ err: error }, 'the configuration could not be written to disk for the next start');
      });
  };

  const sync = new ConfigSync<PreparedGeneration>({
    source: isOn ? found.source : undefined,
    prepare: async (text, origin) => {
      const { config, warnings } = await loadText(text, origin, settings, await models.current());
      const remarks = [
        ...warnings.map((warning) => formatFault(origin, warning)),
        ...checkWhoMaySignIn(settings, config),
      ];
      const prepared = await prepareGeneration(ground, config);
      return {
        ...prepared,
        commit: () => {
          prepared.commit();
          for (const remark of remarks) logger.warn(remark);
        },
      };
    },
    discard: (prepared) => prepared.discard(),
    adopt: (prepared) => prepared.commit(),
    // Without its ETag, so that the first leader reads the source once more and stores it as a version.
    startedWith: { text: found.text, etag: undefined, additions: found.modelsState },
    additions: isOn && cluster !== undefined ? models.state : undefined,
    shared:
      election === undefined || cluster === undefined || !isOn
        ? undefined
        : {
            versions: cluster.versions,
            leaseName: ha.lockName,
            // Versions are made in the writer region alone; the others have them by replication.
            leadership: () => (isWriter() ? election.leadership : { is: 'unknown' }),
            processName: processId,
          },
    sourceSeconds: settings.configSyncSeconds,
    versionSeconds,
    onAdopted: (version) => {
      logger.info(versionFacts(version), 'this configuration is live');
      tellOtherFile(version);
      if (ground.restartRequired.length > 0) {
        logger.warn(
          { settings: ground.restartRequired },
          'a restart is needed for these settings; all others are live',
        );
      }
      saveLast();
      presence?.tell();
    },
    onFault: (message) => {
      logger.error({ reason: message }, 'a configuration was not taken; the one that is live goes on');
      presence?.tell();
    },
  });

  // Replicas of a rolling deployment have two files for a while; whoever looks into the new one's log must not wonder.
  let saysOtherFile = settings.configSource.is === 'file' && isShared;
  const tellOtherFile = (version: AdoptedVersion): void => {
    if (!saysOtherFile || version.version === undefined || version.sha256 === sha256Of(found.text)) return;
    if (election?.leadership.is === 'leader') return;
    saysOtherFile = false;
    logger.warn(
      { ...versionFacts(version), file: sourceName(found.source), leaseSeconds: ha.leaseSeconds },
      'the config file of this process is not what is live: the leader has another one. It becomes live when a process with it leads, at the latest when the lease of a leader that was killed is over',
    );
  };

  const startedAt = new Date();
  const presence =
    cluster === undefined
      ? undefined
      : new Presence({
          registry: cluster.processes,
          report: () => {
            const { adopted, fault } = sync.status;
            return {
              id: processId,
              host: hostname(),
              pid: process.pid,
              gatewayVersion: ground.version,
              startedAt,
              configVersion: adopted.version,
              configSha256: adopted.sha256,
              configFault: fault,
            };
          },
          onError: (error) => logger.debug({ err: error }, 'this process could not be registered'),
        });

  const versions = () => {
    if (isShared) return cluster.versions;
    throw new NotNow('Configurations are kept only with a database and LLMROUTER_HA_MODE=leader_election');
  };
  const standing = (): ConfigStanding => {
    const { adopted, fault } = sync.status;
    const leadership = election?.leadership;
    return {
      processId,
      isElected: election !== undefined,
      role: leadership?.is ?? 'alone',
      leader: leadership?.is === 'leader' ? processId : leadership?.is === 'follower' ? leadership.leader : undefined,
      epoch: leadership === undefined || leadership.is === 'unknown' ? undefined : leadership.epoch,
      leaseRemainingMs: election?.remainingMs,
      version: adopted.version,
      sha256: adopted.sha256,
      source: sourceName(found.source),
      fault,
    };
  };
  const changing = <T>(work: () => Promise<T>): Promise<T> => {
    if (isWriter()) return asking(work);
    const writer = ground.region?.office.state.writer;
    throw new NotNow(
      `This region does not write configurations${writer === undefined ? '' : `; ask a gateway of ${writer}`}`,
    );
  };
  const status = (): object => syncReport({ ground, found, sync, election, processId, isOn });

  return {
    election,
    sync,
    presence,
    processId,
    start: async () => {
      if (isOn && stores.mirror?.up === true) {
        const abort = new AbortController();
        const caughtUp = (async () => {
          await election?.take();
          await sync.reload(false);
        })();
        await Promise.race([caughtUp, sleep(catchUpMs, undefined, { signal: abort.signal }).catch(() => undefined)]);
        abort.abort();
      }
      election?.start();
      if (isOn) sync.start();
      presence?.start();
      saveLast();
    },
    look: () => (isOn ? sync.look() : Promise.resolve()),
    stop: async () => {
      await sync.stop();
      await saving;
      await presence?.stop();
      await election?.stop();
    },
    standing,
    status,
    reload: async (force) => {
      if (!isOn)
        throw new NotNow('CONFIG_SYNC_ENABLED or CONFIG_HOT_RELOAD is false: this gateway keeps its configuration');
      await sync.reload(force);
      return status();
    },
    history: (limit) => asking(() => versions().history(limit)),
    textOf: async (version) => {
      const text = await asking(() => versions().textOf(version));
      if (text === undefined) throw new Unusable(`There is no config version ${version}`);
      return text;
    },
    rollback: (version, by) => changing(() => sync.rollback(version, by)),
    push: (text, by) => changing(() => sync.push(text, by)),
  };
}

/** Kubernetes or the database decides who leads; the database's row fences what a leader writes either way. */
function leaseOf(
  { kubernetes, lockName, leaseSeconds }: HaSettings,
  cluster: ClusterStores,
): LeaderLease | KubernetesLease {
  const row = cluster.lease(lockName, leaseSeconds);
  if (kubernetes === undefined) return row;
  return new KubernetesLease({
    ...kubernetes,
    name: leaseObjectName(lockName),
    leaseSeconds,
    fence: row,
    now: () => performance.now(),
    wallNow: Date.now,
  });
}

/** In the words of whoever asked. @throws NotNow when it is the database's state that is in the way. */
async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code === '25006' || error instanceof NotWriter) {
      throw new NotNow('The database of this region takes no changes. Nothing was changed');
    }
    if (error instanceof OutcomeUnknown) {
      throw new NotNow(
        'The connection broke while the version was stored; holdfast config history shows whether it was',
      );
    }
    if (code === leaseOver) throw new NotNow('The leader has just changed; nothing was changed. Try again');
    if (isUnavailable(error)) throw new NotNow('The database cannot be reached. Nothing was changed');
    throw error;
  }
}

/** The deployments that were made over the API; while the database is away, as they were last seen. */
function openModels({ stores: { cluster } }: Ground, found: FoundConfig) {
  let known: readonly StoredModel[] = found.models;
  let knownState = found.modelsState;
  const state = async (): Promise<string> => {
    if (cluster === undefined) return knownState;
    try {
      return await cluster.models.state();
    } catch (error) {
      if (isUnavailable(error)) return knownState;
      throw error;
    }
  };
  return {
    state,
    known: () => known,
    current: async (): Promise<readonly StoredModel[]> => {
      const now = await state();
      if (now !== knownState && cluster !== undefined) {
        known = await cluster.models.all();
        knownState = now;
      }
      return known;
    },
  };
}

const leadershipFacts = (leadership: Leadership): object =>
  leadership.is === 'unknown' ? { is: 'unknown' } : { ...leadership, epoch: String(leadership.epoch) };

const versionFacts = ({ version, sha256 }: AdoptedVersion): object => ({
  version: version === undefined ? 'unnumbered' : String(version),
  sha256: sha256.slice(0, 12),
});
