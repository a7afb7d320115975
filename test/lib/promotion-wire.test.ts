/** A promotion as an operator types it, over HTTP, with AWS's own clients; the database is read back every time. */
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation';
import {
  type DBInstance,
  DescribeDBInstancesCommand,
  PromoteReadReplicaCommand,
  RDSClient,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { databaseArn, databaseIdentifier, parameters, stackName } from '../../lib/platform/names.ts';
import { type AwsFront, startAwsFront } from '../support/aws/front.ts';
import { freshMoto, type Moto, motoIsInstalled } from '../support/aws/moto.ts';
import { changesBetween } from '../support/aws/stack-update.ts';
import { startWire, type Wire } from '../support/aws/wire.ts';
import { until } from '../support/processes.ts';
import { stackNamed, synthesize } from './synthesize.ts';

const { primary } = shipped;
const standby = shipped.standbys[0] ?? primary;
const { stacks } = synthesize(shipped);
const stackOf = (region: string): string => stackName(shipped, region, 'data');
const templateOf = (region: string, { account }: Moto): string =>
  JSON.stringify(stackNamed(stacks, stackOf(region)).template).replaceAll(shipped.account, account);
const replica = databaseIdentifier(shipped, standby);

const available = await motoIsInstalled();

describe.skipIf(process.env['CI'] === undefined && !available)(
  'a promotion over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 60_000 },
  () => {
    let moto: Moto;
    let front: AwsFront;
    let past: Wire;
    /** Past the front: what moto itself holds. */
    let behind: RDSClient;
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const options = (region: string) => ({ region, endpoint: front.url, credentials, maxAttempts: 1 });
    const formation = (region: string) => new CloudFormationClient(options(region));

    beforeEach(async () => {
      moto = await freshMoto();
      front = await startAwsFront(moto);
      past = await startWire({ services: {}, moto });
      behind = new RDSClient({
        region: standby.region,
        endpoint: past.access.endpoint ?? '',
        credentials,
        maxAttempts: 1,
      });
      for (const { region } of [primary, standby]) {
        await formation(region).send(
          new CreateStackCommand({ StackName: stackOf(region), TemplateBody: templateOf(region, moto) }),
        );
        await ended(region, 'CREATE_COMPLETE');
      }
    });

    afterEach(async () => {
      behind.destroy();
      await past.close();
      await front.close();
    });

    async function statusOf(region: string): Promise<{ status: string; reason: string }> {
      const { Stacks } = await formation(region).send(new DescribeStacksCommand({ StackName: stackOf(region) }));
      return { status: Stacks?.[0]?.StackStatus ?? '', reason: Stacks?.[0]?.StackStatusReason ?? '' };
    }

    async function ended(region: string, status: string): Promise<string> {
      // moto loads a service when it is asked for the first time, which takes its time on a busy machine.
      await until(async () => !(await statusOf(region)).status.endsWith('IN_PROGRESS'), 30_000);
      const { status: found, reason } = await statusOf(region);
      expect(found, reason).toBe(status);
      return reason;
    }

    const databaseIn = async (region: string, identifier: string): Promise<DBInstance | undefined> =>
      (await new RDSClient(options(region)).send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier })))
        .DBInstances?.[0];

    /** moto stops no replica, so this tells what it holds without a word of the front. */
    const isReplicaBehind = async (): Promise<boolean> => {
      try {
        await behind.send(new StopDBInstanceCommand({ DBInstanceIdentifier: replica }));
        return false;
      } catch (error) {
        expect(String(error)).toContain('InvalidDBClusterStateFault');
        return true;
      }
    };

    /** The update that the review prints: parameters only. */
    const promote = (given: Readonly<Record<string, string>>, disableRollback = true) =>
      formation(standby.region).send(
        new UpdateStackCommand({
          StackName: stackOf(standby.region),
          UsePreviousTemplate: true,
          DisableRollback: disableRollback,
          Parameters: [parameters.regionRole, parameters.dbPromotion].map((name) => {
            const value = given[name];
            return value === undefined
              ? { ParameterKey: name, UsePreviousValue: true }
              : { ParameterKey: name, ParameterValue: value };
          }),
        }),
      );

    const callsSince = (from: number): string[] =>
      front.rdsCalls.slice(from).map(({ action, region, database }) => `${action} ${region} ${database}`);

    test('RegionRole=primary makes the replica a database of its own, and calls nothing in another region', async () => {
      expect((await databaseIn(standby.region, replica))?.ReadReplicaSourceDBInstanceIdentifier).toBe(
        databaseArn(shipped, { ...primary, account: moto.account }),
      );
      const before = front.rdsCalls.length;

      await promote({ [parameters.regionRole]: 'primary' });
      await ended(standby.region, 'UPDATE_COMPLETE');

      expect(callsSince(before).filter((call) => !call.startsWith('Describe'))).toEqual([
        `PromoteReadReplica ${standby.region} ${replica}`,
        `ModifyDBInstance ${standby.region} ${replica}`,
      ]);
      const promoted = await databaseIn(standby.region, replica);
      expect(promoted).toMatchObject({
        DBInstanceStatus: 'available',
        BackupRetentionPeriod: shipped.tier.database.backupRetentionDays,
      });
      expect(promoted?.ReadReplicaSourceDBInstanceIdentifier).toBeUndefined();
      expect(await isReplicaBehind()).toBe(false);
    });

    test('an update that only says external leaves a database alone that the RDS API has promoted', async () => {
      await new RDSClient(options(standby.region)).send(
        new PromoteReadReplicaCommand({ DBInstanceIdentifier: replica }),
      );
      const before = front.rdsCalls.length;
      const update = promote({ [parameters.regionRole]: 'primary', [parameters.dbPromotion]: 'external' });
      await expect(update).rejects.toThrow('No updates are to be performed.');
      expect(callsSince(before)).toEqual([]);
      expect(await isReplicaBehind()).toBe(false);
    });

    test('promoting by both ways fails, and the database stays promoted', async () => {
      await new RDSClient(options(standby.region)).send(
        new PromoteReadReplicaCommand({ DBInstanceIdentifier: replica }),
      );
      await promote({ [parameters.regionRole]: 'primary' });
      expect(await ended(standby.region, 'UPDATE_FAILED')).toContain('is not a read replica');
      expect(await isReplicaBehind()).toBe(false);
    });

    test('there is no way back: standby after primary is refused, and the database stays what it is', async () => {
      await promote({ [parameters.regionRole]: 'primary' });
      await ended(standby.region, 'UPDATE_COMPLETE');
      await promote({ [parameters.regionRole]: 'standby' });
      expect(await ended(standby.region, 'UPDATE_FAILED')).toContain('Resource is immutable');
      expect(await isReplicaBehind()).toBe(false);
    });

    test('with rollback on, a failure after the promotion leaves a stack that cannot go back', async () => {
      front.failNext('ModifyDBInstance');
      await promote({ [parameters.regionRole]: 'primary' }, false);
      await ended(standby.region, 'UPDATE_ROLLBACK_FAILED');
      expect(await isReplicaBehind()).toBe(false);
    });

    test('with rollback off, a failure after the promotion leaves a stack that takes the next update', async () => {
      front.failNext('ModifyDBInstance');
      await promote({ [parameters.regionRole]: 'primary' });
      await ended(standby.region, 'UPDATE_FAILED');
      expect(await isReplicaBehind()).toBe(false);
    });

    test('a failure before the promotion changes nothing', async () => {
      front.failNext('PromoteReadReplica');
      await promote({ [parameters.regionRole]: 'primary' }, false);
      await ended(standby.region, 'UPDATE_ROLLBACK_COMPLETE');
      expect(await isReplicaBehind()).toBe(true);
    });

    test('it works while the source’s region is gone', async () => {
      front.loseRegion(primary.region);
      await promote({ [parameters.regionRole]: 'primary' });
      await ended(standby.region, 'UPDATE_COMPLETE');
      expect(await isReplicaBehind()).toBe(false);
    });

    test('the origin cannot be made a standby', async () => {
      const update = formation(primary.region).send(
        new UpdateStackCommand({
          StackName: stackOf(primary.region),
          UsePreviousTemplate: true,
          Parameters: [{ ParameterKey: parameters.regionRole, ParameterValue: 'standby' }],
        }),
      );
      await expect(update).rejects.toThrow("Parameter 'RegionRole' must be one of AllowedValues");
    });
  },
);

