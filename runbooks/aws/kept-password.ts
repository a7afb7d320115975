import { randomBytes } from 'node:crypto';
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { AwsClients } from './clients.ts';
import { idOf, type Members, SecretVersions } from './secret-versions.ts';

/**
 * Puts a new version into a secret that has copies: after a failover the writer's region has one of them, and AWS takes new
 * versions only where the secret itself is; the copies follow.
 * @throws when that region does not answer, with what to do when it is lost for good.
 */
export async function keepPassword(
  clients: AwsClients,
  { secret, writer }: { readonly secret: string; readonly writer: string },
  members: Members,
  signal: AbortSignal,
): Promise<void> {
  const { PrimaryRegion: home = writer } = await clients
    .secretsManager(writer)
    .send(new DescribeSecretCommand({ SecretId: secret }), { abortSignal: signal });
  try {
    const version = idOf(`version-${randomBytes(12).toString('hex')}`);
    await new SecretVersions(clients, home, secret).put(version, members, 'AWSCURRENT', signal);
  } catch (error) {
    if (home === writer) throw error;
    signal.throwIfAborted();
    throw new Error(
      `${secret} takes new versions in ${home} alone, and there: ${error instanceof Error ? error.message : String(error)}. If ${home} is lost for good, make the copy the secret: aws secretsmanager stop-replication-to-replica --region ${writer} --secret-id ${secret}`,
      { cause: error },
    );
  }
}
