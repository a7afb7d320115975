/** region-switchover over the wire: claim and journal in S3, the lag by CloudWatch, the promotion by the data stack. */
import { PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseIdentifier, parameters, stackName } from '../../../lib/platform/names.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { describe as describeStack, parameterOf } from '../../../runbooks/aws/stacks.ts';
import { regionSwitchover } from '../../../runbooks/books/region-switchover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import type { Journal } from '../../../runbooks/engine/journal.ts';
import { type RunOptions, run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls, unusedRights } from '../../support/aws/allowed.ts';
import { motoIsInstalled } from '../../support/aws/moto.ts';
import { type Standing, standingPlatform } from '../../support/aws/standing.ts';
import { ownCalls } from '../../support/aws/wire.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { Crash, optionsFor, realClock } from '../engine/world.ts';

const available = await motoIsInstalled();
const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;
const book = regionSwitchover({ target: west, former: east, maxLagSeconds: 5 });

describe.skipIf(process.env['CI'] === undefined && !available)(
  'region-switchover over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 90_000 },
  () => {
    let standing: Standing;
    // A replica shows what its source has: both regions are one database here.
    let database: TestDatabase;
    let world: RegionWorld;
    beforeAll(async () => {
      standing = await standingPlatform(spec(), [east, west], { promotionMs: 100 });
      database = await migratedDatabase();
      await query(database.url, `UPDATE region_epoch SET writer_region = '${east}'`);
      world = {
        ...standing.world({ databaseUrl: () => database.url }),
        capacity: { read: async () => ({ ready: 3, needed: 3 }), raise: async () => undefined },
        verify: async () => [],
        wait: async () => undefined,
      };
    }, 90_000);
    afterAll(async () => {
      await standing.close();
      await database.drop();
    });

    const options = (runId: string, more: Partial<RunOptions<RegionWorld>> = {}): RunOptions<RegionWorld> =>
      optionsFor(book, world, {
        runId,
        journal: standing.journal(west, runId),
        confirm: async (_, expected) => expected,
        clock: realClock,
        pollSeconds: 0.05,
        ...more,
      });
    /** As CloudWatch has it of a minute. */
    const lagged = (seconds: number, secondsAgo: number) => {
      const { platform } = standing;
      const replica = platform.standbys.find(({ region }) => region === west) ?? platform.primary;
      return standing.clients.cloudWatch(west).send(
        new PutMetricDataCommand({
          Namespace: 'AWS/RDS',
          MetricData: [
            {
              MetricName: 'ReplicaLag',
              Dimensions: [{ Name: 'DBInstanceIdentifier', Value: databaseIdentifier(platform, replica) }],
              Value: seconds,
              Timestamp: new Date(Date.now() - secondsAgo * 1000),
            },
          ],
        }),
      );
    };
    const state = async () => ({
      claim: (await world.claims.read(signal)).agreed,
      row: (await query(database.url, 'SELECT epoch::int, writer_region AS writer, state FROM region_epoch'))[0],
      takeover: await world.traffic.takeover(west, signal),
      promotions: standing.front.rdsCalls.filter(({ action }) => action === 'PromoteReadReplica').length,
    });

    it('refuses, without a change, when CloudWatch reports no lag or too much of it', async () => {
      const before = await state();
      const lag = (text: string) => ({ is: 'refused', step: 'lag', because: expect.stringContaining(text) });
      expect(await run(options('r-silent'))).toMatchObject(lag('lags by an unknown number'));
      await lagged(60, 150);
      expect(await run(options('r-late'))).toMatchObject(lag('lags by 60 s'));
      expect(await state()).toEqual(before);
    });

    it('taken back before the promotion, it leaves the former writer writing, in an epoch of its own', async () => {
      await lagged(1, 2);
      const hesitant = options('r-back', {
        confirm: async ({ id }, expected) => (id === 'promote' ? 'no' : expected),
      });
      expect(await run(hesitant)).toMatchObject({ is: 'partial', step: 'promote' });
      expect(await state()).toMatchObject({
        claim: { epoch: 2, writer: west, phase: 'seized' },
        row: { epoch: 1, writer: east, state: 'closed' },
      });
      expect(await undo(options('r-back'))).toEqual({ is: 'completed', undone: ['seize', 'close'] });
      expect(await state()).toMatchObject({
        claim: { epoch: 3, writer: east, phase: 'held', candidates: expect.arrayContaining([west]) },
        row: { epoch: 3, writer: east, state: 'open' },
        takeover: undefined,
        promotions: 0,
      });
    });

    it('moves the writer without loss, though its operator is killed right after asking the stack, and asks once', async () => {
      await lagged(1, 2);
      const journal = standing.journal(west, 'r-move');
      const dying: Journal = {
        read: () => journal.read(),
        append: async (position, event) => {
          if (event.is === 'acted' && event.step === 'promote') throw new Crash();
          await journal.append(position, event);
        },
      };
      await expect(run(options('r-move', { journal: dying }))).rejects.toThrow(Crash);
      expect(await run(options('r-move', { operator: 'bob' }))).toEqual({ is: 'completed' });
      expect(await state()).toMatchObject({
        claim: { epoch: 4, writer: west, phase: 'held', candidates: [] },
        row: { epoch: 4, writer: west, state: 'open' },
        takeover: 'r-move',
        promotions: 1,
      });
      expect(await journal.read()).toContainEqual(
        expect.objectContaining({ step: 'replayed', facts: { dataLossSeconds: 0, lostWrites: 0 } }),
      );
      const { platform, clients, buckets, front } = standing;
      const stack = await describeStack(clients.cloudFormation(west), stackName(platform, west, 'data'), signal);
      expect(parameterOf(stack, parameters.regionRole)).toBe('primary');
      // What cannot be taken back stays, and clients go where they went before.
      expect(await undo(options('r-move'))).toMatchObject({ is: 'partial', step: 'open' });
      expect(await world.traffic.takeover(west, signal)).toBeUndefined();
      const policy = policyOf('region-switchover', platform, buckets);
      expect(refusedCalls(policy, ownCalls(front), platform.account)).toEqual([]);
      // Where a stack has no role of its own, CloudFormation asks for these in the operator's name.
      expect(unusedRights(policy, ownCalls(front))).toEqual([
        'rds:PromoteReadReplica',
        'rds:ModifyDBInstance',
        'rds:RebootDBInstance',
        'rds:AddTagsToResource',
      ]);
    });
  },
);
