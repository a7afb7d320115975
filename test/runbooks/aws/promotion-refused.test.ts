/**
 * Promotions that AWS does not take at once, or not at all. The answers are written from the services' published models
 * (botocore, rds/2014-10-31 and cloudformation/2010-05-15, service-2.json).
 */
import { afterEach, describe, expect, it } from 'vitest';
import { AwsClients, clientToken } from '../../../runbooks/aws/clients.ts';
import { awsRegionDatabase, roleOf } from '../../../runbooks/aws/region-database.ts';
import { refusal, result, startWire, type Wire, type WireCall } from '../../support/aws/wire.ts';

const { signal } = new AbortController();
const region = 'us-west-2';
const identifier = 'acme-production-us-west-2-db-1';
const stack = 'acme-production-us-west-2-data';
let wire: Wire;
let clients: AwsClients;
let waits = 0;
afterEach(async () => {
  clients.destroy();
  await wire.close();
});

interface Aws {
  /** Of the replica, by looks; the last one stays. */
  readonly states: string[];
  /** The stack after the update that it gets: its status, and what it says of it. */
  update?: { readonly status: string; readonly reason: string };
  promoteByApi?: 'refused';
  isReplica?: boolean;
}

/** A replica with 14 days of backups, and its stack. */
async function replica(aws: Aws): Promise<ReturnType<typeof awsRegionDatabase>> {
  waits = 0;
  let stackStatus = { status: 'CREATE_COMPLETE', reason: '', at: '2026-01-01T00:00:00Z' };
  wire = await startWire({
    services: {
      rds: ({ action }) => {
        if (action === 'PromoteReadReplica') {
          if (aws.promoteByApi === 'refused') {
            return refusal('InvalidDBInstanceState', `${identifier} is not in a state to be promoted`);
          }
          aws.isReplica = false;
          return result(action, '<DBInstance/>');
        }
        const status = (aws.states.length > 1 ? aws.states.shift() : aws.states[0]) ?? '';
        const source = aws.isReplica === false ? '' : 'arn:aws:rds:us-east-1:222222222222:db:acme';
        return result(
          action,
          `<DBInstances><DBInstance><DBInstanceIdentifier>${identifier}</DBInstanceIdentifier><DBInstanceStatus>${status}</DBInstanceStatus><BackupRetentionPeriod>14</BackupRetentionPeriod><ReadReplicaSourceDBInstanceIdentifier>${source}</ReadReplicaSourceDBInstanceIdentifier></DBInstance></DBInstances>`,
        );
      },
      cloudformation: ({ action }) => {
        if (action === 'UpdateStack') {
          if (aws.update === undefined) aws.isReplica = false;
          stackStatus = {
            ...(aws.update ?? { status: 'UPDATE_COMPLETE', reason: '' }),
            at: new Date(Date.parse(stackStatus.at) + 60_000).toISOString(),
          };
          return result(action, '<StackId>id</StackId>');
        }
        const { status, reason, at } = stackStatus;
        return result(
          action,
          `<Stacks><member><StackName>${stack}</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime><LastUpdatedTime>${at}</LastUpdatedTime><StackStatus>${status}</StackStatus><StackStatusReason>${reason}</StackStatusReason><Parameters><member><ParameterKey>RegionRole</ParameterKey><ParameterValue>primary</ParameterValue></member><member><ParameterKey>DbPromotion</ParameterKey><ParameterValue>external</ParameterValue></member></Parameters></member></Stacks>`,
        );
      },
    },
  });
  clients = new AwsClients(wire.access);
  return awsRegionDatabase(clients, {
    region,
    identifier,
    stack,
    rows: {
      read: async () => ({ epoch: 1, writer: 'us-east-1', state: 'open' }),
      close: async () => undefined,
      raise: async () => undefined,
    },
    wait: async () => {
      waits++;
    },
  });
}

const asked = (action: string): readonly WireCall[] => wire.calls.filter((call) => call.action === action);

describe('a promotion', () => {
  it.each(['stack', 'rds'] as const)(
    'by %s waits for the daily backup of the replica before it is asked for',
    async (by) => {
      const database = await replica({ states: ['backing-up', 'backing-up', 'available'] });
      await database.promote('r-1/promote', signal, by);
      expect(waits).toBe(2);
      const actions = wire.calls.map(({ action }) => action);
      expect(actions.slice(0, 3)).toEqual(['DescribeDBInstances', 'DescribeDBInstances', 'DescribeDBInstances']);
      expect(asked(by === 'rds' ? 'PromoteReadReplica' : 'UpdateStack')).toHaveLength(1);
    },
  );

  it('by the API keeps as many days of backups as the replica has', async () => {
    const database = await replica({ states: ['available'] });
    await database.promote('r-1/promote', signal, 'rds');
    expect(asked('PromoteReadReplica').map(({ fields }) => fields.get('BackupRetentionPeriod'))).toEqual(['14']);
  });

  it('that the API refuses ends at once; what is no replica any more is not asked for', async () => {
    const refused = await replica({ states: ['available'], promoteByApi: 'refused' });
    await expect(refused.promote('r-1/promote', signal, 'rds')).rejects.toThrow('not in a state to be promoted');
    clients.destroy();
    await wire.close();
    const promoted = await replica({ states: ['available'], isReplica: false });
    await promoted.promote('r-1/promote', signal, 'rds');
    await promoted.promote('r-1/promote', signal, 'stack');
    expect([...asked('PromoteReadReplica'), ...asked('UpdateStack')]).toEqual([]);
  });

  it('whose stack fails ends at once with its reason and the other way, and is asked for anew by a resumed run', async () => {
    const database = await replica({
      states: ['available'],
      update: { status: 'UPDATE_FAILED', reason: 'The following resource(s) failed to update: [Database1].' },
    });
    for (let run = 1; run <= 2; run++) {
      await expect(database.promote('r-1/promote', signal)).rejects.toThrow(
        `${identifier} is a replica still (${stack} is UPDATE_FAILED: The following resource(s) failed to update: [Database1].): promote with promoteWith=rds`,
      );
    }
    // Under the token of an update that failed CloudFormation does nothing any more.
    expect(new Set(asked('UpdateStack').map(({ fields }) => fields.get('ClientRequestToken'))).size).toBe(2);
  });

  it('that the stack takes for done already ends at once, and says why', async () => {
    const database = await replica({ states: ['available'], update: { status: 'UPDATE_COMPLETE', reason: '' } });
    await expect(database.promote('r-1/promote', signal)).rejects.toThrow('RegionRole=primary, DbPromotion=external');
  });

  it('does not wait for a replica whose state no patience ends: a look says which it is', async () => {
    const database = await replica({ states: ['storage-full'] });
    await expect(database.view(signal)).rejects.toThrow(`${identifier} is storage-full`);
  });
});

it('a replica whose storage is being optimized serves, and can be promoted', () => {
  expect(roleOf({ DBInstanceStatus: 'storage-optimization', ReadReplicaSourceDBInstanceIdentifier: 'arn' })).toBe(
    'replica',
  );
});

it('tokens of one step differ where their ends do, however long their beginning is', () => {
  const tokens = ['network', 'storage'].map((kind) =>
    clientToken(`r-20261121-160000-ab12/foundation/holdfast-production-ap-southeast-2-${kind}`),
  );
  expect(new Set(tokens).size).toBe(2);
  for (const token of tokens) expect(token).toMatch(/^[a-zA-Z][-a-zA-Z0-9]{0,63}$/);
});
