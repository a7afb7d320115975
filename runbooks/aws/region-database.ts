/** A region's database in RDS: what it is, how far behind, and its promotion by stack or by API. */
import { GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { type DBInstance, DescribeDBInstancesCommand, PromoteReadReplicaCommand } from '@aws-sdk/client-rds';
import { parameters } from '../../lib/platform/names.ts';
import type { DatabaseStatus, PromotionWay, RegionDatabase } from '../books/region-world.ts';
import { type AwsClients, isNamed } from './clients.ts';
import type { RegionRowAccess } from './region-rows.ts';
import { updateStack } from './stacks.ts';

export interface RegionDatabasePlace {
  readonly region: string;
  /** Of the DB instance. */
  readonly identifier: string;
  /** Of the data stack; undefined = the database was brought along, and only the RDS API can promote it. */
  readonly stack: string | undefined;
  readonly rows: RegionRowAccess;
}

export function awsRegionDatabase(clients: AwsClients, place: RegionDatabasePlace): RegionDatabase {
  const { region, identifier, rows } = place;
  return {
    view: async (signal) => {
      const instance = await describeInstance(clients, region, identifier, signal);
      if (instance === undefined) throw new Error(`RDS knows no ${identifier} in ${region}`);
      const role = roleOf(instance);
      const [row, lagSeconds] = await Promise.all([
        rows.read(signal),
        role === 'replica' ? lagIfKnown(clients, region, identifier, signal) : undefined,
      ]);
      return { role, row, lagSeconds: role === 'primary' ? 0 : lagSeconds };
    },
    promote: (token, signal, by = 'stack') => promote(clients, place, by, token, signal),
    close: (signal) => rows.close(signal),
    raise: (epoch, writer, signal) => rows.raise(epoch, writer, signal),
  };
}

/** @returns undefined when there is none of this name. */
export async function describeInstance(
  clients: AwsClients,
  region: string,
  identifier: string,
  abortSignal: AbortSignal,
): Promise<DBInstance | undefined> {
  try {
    const { DBInstances = [] } = await clients
      .rds(region)
      .send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }), { abortSignal });
    return DBInstances[0];
  } catch (error) {
    if (isNamed(error, 'DBInstanceNotFoundFault', 'DBInstanceNotFound')) return undefined;
    throw error;
  }
}

/**
 * Pure. A replica names its source until it has been promoted, and while it is promoted it is not `available`. A promoted
 * one counts as primary only when it is at rest: it restarts at the end of the promotion.
 */
export function roleOf({
  DBInstanceStatus: status,
  ReadReplicaSourceDBInstanceIdentifier: source,
}: Pick<DBInstance, 'DBInstanceStatus' | 'ReadReplicaSourceDBInstanceIdentifier'>): DatabaseStatus['role'] {
  const isReplica = source !== undefined && source !== '';
  if (isReplica) return status === 'available' || status === 'backing-up' ? 'replica' : 'being-promoted';
  return status === 'available' || status === 'backing-up' || status === 'storage-optimization'
    ? 'primary'
    : 'being-promoted';
}

async function promote(
  clients: AwsClients,
  { region, identifier, stack }: RegionDatabasePlace,
  by: PromotionWay,
  token: string,
  abortSignal: AbortSignal,
): Promise<void> {
  if (by === 'rds' || stack === undefined) {
    try {
      await clients
        .rds(region)
        .send(new PromoteReadReplicaCommand({ DBInstanceIdentifier: identifier }), { abortSignal });
    } catch (error) {
      // It is no replica any more, or not at rest: whoever asks reads back what it is.
      if (!isNamed(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState')) throw error;
    }
    return;
  }
  const changes = { [parameters.regionRole]: 'primary' };
  await updateStack(clients, { region, stack, changes, token, rollsBack: false }, abortSignal);
}

const lagPatienceMs = 5_000;

/** A promotion must not wait for CloudWatch: what it does not say in time is unknown, and a switchover refuses that. */
async function lagIfKnown(
  clients: AwsClients,
  region: string,
  identifier: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(lagPatienceMs)]);
    return await replicaLagSeconds(clients, region, identifier, bounded);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** Of the last five minutes' newest value; undefined = CloudWatch has none, which is not 0. */
async function replicaLagSeconds(
  clients: AwsClients,
  region: string,
  identifier: string,
  abortSignal: AbortSignal,
): Promise<number | undefined> {
  const now = Date.now();
  const { MetricDataResults = [] } = await clients.cloudWatch(region).send(
    new GetMetricDataCommand({
      StartTime: new Date(now - 300_000),
      EndTime: new Date(now),
      ScanBy: 'TimestampDescending',
      MetricDataQueries: [
        {
          Id: 'lag',
          MetricStat: {
            Metric: {
              Namespace: 'AWS/RDS',
              MetricName: 'ReplicaLag',
              Dimensions: [{ Name: 'DBInstanceIdentifier', Value: identifier }],
            },
            Period: 60,
            Stat: 'Maximum',
          },
        },
      ],
    }),
    { abortSignal },
  );
  const lag = MetricDataResults[0]?.Values?.[0];
  // RDS reports -1 when replication is broken.
  return lag === undefined || lag < 0 ? undefined : lag;
}
