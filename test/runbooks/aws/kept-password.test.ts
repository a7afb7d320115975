/** Copies of a secret after a failover (botocore, secretsmanager/2017-10-17): AWS takes new versions in one region alone. */
import { afterEach, expect, it } from 'vitest';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { keepPassword } from '../../../runbooks/aws/kept-password.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { startWire, type Wire } from '../../support/aws/wire.ts';

const { signal } = new AbortController();
const [east, west] = ['us-east-1', 'us-west-2'] as const;
const secret = 'acme-production/database';
let wire: Wire;
let clients: AwsClients;
afterEach(async () => {
  clients.destroy();
  await wire.close();
});

/** The secret is in the east and the west has its copy. */
async function secretInEast(isEastThere: boolean): Promise<void> {
  wire = await startWire({
    services: {
      secretsmanager: ({ action, region }) => {
        if (action === 'DescribeSecret') return { json: { Name: secret, PrimaryRegion: east } };
        if (region === east && isEastThere) return { json: { Name: secret } };
        const message = region === east ? 'away' : 'operation not permitted on a replica secret';
        return { json: { __type: 'InvalidRequestException', message }, status: 400 };
      },
    },
  });
  clients = new AwsClients(wire.access);
}

it('a password is kept where its secret is, also when another region writes', async () => {
  await secretInEast(true);
  await keepPassword(clients, { secret, writer: west }, { username: 'holdfast', password: 'x' }, signal);
  expect(wire.calls.map(({ action, region }) => `${action} ${region}`)).toEqual([
    `DescribeSecret ${west}`,
    `PutSecretValue ${east}`,
  ]);
  const policy = policyOf('credential-rotation', definePlatform(spec()), { claims: [], takeovers: [], journals: [] });
  expect(refusedCalls(policy, wire.calls, '222222222222')).toEqual([]);
});

it('where that region is lost, the error says how the copy becomes the secret', async () => {
  await secretInEast(false);
  const kept = keepPassword(clients, { secret, writer: west }, { username: 'holdfast', password: 'x' }, signal);
  await expect(kept).rejects.toThrow(
    /us-east-1 alone, and there: away\. .* stop-replication-to-replica --region us-west-2 --secret-id acme-production\/database/,
  );
});
