/** Versions of databases in RDS and of clusters in EKS, and the services' own word on whether a step is possible. */
import { DescribeClusterCommand, ListInsightsCommand, UpdateClusterVersionCommand } from '@aws-sdk/client-eks';
import {
  CreateDBSnapshotCommand,
  type DBInstance,
  DescribeDBEngineVersionsCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds';
import type { Upgrades } from '../books/upgrade.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { describeInstance } from './region-database.ts';

export interface UpgradesPlace {
  readonly databaseIn: (region: string) => string;
  readonly clusterIn: (region: string) => string;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

const betweenLooksSeconds = 10;

export function awsUpgrades(clients: AwsClients, { databaseIn, clusterIn, wait }: UpgradesPlace): Upgrades {
  const database = async (region: string, signal: AbortSignal, name = databaseIn(region)) => {
    const found = await describeInstance(clients, region, name, signal);
    if (found?.EngineVersion === undefined) throw new Error(`RDS knows no ${name} in ${region}`);
    return found;
  };
  /** Beside it in its region; those in other regions are named by ARNs. */
  const readers = async (region: string, signal: AbortSignal) => {
    const { ReadReplicaDBInstanceIdentifiers: names = [] } = await database(region, signal);
    return Promise.all(names.filter((name) => !name.startsWith('arn:')).map((name) => database(region, signal, name)));
  };
  const modify = async (region: string, name: string, to: string, abortSignal: AbortSignal): Promise<void> => {
    await clients
      .rds(region)
      .send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: name, EngineVersion: to, ApplyImmediately: true }), {
        abortSignal,
      });
  };
  /** A replica must not be older than what it follows. */
  const upgradeReaders = async (region: string, to: string, signal: AbortSignal): Promise<void> => {
    for (const reader of await readers(region, signal)) {
      const { DBInstanceIdentifier: name = '' } = reader;
      if (isSettled(reader) && reader.EngineVersion !== to) await modify(region, name, to, signal);
    }
    const isDone = (reader: DBInstance): boolean => isSettled(reader) && reader.EngineVersion === to;
    while (!(await readers(region, signal)).every(isDone)) await wait(betweenLooksSeconds, signal);
  };
  return {
    view: async (component, region, signal) => {
      if (component === 'database') {
        const found = await database(region, signal);
        return { version: found.EngineVersion ?? '', isSettled: isSettled(found) };
      }
      const { cluster } = await clients
        .eks(region)
        .send(new DescribeClusterCommand({ name: clusterIn(region) }), { abortSignal: signal });
      if (cluster?.version === undefined) throw new Error(`EKS says no version of ${clusterIn(region)}`);
      return { version: cluster.version, isSettled: cluster.status === 'ACTIVE' };
    },
    begin: async (component, region, to, _token, abortSignal) => {
      if (component === 'database') {
        await upgradeReaders(region, to, abortSignal);
        await modify(region, databaseIn(region), to, abortSignal);
        return;
      }
      try {
        // Without the step's token: after an update that has failed, EKS would answer with that one for ever.
        await clients
          .eks(region)
          .send(new UpdateClusterVersionCommand({ name: clusterIn(region), version: to }), { abortSignal });
      } catch (error) {
        // An update is under way: whoever asks reads back which.
        if (!isNamed(error, 'ResourceInUseException')) throw error;
      }
    },
    obstacles: async (component, region, to, signal) => {
      if (component === 'database') {
        const { EngineVersion: from = '', Engine: engine = 'postgres' } = await database(region, signal);
        return from === to ? [] : databaseObstacles(clients, region, { engine, from, to }, signal);
      }
      return clusterObstacles(clients, region, clusterIn(region), to, signal);
    },
    snapshot: async (region, name, abortSignal) => {
      try {
        const { DBSnapshots: [found] = [] } = await clients
          .rds(region)
          .send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: name }), { abortSignal });
        if (found === undefined) return 'absent';
        return found.Status === 'available' ? 'ready' : 'creating';
      } catch (error) {
        if (isNamed(error, 'DBSnapshotNotFoundFault', 'DBSnapshotNotFound')) return 'absent';
        throw error;
      }
    },
    takeSnapshot: async (region, name, abortSignal) => {
      try {
        await clients
          .rds(region)
          .send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: databaseIn(region), DBSnapshotIdentifier: name }), {
            abortSignal,
          });
      } catch (error) {
        if (!isNamed(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) throw error;
      }
    },
  };
}

/** Pure. A backup is no change; right after the call the instance is at rest still, and the version pending. */
const isSettled = ({ DBInstanceStatus: status, PendingModifiedValues: pending }: DBInstance): boolean =>
  (status === 'available' || status === 'backing-up' || status === 'storage-optimization') &&
  pending?.EngineVersion === undefined;

async function databaseObstacles(
  clients: AwsClients,
  region: string,
  { engine, from, to }: { engine: string; from: string; to: string },
  abortSignal: AbortSignal,
): Promise<readonly string[]> {
  const { DBEngineVersions: [version] = [] } = await clients
    .rds(region)
    .send(new DescribeDBEngineVersionsCommand({ Engine: engine, EngineVersion: from }), { abortSignal });
  const targets = (version?.ValidUpgradeTarget ?? []).flatMap(({ EngineVersion }) => EngineVersion ?? []);
  return targets.includes(to)
    ? []
    : [`RDS upgrades ${engine} ${from} to ${targets.join(', ') || 'nothing'}, not to ${to}`];
}

/** What EKS itself has found: APIs that the next version lacks, nodes and addons that are too old. */
async function clusterObstacles(
  clients: AwsClients,
  region: string,
  clusterName: string,
  to: string,
  abortSignal: AbortSignal,
): Promise<readonly string[]> {
  const faults: string[] = [];
  let nextToken: string | undefined;
  do {
    const page = await clients.eks(region).send(
      new ListInsightsCommand({
        clusterName,
        filter: { categories: ['UPGRADE_READINESS'], kubernetesVersions: [to] },
        ...(nextToken === undefined ? {} : { nextToken }),
      }),
      { abortSignal },
    );
    for (const { name = 'an insight', insightStatus } of page.insights ?? []) {
      if (insightStatus?.status !== 'ERROR') continue;
      faults.push(insightStatus.reason === undefined ? name : `${name}: ${insightStatus.reason}`);
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return faults;
}
