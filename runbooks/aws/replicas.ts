/**
 * A new replica where the writer was once. RDS cannot demote: the old database stays as it is, and the data stack makes
 * the next generation from the template that the edited `holdfast.config.ts` gives.
 */
import { CreateDBSnapshotCommand, DeleteDBInstanceCommand, ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import { z } from 'zod';
import { bucketName, databaseArn, databaseIdentifier, parameters, stackName } from '../../lib/platform/names.ts';
import type { DatabaseRef, Platform, Region } from '../../lib/platform/platform.ts';
import type { Replicas } from '../books/region-failback.ts';
import { type AwsClients, isNamed } from './clients.ts';
import type { LostWritesLists } from './lost-writes.ts';
import { describeInstance } from './region-database.ts';
import { faultOf, stackAtRest, updateStack } from './stacks.ts';
import { templateInput } from './template-input.ts';

export interface ReplicasPlace {
  readonly platform: Platform;
  readonly regionOf: (name: string) => Region;
  /** What CDK made of the description: the template of a stack. */
  readonly templateOf: (stack: string) => Promise<string>;
  readonly lists: LostWritesLists;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

const templateSchema = z.looseObject({ Parameters: z.record(z.string(), z.unknown()).default({}) });

export function awsReplicas(clients: AwsClients, place: ReplicasPlace): Replicas {
  const { platform, regionOf, lists } = place;
  return {
    view: async (name, sourceName, signal) => {
      const region = regionOf(name);
      const instance = await describeInstance(clients, name, databaseIdentifier(platform, region), signal);
      const source = regionOf(sourceName);
      const followed = instance?.ReadReplicaSourceDBInstanceIdentifier;
      // RDS names a source of its own region by its name, and one of another by its ARN.
      if (instance === undefined || followed !== databaseArn(platform, source)) {
        return instance?.DBInstanceStatus === 'creating' && isDescribed(region, source) ? 'creating' : 'absent';
      }
      return instance.DBInstanceStatus === 'available' || instance.DBInstanceStatus === 'backing-up'
        ? 'ready'
        : 'creating';
    },
    create: async (name, sourceName, token, signal) => {
      const region = regionOf(name);
      const source = regionOf(sourceName);
      if (!isDescribed(region, source)) throw new Error(descriptionFault(region, source));
      if (region.database !== undefined) {
        throw new Error(
          `no stack makes ${region.database.identifier}: make it a replica of ${databaseArn(platform, source)} yourself, or take regions.database of ${name} out of holdfast.config.ts; then resume`,
        );
      }
      const stack = stackName(platform, name, 'data');
      const text = await place.templateOf(stack);
      const identifier = databaseIdentifier(platform, region);
      if (!text.includes(identifier)) {
        throw new Error(`the template of ${stack} makes no ${identifier}: make it anew with npx cdk synth`);
      }
      const bucket = bucketName(platform, region, 'journal');
      const template = {
        input: await templateInput(clients, { region: name, bucket }, stack, text, signal),
        parameters: Object.keys(templateSchema.parse(JSON.parse(text)).Parameters),
      };
      const changes = { [parameters.regionRole]: 'standby', [parameters.dbPromotion]: 'stack' };
      await updateStack(clients, { region: name, stack, changes, template, token, rollsBack: true }, signal);
      // A replica that CloudFormation gave up would be waited for in vain.
      const fault = faultOf(await stackAtRest(clients, { region: name, stack }, place.wait, signal));
      if (fault !== undefined) throw new Error(fault);
    },
    remove: async (name, sourceName, abortSignal) => {
      const region = regionOf(name);
      const identifier = databaseIdentifier(platform, region);
      const instance = await describeInstance(clients, name, identifier, abortSignal);
      if (instance === undefined || instance.DBInstanceStatus === 'deleting') return;
      // Never a database that is one of its own: only what follows the source is the run's to take away.
      if (instance.ReadReplicaSourceDBInstanceIdentifier !== databaseArn(platform, regionOf(sourceName))) {
        throw new Error(`${identifier} follows no database in ${sourceName}; it is left alone`);
      }
      const rds = clients.rds(name);
      await rds.send(
        new ModifyDBInstanceCommand({
          DBInstanceIdentifier: identifier,
          DeletionProtection: false,
          ApplyImmediately: true,
        }),
        { abortSignal },
      );
      await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: identifier, SkipFinalSnapshot: true }), {
        abortSignal,
      });
    },
    lostWrites: (name, survivor, signal) =>
      lists.read(survivor, oldDatabase(regionOf(name), regionOf(survivor)), signal),
    listLostWrites: async (name, survivor, _token, signal) => {
      const old = oldDatabase(regionOf(name), regionOf(survivor));
      const identifier = databaseIdentifier(platform, old);
      const isThere = (await describeInstance(clients, name, identifier, signal)) !== undefined;
      if (isThere) await snapshotOnce(clients, name, identifier, signal);
      await lists.make(survivor, old, isThere, signal);
    },
  };
}

const isDescribed = ({ databaseSource }: Region, source: DatabaseRef): boolean =>
  databaseSource?.region === source.region && databaseSource.databaseGeneration === source.databaseGeneration;

/** Pure. Once the new generation is described, the old database is the one before it. */
export function oldDatabase(region: Region, survivor: DatabaseRef): DatabaseRef {
  const { databaseGeneration: generation } = region;
  return { ...region, databaseGeneration: isDescribed(region, survivor) ? generation - 1 : generation };
}

/** What to write, so that nobody has to look it up in the night. */
export const descriptionFault = ({ region, databaseGeneration }: Region, source: DatabaseRef): string =>
  [
    `holdfast.config.ts does not describe a database in ${region} that follows ${source.region} yet. Write there:`,
    `  databaseGeneration: { '${region}': ${databaseGeneration + 1} },`,
    `  databaseSource: { '${region}': { region: '${source.region}', generation: ${source.databaseGeneration} } },`,
    'then: npx cdk synth, and resume this run',
  ].join('\n');

async function snapshotOnce(
  clients: AwsClients,
  region: string,
  identifier: string,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await clients.rds(region).send(
      new CreateDBSnapshotCommand({
        DBInstanceIdentifier: identifier,
        DBSnapshotIdentifier: `${identifier}-before-failback`,
      }),
      { abortSignal },
    );
  } catch (error) {
    if (!isNamed(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) throw error;
  }
}
