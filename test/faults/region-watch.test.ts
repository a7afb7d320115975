/**
 * The pod that asks whether its region could take over: command line, variables, files and rights as the manifests and stacks
 * give them, over two real gateways, the Kubernetes API over HTTPS, and AWS's protocols (moto, and what moto lacks).
 */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { podGrants } from '../../lib/constructs/pod-grants.ts';
import { gatewayImage, kubernetes } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { Policy } from '../../runbooks/aws/policy.ts';
import { thisCheckout } from '../../runbooks/lab/gateway-process.ts';
import { at, find, listAt, objectsOf } from '../k8s/manifests.ts';
import { spec } from '../lib/specs.ts';
import { refusedCalls, unusedRights } from '../support/aws/allowed.ts';
import { freshMoto, motoIsInstalled } from '../support/aws/moto.ts';
import { ownCalls } from '../support/aws/wire.ts';
import { until } from '../support/processes.ts';
import { east, startWatch, watchedAws, watchedCluster, watchedGateways, west } from './watched-region.ts';

const available = await motoIsInstalled();
const digest = (sign: string): string => `sha256:${sign.repeat(64)}`;
const patienceMs = 60_000;

/** Without `certificate`: the gateways of the test speak no TLS. */
const allChecks = [
  'answers',
  'version',
  'schema',
  'config',
  'database',
  'lag',
  'candidate',
  'capacity',
  'secrets',
  'backups',
  'image',
  'quotas',
];

describe.skipIf(process.env['CI'] === undefined && !available)(
  'the watch of a region, as its pod runs it (skipped where .cache/python has no moto, never in CI)',
  { timeout: 240_000 },
  () => {
    it('tells Prometheus, CloudWatch and its log whether its region could take over, with no other rights than its own', async () => {
      const moto = await freshMoto();
      const platform = definePlatform(
        spec({ account: moto.account, imageDigest: digest('a'), cluster: { secretStore: 'aws' } }),
      );
      const objects = objectsOf(platform, west);
      const aws = await watchedAws(platform, moto);
      const candidates = platform.standbys.map(({ region }) => region);
      await aws.claim({ epoch: 1, writer: east, candidates });
      const role = find(objects, 'Role', kubernetes.regionWatch);
      const cluster = await watchedCluster(listAt(role, 'rules.0.resources'));
      const [, standby = platform.primary] = platform.regions;
      cluster.shows({ image: gatewayImage(platform, standby), ready: standby.gatewayReplicas });
      const gateways = await watchedGateways(platform, aws.wire);
      const watch = await startWatch(
        objects,
        { ...cluster.environment, AWS_ENDPOINT_URL: aws.wire.access.endpoint ?? '' },
        [east, west].map((region) => `${region}=${gateways[region].url}`),
      );

      // Both regions have to learn of their schema and configuration first.
      await until(async () => {
        const found = [...(await watch.checks(west)).values()];
        return found.length > 0 && found.every((value) => value === 1);
      }, patienceMs);
      expect([...(await watch.checks(west)).keys()]).toEqual(allChecks);
      expect((await watch.lines()).at(-1)).toMatchObject({
        level: 'info',
        is: 'ready',
        msg: `${west} could take over`,
      });
      expect(aws.put.at(-1)).toEqual({ region: west, value: 1 });
      expect((await watch.read('/health')).status).toBe(200);
      expect(await watch.lookedAt(west)).toBeGreaterThan(Date.now() / 1000 - 60);
      const policy: Policy = {
        Version: '2012-10-17',
        Statement: (podGrants(platform, standby)[kubernetes.regionWatch] ?? []).map(
          ({ actions, resources }, index) => ({
            Sid: `Grant${index}`,
            Effect: 'Allow',
            Action: actions,
            Resource: resources,
          }),
        ),
      };
      expect(refusedCalls(policy, ownCalls(aws.wire), platform.primary.account)).toEqual([]);
      // Asked only where RDS names no moment for the database itself.
      expect(unusedRights(policy, ownCalls(aws.wire))).toEqual(['rds:DescribeDBInstanceAutomatedBackups']);

      cluster.shows({ image: `registry.example/gateway@${digest('b')}`, ready: 1 });
      const before = (await watch.lines()).length;
      await until(async () => (await watch.checks(west)).get('image') === 0, patienceMs);
      const failed = [...(await watch.checks(west))].filter(([, value]) => value === 0);
      expect(failed.map(([check]) => check)).toEqual(['capacity', 'image']);
      await until(() => aws.put.at(-1)?.value === 0, patienceMs);
      const said = (await watch.lines()).slice(before);
      expect(said).toHaveLength(1);
      expect(said).toMatchObject([
        { level: 'warn', is: 'not-ready', msg: `${west} could not take over: capacity, image` },
      ]);
      expect(listAt(said[0], 'doubts').map((doubt) => at(doubt, 'note'))).toEqual([
        '1 of 2 pods are ready',
        expect.stringContaining(`${digest('b')}, ${east} runs`),
      ]);

      await aws.claim({ epoch: 2, writer: west, candidates: [] });
      await until(async () => (await watch.checks(west)).size === 0, patienceMs);
      expect(await watch.lookedAt(west)).toBeGreaterThan(Date.now() / 1000 - 60);
      expect((await watch.lines()).at(-1)).toMatchObject({ level: 'info', is: 'writes' });
      await until(() => aws.put.at(-1)?.value === 1, patienceMs);
      expect(await watch.stop()).toEqual({ code: 0, signal: null });
    });
  },
);

const asNobody = ['--user', '--map-user=54321', '--map-group=54321', '--'];
const canBeNobody = spawnSync('unshare', [...asNobody, 'true']).status === 0;

it.skipIf(process.env['CI'] === undefined && !canBeNobody)('needs no name for the user that its pod runs as', () => {
  const command = [process.execPath, 'bin/holdfast.ts', 'region', 'topology'];
  const { status, stdout } = spawnSync('unshare', [...asNobody, ...command], { cwd: thisCheckout, encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, expect.stringContaining('us-west-2     standby')]);
});
