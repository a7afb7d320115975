/**
 * The cache over all regions moves along with the writer, over the wire. moto has no Global Datastore: requests, answers and
 * the names of errors are those of ElastiCache's published model (botocore, elasticache/2015-02-02); its states are those of
 * the user guide.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { awsGlobalCache } from '../../../runbooks/aws/global-cache.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { withDefaults } from '../../../runbooks/books/registry.ts';
import { type CacheMove, cacheSteps } from '../../../runbooks/books/steps/global-cache.ts';
import { run } from '../../../runbooks/engine/run.ts';
import type { Runbook } from '../../../runbooks/engine/step.ts';
import { specOf } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { AwsRefusal } from '../../support/aws/query-protocol.ts';
import { result, startWire, type Wire, type WireCall, type WireReply } from '../../support/aws/wire.ts';
import { TwoRegions } from '../books/two-regions.ts';
import { optionsFor } from '../engine/world.ts';

const [east, west] = ['us-east-1', 'us-west-2'] as const;
const platform = definePlatform({ ...specOf('high', 'active-passive', 2), globalCache: true });
const datastore = 'ldgnf-acme-production';
const cache = 'acme-production-cache';

/** Looks until a change that was asked for has happened. */
const changeLooks = 3;

class Datastore {
  leader: string = east;
  status = 'available';
  members: readonly string[] = [east, west];
  #after: (() => void) | undefined;
  #looks = 0;

  answer({ action, region, fields }: WireCall): WireReply {
    if (this.#after !== undefined && this.#looks-- <= 0) {
      this.#after();
      this.#after = undefined;
      this.status = 'available';
    }
    switch (action) {
      case 'DescribeReplicationGroups':
        return result(
          action,
          `<ReplicationGroups><ReplicationGroup><ReplicationGroupId>${cache}</ReplicationGroupId><Status>available</Status>${
            this.members.includes(region)
              ? `<GlobalReplicationGroupInfo><GlobalReplicationGroupId>${datastore}</GlobalReplicationGroupId></GlobalReplicationGroupInfo>`
              : ''
          }</ReplicationGroup></ReplicationGroups>`,
        );
      case 'DescribeGlobalReplicationGroups':
        return result(action, `<GlobalReplicationGroups>${this.#xml()}</GlobalReplicationGroups>`);
      case 'FailoverGlobalReplicationGroup': {
        this.#begin();
        const next = fields.get('PrimaryRegion') ?? '';
        expect(fields.get('PrimaryReplicationGroupId')).toBe(cache);
        this.#after = () => {
          this.leader = next;
        };
        return result(action, this.#xml());
      }
      case 'DisassociateGlobalReplicationGroup': {
        // A lost leader does not hinder it.
        const gone = fields.get('ReplicationGroupRegion');
        this.members = this.members.filter((name) => name !== gone);
        return result(action, this.#xml());
      }
      default:
        throw new AwsRefusal('InvalidAction', action);
    }
  }

  #begin(): void {
    if (this.status !== 'available') {
      throw new AwsRefusal('InvalidGlobalReplicationGroupState', `The Global datastore is ${this.status}`);
    }
    this.status = 'modifying';
    this.#looks = changeLooks;
  }

  #xml(): string {
    const members = this.members.map(
      (region) =>
        `<GlobalReplicationGroupMember><ReplicationGroupId>${cache}</ReplicationGroupId><ReplicationGroupRegion>${region}</ReplicationGroupRegion><Role>${region === this.leader ? 'PRIMARY' : 'SECONDARY'}</Role><Status>associated</Status></GlobalReplicationGroupMember>`,
    );
    return `<GlobalReplicationGroup><GlobalReplicationGroupId>${datastore}</GlobalReplicationGroupId><Status>${this.status}</Status><Members>${members.join('')}</Members></GlobalReplicationGroup>`;
  }
}

let service: Datastore;
let wire: Wire;
let clients: AwsClients;

beforeEach(async () => {
  service = new Datastore();
  wire = await startWire({ services: { elasticache: (call) => service.answer(call) } });
  clients = new AwsClients(wire.access);
});
afterEach(async () => {
  clients.destroy();
  await wire.close();
});

/** The step alone, as the books have it. */
const book = (target: string, move: CacheMove): Runbook<RegionWorld> => ({
  id: 'cache-alone',
  title: 'The cache moves',
  useWhen: ['a test'],
  doNotUseWhen: ['never'],
  lookFirst: [{ command: 'look', expect: 'a cache' }],
  takes: 'no time',
  harms: 'nobody',
  afterwards: [],
  steps: cacheSteps(target, move),
});

const move = (target: string, how: CacheMove) => {
  const world: RegionWorld = Object.assign(new TwoRegions(), { globalCache: awsGlobalCache(clients, cache) });
  return run(optionsFor<RegionWorld>(book(target, how), world));
};

const callsOf = (action: string): readonly WireCall[] => wire.calls.filter((call) => call.action === action);

describe('the cache over all regions', () => {
  it('is led by the new writer’s region when the book is done: promoted there, once, and looked at until it leads', async () => {
    expect(await move(west, 'promote')).toMatchObject({ is: 'completed' });
    expect(service.leader).toBe(west);
    expect(callsOf('FailoverGlobalReplicationGroup').map(({ region }) => region)).toEqual([west]);
    // By then only the target's control plane may be there.
    expect(new Set(wire.calls.map(({ region }) => region))).toEqual(new Set([west]));
    await move(west, 'promote');
    expect(callsOf('FailoverGlobalReplicationGroup')).toHaveLength(1);
  });

  it('goes back with a failback, by the same step', async () => {
    service.leader = west;
    expect(await move(east, 'promote')).toMatchObject({ is: 'completed' });
    expect(service.leader).toBe(east);
  });

  it('is not asked for twice while a change is on its way', async () => {
    service.status = 'modifying';
    const promoted = awsGlobalCache(clients, cache).promote(west, new AbortController().signal);
    await expect(promoted).resolves.toBeUndefined();
    expect(service.leader).toBe(east);
  });

  it('which AWS refuses to promote fails the step with AWS’s words, and can be cut off instead', async () => {
    service.status = 'primary-only';
    expect(await move(west, 'promote')).toMatchObject({
      is: 'partial',
      because: expect.stringContaining('The Global datastore is primary-only'),
    });
    expect(await move(west, 'detach')).toMatchObject({ is: 'completed' });
    expect(service.members).toEqual([east]);
  });

  it.each([
    ['region-failover', west, 'promote'],
    ['region-failover', west, 'detach'],
    ['region-switchover', west, 'promote'],
    ['region-failback', east, 'promote'],
  ] as const)('%s has the rights to %s: %s, and no others', async (id, target, how) => {
    if (id === 'region-failback') service.leader = west;
    await move(target, how);
    const policy = policyOf(id, platform, { claims: [], takeovers: [], journals: [] });
    expect(refusedCalls(policy, wire.calls, platform.account)).toEqual([]);
    const without = policyOf(id, { ...platform, globalCache: false }, { claims: [], takeovers: [], journals: [] });
    expect(JSON.stringify(without)).not.toContain('elasticache:');
  });
});

it('a book of a platform with such a cache has the step, and of another has not', () => {
  expect(withDefaults('region-failover', {}, platform)).toMatchObject({ cache: 'promote' });
  expect(withDefaults('region-failback', {}, platform)).toMatchObject({ cache: 'promote', target: east, former: west });
  expect(withDefaults('region-failover', {}, { ...platform, globalCache: false })).not.toHaveProperty('cache');
  expect(cacheSteps(west)).toEqual([]);
});
