/** region-failover over the wire with the stack's parameter: CloudFormation's front promotes moto's replica. */
import { CreateStackCommand, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import shipped from '../../../holdfast.config.ts';
import { databaseIdentifier, stackName } from '../../../lib/platform/names.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { awsRegionDatabase } from '../../../runbooks/aws/region-database.ts';
import { regionFailover } from '../../../runbooks/books/region-failover.ts';
import type { RegionWorld } from '../../../runbooks/books/region-world.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { stackNamed, synthesize } from '../../lib/synthesize.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { type AwsFront, startAwsFront } from '../../support/aws/front.ts';
import { freshMoto, motoIsInstalled } from '../../support/aws/moto.ts';
import { until } from '../../support/processes.ts';
import { TwoRegions } from '../books/two-regions.ts';
import { Crash, CrashingJournal, optionsFor, realClock } from '../engine/world.ts';

const available = await motoIsInstalled();
const { primary } = shipped;
const standby = shipped.standbys[0] ?? primary;
const { signal } = new AbortController();

describe.skipIf(process.env['CI'] === undefined && !available)(
  'promotion by the stack, over the wire (skipped where .cache/python has no moto, never in CI)',
  { timeout: 90_000 },
  () => {
    let front: AwsFront;
    let clients: AwsClients;

    beforeAll(async () => {
      const moto = await freshMoto();
      front = await startAwsFront(moto, { promotionMs: 300 });
      clients = new AwsClients({ endpoint: front.url, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
      const { stacks } = synthesize(shipped);
      for (const { region } of [primary, standby]) {
        const name = stackName(shipped, region, 'data');
        const text = JSON.stringify(stackNamed(stacks, name).template);
        const TemplateBody = text.replaceAll(shipped.account, moto.account);
        await clients.cloudFormation(region).send(new CreateStackCommand({ StackName: name, TemplateBody }));
        await until(async () => (await statusOf(region, name)) === 'CREATE_COMPLETE', 30_000);
      }
    }, 90_000);
    afterAll(async () => {
      clients.destroy();
      await front.close();
    });

    const statusOf = async (region: string, name: string): Promise<string | undefined> =>
      (await clients.cloudFormation(region).send(new DescribeStacksCommand({ StackName: name }))).Stacks?.[0]
        ?.StackStatus;
    const regions = new TwoRegions();
    const database = () =>
      awsRegionDatabase(clients, {
        region: standby.region,
        identifier: databaseIdentifier(shipped, standby),
        stack: stackName(shipped, standby.region, 'data'),
        rows: {
          read: async () => regions.database('b').row,
          close: async () => undefined,
          raise: (epoch, writer) => regions.database('b').raise(epoch, writer),
        },
        wait: () => new Promise((resolve) => setTimeout(resolve, 20)),
      });

    it('is asked for once, though the operator is killed right after asking and another one goes on', async () => {
      regions.database('a').away = true;
      const { claims, traffic, capacity } = regions;
      const world: RegionWorld = {
        claims,
        traffic,
        capacity,
        database: (region) => (region === 'b' ? database() : regions.database('a')),
        verify: async () => [],
        wait: async () => undefined,
      };
      const book = regionFailover({ target: 'b', former: 'a' });
      const from = front.calls.length;
      const journal = new MemoryJournal();
      const more = { confirm: async (_: unknown, expected: string) => expected, clock: realClock, pollSeconds: 0.1 };
      // The write that would say that the promotion was asked for.
      const killed = new CrashingJournal(journal, await positionOfAsking(), 'before');
      await expect(run(optionsFor<RegionWorld>(book, world, { ...more, journal: killed }))).rejects.toThrow(Crash);
      expect((await journal.read()).at(-1)).toMatchObject({ is: 'acting', step: 'promote' });
      expect(await run(optionsFor<RegionWorld>(book, world, { ...more, journal, operator: 'bob' }))).toEqual({
        is: 'completed',
      });
      expect((await database().view(signal)).role).toBe('primary');
      expect(front.rdsCalls.filter(({ action }) => action === 'PromoteReadReplica')).toHaveLength(1);
      const policy = policyOf('region-failover', shipped, { claims: [], takeovers: [], journals: ['journals'] });
      expect(refusedCalls(policy, front.calls.slice(from), shipped.account)).toEqual([]);
    });
  },
);

async function positionOfAsking(): Promise<number> {
  const journal = new MemoryJournal();
  const book = regionFailover({ target: 'b', former: 'a' });
  const confirm = async (_: unknown, expected: string) => expected;
  await run(optionsFor<RegionWorld>(book, await TwoRegions.withoutA(), { journal, confirm }));
  return (await journal.read()).findIndex((event) => event.is === 'acted' && event.step === 'promote');
}
