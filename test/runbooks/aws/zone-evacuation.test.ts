/**
 * zone-evacuation over the wire. moto has no zonal shift and no failover of a zone: answers are written from the services'
 * published models (botocore: arc-zonal-shift/2022-10-30, elasticache/2015-02-02, rds/2014-10-31, ec2/2016-11-15,
 * elasticloadbalancingv2/2015-12-01; service-2.json).
 */
import { afterEach, describe, expect, it } from 'vitest';
import {
  cacheName,
  clusterArn,
  databaseIdentifier,
  entranceName,
  loadBalancerName,
} from '../../../lib/platform/names.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { awsZones } from '../../../runbooks/aws/zones.ts';
import { zoneEvacuation } from '../../../runbooks/books/zone-evacuation.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls, unusedRights } from '../../support/aws/allowed.ts';
import { FakeCluster } from '../../support/aws/cluster.ts';
import { refusal, result, startWire, type Wire, type WireAnswer, type WireCall } from '../../support/aws/wire.ts';
import { endsAlike } from '../books/crashes.ts';
import { optionsFor } from '../engine/world.ts';

const region = 'us-east-1';
const zone = 'us-east-1a';
const ill = 'use1-az4';
const everyAct = ['shift balancer', 'shift balancer', 'shift cluster', 'reboot', 'failover'];
const platform = definePlatform(spec());
const { account, primary } = platform;
const balancer = (name: string): string =>
  `arn:aws:elasticloadbalancing:${region}:${account}:loadbalancer/${name.endsWith('-nlb') ? 'net' : 'app'}/${name}/0123456789abcdef`;

/** What stands in the region, and where. */
class ZonalAws {
  readonly acts: string[] = [];
  readonly shifts = new Map<string, { id: string; awayFrom: string; expiresIn: string }>();
  /** AWS's own shift: it shows in the weights alone. */
  autoshifted = false;
  conflict: string | undefined;
  isMultiAz = true;
  database = 'us-east-1a';
  cache = 'us-east-1a';
  #looks = { database: 0, cache: 0 };

