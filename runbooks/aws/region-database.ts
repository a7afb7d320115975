/** A region's database in RDS: what it is, how far behind, and its promotion by stack or by API. */
import { GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { type DBInstance, DescribeDBInstancesCommand, PromoteReadReplicaCommand } from '@aws-sdk/client-rds';
import { parameters } from '../../lib/platform/names.ts';
import type { DatabaseStatus, PromotionWay, RegionDatabase } from '../books/region-world.ts';
import { type AwsClients, isNamed } from './clients.ts';
import type { RegionRowAccess } from './region-rows.ts';
import { describe, faultOf, parameterOf, updateStack } from './stacks.ts';

export interface RegionDatabasePlace {
  readonly region: string;
  /** Of the DB instance. */
  readonly identifier: string;
  /** Of the data stack; undefined = the database was brought along, and only the RDS API can promote it. */
  readonly stack: string | undefined;
  readonly rows: RegionRowAccess;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

export function awsRegionDatabase(clients: AwsClients, place: RegionDatabasePlace): RegionDatabase {
  const { region, identifier, rows } = place;
  return {
    view: async (signal) => {
      const instance = await knownInstance(clients, place, signal);
      const { DBInstanceStatus: status } = instance;
      if (staysAsItIs(status)) throw new Error(`${identifier} is ${status}: no patience ends that, mend it`);
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

async function knownInstance(
  clients: AwsClients,
  { region, identifier }: RegionDatabasePlace,
  signal: AbortSignal,
): Promise<DBInstance> {
  const found = await describeInstance(clients, region, identifier, signal);
  if (found === undefined) throw new Error(`RDS knows no ${identifier} in ${region}`);
  return found;
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
 * Pure. No patience brings an end to these; others are on their way.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html
 */
export const staysAsItIs = (status: string | undefined): boolean =>
  /^(failed|stopped|storage-full|restore-error|inaccessible-encryption-credentials.*|incompatible-.*)$/.test(
    status ?? '',
  );

/** States in which a database serves and nobody changes what it is. */
const atRest: readonly (string | undefined)[] = ['available', 'backing-up', 'storage-optimization'];

/**
 * Pure. A replica names its source until it has been promoted, and while it is promoted it is not `available`. A promoted
 * one counts as primary only when it is at rest: it restarts at the end of the promotion.
 */
export function roleOf({
  DBInstanceStatus: status,
  ReadReplicaSourceDBInstanceIdentifier: source,
}: Pick<DBInstance, 'DBInstanceStatus' | 'ReadReplicaSourceDBInstanceIdentifier'>): DatabaseStatus['role'] {
  if (!atRest.includes(status)) return 'being-promoted';
  return source === undefined || source === '' ? 'primary' : 'replica';
}

const betweenLooksSeconds = 2;

/** Asks once the replica can be promoted, and returns when the promotion is under way. @throws when it was refused. */
async function promote(
  clients: AwsClients,
  place: RegionDatabasePlace,
  by: PromotionWay,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const { region, stack } = place;
  const instance = await backedUp(clients, place, signal);
  if (roleOf(instance) !== 'replica') return;
  if (by === 'rds' || stack === undefined) return promoteByApi(clients, place, instance, signal);
  const changes = { [parameters.regionRole]: 'primary' };
  await updateStack(clients, { region, stack, changes, token, rollsBack: false }, signal);
  await promotionBegun(clients, place, stack, signal);
}

/** RDS promotes no replica that it is backing up, which it does once a day. */
async function backedUp(clients: AwsClients, place: RegionDatabasePlace, signal: AbortSignal): Promise<DBInstance> {
  for (;;) {
    const found = await knownInstance(clients, place, signal);
    if (found.DBInstanceStatus !== 'backing-up') return found;
    await place.wait(betweenLooksSeconds, signal);
  }
}

async function promoteByApi(
  clients: AwsClients,
  place: RegionDatabasePlace,
  { DBInstanceIdentifier, BackupRetentionPeriod: days = 0 }: DBInstance,
  abortSignal: AbortSignal,
): Promise<void> {
  // Unless it is told, RDS keeps one day of backups from here on.
  const kept = days > 0 ? { BackupRetentionPeriod: days } : {};
  try {
    await clients
      .rds(place.region)
      .send(new PromoteReadReplicaCommand({ DBInstanceIdentifier, ...kept }), { abortSignal });
  } catch (error) {
    if (!isNamed(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState')) throw error;
    // Somebody was faster. A replica that RDS refuses to promote would be waited for in vain.
    if (roleOf(await knownInstance(clients, place, abortSignal)) === 'replica') throw error;
  }
}

/** A stack that fails tells nobody: whoever looks at the database alone waits for it until all patience is over. */
async function promotionBegun(
  clients: AwsClients,
  place: RegionDatabasePlace,
  stack: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    // In this order: a stack that is done when it is asked has promoted before the database is.
    const found = await describe(clients.cloudFormation(place.region), stack, signal);
    if (roleOf(await knownInstance(clients, place, signal)) !== 'replica') return;
    if (found.StackStatus?.endsWith('_IN_PROGRESS') !== true) {
      const said = [parameters.regionRole, parameters.dbPromotion].map((name) => `${name}=${parameterOf(found, name)}`);
      const fault = faultOf(found) ?? `${stack} is ${found.StackStatus} with ${said.join(', ')}`;
      throw new Error(`${place.identifier} is a replica still (${fault}): promote with promoteWith=rds`);
    }
    await place.wait(betweenLooksSeconds, signal);
  }
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