describe('CloudFormation, as the front has it,', () => {
  const database = (properties: Readonly<Record<string, unknown>>) => ({
    Db: { Type: 'AWS::RDS::DBInstance', Properties: { DBInstanceIdentifier: 'db', ...properties } },
  });
  const replicaOf = { SourceDBInstanceIdentifier: 'arn:source', SourceRegion: 'us-east-1', KmsKeyId: 'key' };
  const own = { SourceRegion: 'us-east-1', KmsKeyId: 'key' };

  test.each([
    ['promotes when the source goes', replicaOf, own, { is: 'promote', alsoChanged: [] }],
    [
      'promotes and tells what else changed',
      replicaOf,
      { ...own, MultiAZ: true },
      { is: 'promote', alsoChanged: ['MultiAZ'] },
    ],
    ['refuses a source that comes back', own, replicaOf, { is: 'refuse', because: 'Resource is immutable' }],
    ['refuses another source', replicaOf, { ...replicaOf, SourceDBInstanceIdentifier: 'arn:other' }, { is: 'refuse' }],
    [
      'refuses another key, which would be an empty database',
      replicaOf,
      { ...replicaOf, KmsKeyId: 'other' },
      { is: 'refuse' },
    ],
    ['refuses to let go of the source’s region', replicaOf, { KmsKeyId: 'key' }, { is: 'refuse' }],
    ['refuses an engine where the source gave it', own, { ...own, Engine: 'postgres' }, { is: 'refuse' }],
    ['modifies anything else', own, { ...own, MultiAZ: true }, { is: 'modify', changed: ['MultiAZ'] }],
  ])('%s', (_, before, after, expected) => {
    expect(changesBetween(database(before), database(after))).toEqual([expect.objectContaining(expected)]);
  });

  test('does nothing when nothing changed', () => {
    expect(changesBetween(database(replicaOf), database(replicaOf))).toEqual([]);
  });
});
