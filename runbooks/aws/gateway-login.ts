/** The login that a region's gateways have in PostgreSQL, from where they are given it. */
import { z } from 'zod';
import { kubernetes } from '../../lib/platform/names.ts';
import { type AwsClients, isNamed } from './clients.ts';
import type { Kubectl } from './kubectl.ts';
import { type Login, loginOf } from './login-role.ts';
import { SecretVersions } from './secret-versions.ts';

const variable = 'DATABASE_URL';

/** @param secret which External Secrets carries into the cluster. @returns undefined where there is none. */
export async function loginInSecretsManager(
  clients: AwsClients,
  region: string,
  secret: string,
  signal: AbortSignal,
): Promise<Login | undefined> {
  const versions = new SecretVersions(clients, region, secret);
  try {
    const members = await versions.read((await versions.stages(signal)).current, signal);
    return members && loginIn(members[variable], `${secret} in ${region}`);
  } catch (error) {
    if (isNamed(error, 'ResourceNotFoundException')) return undefined;
    throw error;
  }
}

const secretSchema = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** For a cluster into which nothing carries secrets. @returns undefined where there is none. */
export async function loginInCluster(
  kubectl: Kubectl,
  region: string,
  signal: AbortSignal,
): Promise<Login | undefined> {
  const place = `secret/${kubernetes.secret}`;
  const text = await kubectl(region, ['get', place, '--ignore-not-found', '--output=json'], signal);
  if (text.trim() === '') return undefined;
  const encoded = secretSchema.parse(JSON.parse(text)).data[variable];
  return loginIn(encoded && Buffer.from(encoded, 'base64').toString(), `${place} in ${region}`);
}

function loginIn(url: string | undefined, place: string): Login {
  if (url === undefined || !URL.canParse(url)) throw new Error(`${variable} of ${place} is no URL of a database`);
  return loginOf(url);
}
