/**
 * A Global Datastore of ElastiCache, asked in the region that is to lead: its control plane is the one that is there. A part
 * that is promoted takes the old leader's place, which follows when it comes back.
 */
import {
  DescribeGlobalReplicationGroupsCommand,
  DescribeReplicationGroupsCommand,
  DisassociateGlobalReplicationGroupCommand,
  FailoverGlobalReplicationGroupCommand,
  type GlobalReplicationGroup,
} from '@aws-sdk/client-elasticache';
import type { GlobalCache, GlobalCacheView } from '../books/region-world.ts';
import { type AwsClients, isNamed } from './clients.ts';

/** @param cache name of the replication group, the same in every region */
export function awsGlobalCache(clients: AwsClients, cache: string): GlobalCache {
  const datastore = async (region: string, abortSignal: AbortSignal): Promise<GlobalReplicationGroup | undefined> => {
    const client = clients.elastiCache(region);
    const { ReplicationGroups: [group] = [] } = await client.send(
      new DescribeReplicationGroupsCommand({ ReplicationGroupId: cache }),
      { abortSignal },
    );
    const { GlobalReplicationGroupId: id } = group?.GlobalReplicationGroupInfo ?? {};
    if (id === undefined) return undefined;
    const { GlobalReplicationGroups: [found] = [] } = await client.send(
      new DescribeGlobalReplicationGroupsCommand({ GlobalReplicationGroupId: id, ShowMemberInfo: true }),
      { abortSignal },
    );
    return found;
  };
  /** @throws when the service refuses and nothing is on its way. */
  const unlessMoving = async (region: string, signal: AbortSignal, send: () => Promise<unknown>): Promise<void> => {
    try {
      await send();
    } catch (error) {
      if (!isNamed(error, 'InvalidGlobalReplicationGroupStateFault', 'InvalidGlobalReplicationGroupState')) throw error;
      const now = viewOf(region, await datastore(region, signal));
      if (now.is === 'follows') throw error;
    }
  };
  const known = async (region: string, signal: AbortSignal): Promise<string> => {
    const id = (await datastore(region, signal))?.GlobalReplicationGroupId;
    if (id === undefined) throw new Error(`the cache of ${region} belongs to no Global Datastore`);
    return id;
  };
  return {
    view: async (region, signal) => viewOf(region, await datastore(region, signal)),
    promote: async (region, signal) => {
      const command = new FailoverGlobalReplicationGroupCommand({
        GlobalReplicationGroupId: await known(region, signal),
        // Those that lead afterwards.
        PrimaryRegion: region,
        PrimaryReplicationGroupId: cache,
      });
      await unlessMoving(region, signal, () => clients.elastiCache(region).send(command, { abortSignal: signal }));
    },
    detach: async (region, signal) => {
      const command = new DisassociateGlobalReplicationGroupCommand({
        GlobalReplicationGroupId: await known(region, signal),
        ReplicationGroupRegion: region,
        ReplicationGroupId: cache,
      });
      await unlessMoving(region, signal, () => clients.elastiCache(region).send(command, { abortSignal: signal }));
    },
  };
}

/** Pure. A part whose state is unknown is promoted all the same: what else is there to do when its leader is gone. */
function viewOf(region: string, datastore: GlobalReplicationGroup | undefined): GlobalCacheView {
  const { Status: status = 'unknown', Members: members = [] } = datastore ?? {};
  const own = members.find(({ ReplicationGroupRegion: place }) => place === region);
  if (datastore === undefined || own === undefined) return { is: 'alone', note: 'it belongs to no Global Datastore' };
  const leader = members.find(({ Role: role }) => role?.toUpperCase() === 'PRIMARY')?.ReplicationGroupRegion;
  const note = `the datastore is ${status}, ${leader ?? 'nobody'} leads`;
  if (status === 'modifying' || own.Status?.endsWith('ing') === true) return { is: 'moving', note };
  return { is: leader === region ? 'leads' : 'follows', note };
}
