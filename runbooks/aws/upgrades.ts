/** Versions of databases in RDS and of clusters in EKS, and the services' own word on whether a step is possible. */
import { DescribeClusterCommand, ListInsightsCommand, UpdateClusterVersionCommand } from '@aws-sdk/client-eks';
import {
  CreateDBSnapshotCommand,
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
}

export function awsUpgrades(clients: AwsClients, { databaseIn, clusterIn }: UpgradesPlace): Upgrades {
  const database = async (region: string, signal: AbortSignal) => {
    const found = await describeInstance(clients, region, databaseIn(region), signal);
    if (found?.EngineVersion === undefined) throw new Error(`RDS knows no ${databaseIn(region)} in ${region}`);
    return found;
  };
  return {
    view: async (component, region, signal) => {
      if (component === 'database') {
        const {
          EngineVersion: version = '',
          DBInstanceStatus: status,
          PendingModifiedValues: pending,
        } = await database(region, signal);
        // A backup is no change; right after the call the instance is at rest still, and the version pending.
        const isAtRest = status === 'available' || status === 'backing-up' || status === 'storage-optimization';
        return { version, isSettled: isAtRest && pending?.EngineVersion === undefined };
      }
      const { cluster } = await clients
        .eks(region)
        .send(new DescribeClusterCommand({ name: clusterIn(region) }), { abortSignal: signal });
      if (cluster?.version === undefined) throw new Error(`EKS says no version of ${clusterIn(region)}`);
      return { version: cluster.version, isSettled: cluster.status === 'ACTIVE' };
    },
    begin: async (component, region, to, _token, abortSignal) => {
      if (component === 'database') {
        await clients.rds(region).send(
          new ModifyDBInstanceCommand({
            DBInstanceIdentifier: databaseIn(region),
            EngineVersion: to,
            ApplyImmediately: true,
          }),
          { abortSignal },
        );
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
