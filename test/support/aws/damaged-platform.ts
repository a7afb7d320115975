/** A platform in AWS whose first region's database is damaged: what database-restore is for, as far as this machine has it. */
import { createServer } from 'node:http';
import { databaseIdentifier } from '../../../lib/platform/names.ts';
import type { AwsWorldOptions } from '../../../runbooks/aws/aws-world.ts';
import { gatewayRestart } from '../../../runbooks/aws/gateway-restart.ts';
import type { RestoreWorld } from '../../../runbooks/books/database-restore.ts';
import type { Journal } from '../../../runbooks/engine/journal.ts';
import { spec } from '../../lib/specs.ts';
import { Crash } from '../../runbooks/engine/world.ts';
import { listening } from '../listening.ts';
import { FakeCluster } from './cluster.ts';
import { type Standing, standingPlatform } from './standing.ts';

export interface Damaged extends Standing {
  readonly restoreWorld: RestoreWorld;
  /** Of the damaged database. */
  readonly own: string;
  readonly cluster: FakeCluster;
}

/** @param url of the real PostgreSQL that answers for every database that RDS names. */
export async function damagedPlatform(
  region: string,
  url: string,
  more: Pick<AwsWorldOptions, 'pgRestore' | 'kubectl'> = {},
): Promise<Damaged> {
  const { hostname: host, port } = new URL(url);
  const standing = await standingPlatform(spec(), [region], { databasesAt: { host, port: Number(port) } });
  const cluster = new FakeCluster(['a', 'b', 'c']);
  cluster.add('Deployment', 'gateway', 'image', 3);
  const prometheusUrl = await outboxesDrained();
  // Nobody answers at the damaged one; its name leads to what has it, as in DNS.
  let address = Object.assign(new URL(url), { host: '127.0.0.1:1' }).href;
  const aws = standing.world({ ...more, databaseUrl: () => address, prometheusUrl: () => prometheusUrl });
  return {
    ...standing,
    own: databaseIdentifier(standing.platform, standing.platform.primary),
    cluster,
    restoreWorld: {
      ...aws,
      inUse: {
        ...aws.inUse,
        ...gatewayRestart(cluster.kubectl),
        use: async (...asked) => {
          await aws.inUse.use(...asked);
          address = url;
        },
      },
      verify: async () => [],
      wait: async () => undefined,
    },
  };
}

/** Kills the run when the step has acted and nobody has written so. */
export const dyingAt = (journal: Journal, step: string): Journal => ({
  read: () => journal.read(),
  append: async (position, event) => {
    if (event.is === 'acted' && event.step === step) throw new Crash();
    await journal.append(position, event);
  },
});

/** https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
async function outboxesDrained(): Promise<string> {
  const data = { resultType: 'vector', result: [{ metric: {}, value: [1_767_225_600, '3'] }] };
  const server = createServer((_, response) => response.end(JSON.stringify({ status: 'success', data })));
  return listening(server);
}