  readonly services = {
    ec2: (): WireAnswer =>
      result(
        'DescribeAvailabilityZones',
        `<availabilityZoneInfo><item><zoneName>${zone}</zoneName><zoneId>${ill}</zoneId></item></availabilityZoneInfo>`,
      ),
    elasticloadbalancing: ({ fields }: WireCall): WireAnswer =>
      result(
        'DescribeLoadBalancers',
        ['1', '2']
          .map((place) => balancer(fields.get(`Names.member.${place}`) ?? ''))
          .map((arn) => `<member><LoadBalancerArn>${arn}</LoadBalancerArn></member>`)
          .join(''),
      ),
    'arc-zonal-shift': (call: WireCall): WireAnswer => this.#shift(call),
    rds: ({ action }: WireCall): WireAnswer => {
      if (action === 'RebootDBInstance') {
        this.acts.push('reboot');
        this.#looks.database = 2;
      } else if (this.#looks.database > 0 && --this.#looks.database === 0) this.database = 'us-east-1b';
      const status = this.#looks.database > 0 ? 'rebooting' : 'available';
      const instance = `<AvailabilityZone>${this.database}</AvailabilityZone><DBInstanceStatus>${status}</DBInstanceStatus><MultiAZ>${this.isMultiAz}</MultiAZ>`;
      return result(
        action,
        action === 'RebootDBInstance'
          ? `<DBInstance>${instance}</DBInstance>`
          : `<DBInstances><DBInstance>${instance}</DBInstance></DBInstances>`,
      );
    },
    elasticache: ({ action }: WireCall): WireAnswer => {
      if (action === 'TestFailover') {
        this.acts.push('failover');
        this.#looks.cache = 2;
      } else if (this.#looks.cache > 0 && --this.#looks.cache === 0) this.cache = 'us-east-1c';
      const status = this.#looks.cache > 0 ? 'modifying' : 'available';
      const member = (role: string, where: string): string =>
        `<NodeGroupMember><CurrentRole>${role}</CurrentRole><PreferredAvailabilityZone>${where}</PreferredAvailabilityZone></NodeGroupMember>`;
      const group = `<Status>${status}</Status><NodeGroups><NodeGroup><NodeGroupId>0001</NodeGroupId><NodeGroupMembers>${member('replica', 'us-east-1b')}${member('primary', this.cache)}</NodeGroupMembers></NodeGroup></NodeGroups>`;
      return result(
        action,
        action === 'TestFailover'
          ? `<ReplicationGroup>${group}</ReplicationGroup>`
          : `<ReplicationGroups><ReplicationGroup>${group}</ReplicationGroup></ReplicationGroups>`,
      );
    },
  };

  standing(cluster: readonly string[]): object {
    const { acts, shifts, database, cache } = this;
    return { acts, shifts: [...shifts], database, cache, cluster };
  }

  #shift({ action, path, query, body }: WireCall): WireAnswer {
    if (action === 'GetManagedResource') {
      const arn = decodeURIComponent(path.split('/')[2] ?? '');
      const isAway = this.autoshifted || this.shifts.get(arn)?.awayFrom === ill;
      return { json: { arn, appliedWeights: { [ill]: isAway ? 0 : 1, 'use1-az6': 1 }, zonalShifts: [] } };
    }
    if (action === 'StartZonalShift') {
      const asked: { resourceIdentifier: string; awayFrom: string; expiresIn: string } = JSON.parse(body);
      const { resourceIdentifier: arn, ...more } = asked;
      if (this.conflict !== undefined) {
        return { json: { message: 'two shifts', reason: this.conflict, __type: 'ConflictException' }, status: 409 };
      }
      this.acts.push(arn.includes('loadbalancer') ? 'shift balancer' : 'shift cluster');
      this.shifts.set(arn, { id: `s-${this.shifts.size}`, ...more });
      return { json: {}, status: 201 };
    }
    if (action === 'CancelZonalShift') {
      for (const [arn, { id }] of this.shifts) if (path.endsWith(id)) this.shifts.delete(arn);
      return { json: {} };
    }
    const shift = this.shifts.get(query.get('resourceIdentifier') ?? '');
    return {
      json: {
        items:
          shift === undefined ? [] : [{ zonalShiftId: shift.id, awayFrom: shift.awayFrom, shiftType: 'ZONAL_SHIFT' }],
      },
    };
  }
}

describe('zone-evacuation in AWS', () => {
  let wire: Wire;
  let clients: AwsClients;
  afterEach(async () => {
    clients.destroy();
    await wire.close();
  });

  async function worldOf(aws: ZonalAws) {
    wire = await startWire({ services: aws.services });
    clients = new AwsClients(wire.access);
    return { aws, ...around(aws) };
  }

  function around(aws: ZonalAws) {
    const cluster = new FakeCluster(['us-east-1a', 'us-east-1b', 'us-east-1c']);
    cluster.add('StatefulSet', 'gateway', 'image', 4);
    const zones = awsZones(clients, {
      kubectl: cluster.kubectl,
      autoscaler: 'hpa',
      needed: () => ({ gateway: 4 }),
      zonesIn: () => 3,
      clusterArn: () => clusterArn(platform, primary),
      loadBalancers: () => [loadBalancerName(platform, region), entranceName(platform, region)],
      databaseIn: () => databaseIdentifier(platform, primary),
      cache: cacheName(platform),
    });
    return { cluster, world: { zones, verify: async () => [] }, state: () => aws.standing(cluster.acts) };
  }

  const book = zoneEvacuation({ region, zone, shiftMinutes: 180 });
  const confirm = async (_: unknown, expected: string): Promise<string> => expected;

  it('makes room elsewhere, shifts both load balancers and the cluster by the zone id, and moves both writers', async () => {
    const { aws, cluster, world } = await worldOf(new ZonalAws());
    expect(await run(optionsFor(book, world, { confirm }))).toEqual({ is: 'completed' });
    expect(aws.acts).toEqual(everyAct);
    expect([...aws.shifts.values()].map(({ awayFrom, expiresIn }) => `${awayFrom} ${expiresIn}`)).toEqual(
      Array(3).fill(`${ill} 180m`),
    );
    // Four pods outside of one of three zones are six in all.
    expect(cluster.workloads.get('gateway')?.pods).toHaveLength(6);
  });

  it('taken back gives the zone its traffic again, and ends no shift of AWS itself', async () => {
    const { aws, world } = await worldOf(new ZonalAws());
    const journal = new MemoryJournal();
    await run(optionsFor(book, world, { confirm, journal }));
    expect(await undo(optionsFor(book, world, { confirm, journal }))).toMatchObject({ undone: ['shift'] });
    expect(aws.shifts.size).toBe(0);
    const policy = policyOf('zone-evacuation', platform, { claims: [], takeovers: [], journals: ['journals'] });
    expect(refusedCalls(policy, wire.calls, account)).toEqual([]);
    expect(unusedRights(policy, wire.calls)).toEqual(['s3:GetObject', 's3:PutObject', 's3:ListBucket']);
  });

  it('finds a shift of AWS itself done', async () => {
    const aws = new ZonalAws();
    aws.autoshifted = true;
    const { world } = await worldOf(aws);
    expect(await run(optionsFor(book, world, { confirm }))).toEqual({ is: 'completed' });
    expect(aws.acts).toEqual(['reboot', 'failover']);
  });

  it('stops at a shift of another zone, and at a database that has no second zone, with the reason', async () => {
    const practising = new ZonalAws();
    practising.conflict = 'SimultaneousZonalShiftsConflict';
    const first = await worldOf(practising);
    expect(await run(optionsFor(book, first.world, { confirm }))).toMatchObject({
      is: 'partial',
      step: 'shift',
      because: expect.stringContaining('two shifts'),
    });
    clients.destroy();
    await wire.close();
    const single = new ZonalAws();
    single.isMultiAz = false;
    const { world } = await worldOf(single);
    expect(await run(optionsFor(book, world, { confirm }))).toMatchObject({
      is: 'partial',
      step: 'database',
      because: expect.stringContaining('no second zone'),
    });
  });

  it('tells what AWS refuses, by its code and with its words, after one try', async () => {
    const aws = new ZonalAws();
    const denied = (): WireAnswer => refusal('UnauthorizedOperation', 'You are not authorized', 403);
    wire = await startWire({ services: { ...aws.services, ec2: denied } });
    clients = new AwsClients(wire.access);
    const { world } = around(aws);
    await expect(world.zones.isShifted(region, zone, new AbortController().signal)).rejects.toThrow(
      'UnauthorizedOperation: You are not authorized',
    );
    expect(wire.calls).toHaveLength(1);
  });

  it('waits throttling out in calls that are signed here', async () => {
    const { world } = await worldOf(new ZonalAws());
    wire.throttle(2);
    expect(await run(optionsFor(book, world, { confirm }))).toEqual({ is: 'completed' });
  });

  it('killed at any write of its journal and resumed, it ends alike, and has rebooted and shifted once', async () => {
    const { state: expected } = await endsAlike(book, async () => {
      if (wire !== undefined) {
        clients.destroy();
        await wire.close();
      }
      return worldOf(new ZonalAws());
    });
    expect(expected).toMatchObject({ acts: everyAct });
  });
});
