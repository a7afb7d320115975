/** What AWS tells of a standby before it is needed: the secrets that it would read, and the backups that lie in it. */
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { type BackupName, backupFault, backupsOf } from '../../lib/platform/backups.ts';
import { databaseSecretName, gatewaySecretName, kubernetes } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { BackupWorld } from '../books/backup-world.ts';
import { isSameImage } from '../books/release.ts';
import type { ReadyCheck } from '../region/ready.ts';
import { type AwsClients, isNamed } from './clients.ts';
import type { Needs } from './cluster-capacity.ts';
import { type QuotaNeed, quotaNeeds, quotasCheck } from './quotas.ts';

export interface ReadinessPlace {
  /** Secrets that AWS copies from the writer's region; each must hold the same version. */
  readonly copiedSecrets: readonly string[];
  /** Secrets that each region has of its own. */
  readonly ownSecrets: readonly string[];
  /** Kinds that the platform makes. */
  readonly backups: readonly BackupName[];
  readonly newestBackup: BackupWorld['newestBackup'];
  /** Image that a region's gateways run. */
  readonly imageIn: (region: string, signal: AbortSignal) => Promise<string>;
  readonly quotaNeeds: (region: string) => readonly QuotaNeed[];
}

/** Of a platform: what its stacks and manifests make. */
export const readinessOf = (
  platform: Platform,
  regionOf: (name: string) => Region,
): Pick<ReadinessPlace, 'copiedSecrets' | 'ownSecrets' | 'backups' | 'quotaNeeds'> => ({
  // Of a database that was brought along, the owner keeps the secret and its copies.
  copiedSecrets: platform.regions.some((one) => one.database !== undefined) ? [] : [databaseSecretName(platform)],
  // Elsewhere somebody makes the cluster's Secret by hand, and nothing in AWS holds it.
  ownSecrets: platform.cluster.secretStore === undefined ? [] : [gatewaySecretName(platform)],
  backups: backupsOf(platform),
  quotaNeeds: (name) => quotaNeeds(platform, regionOf(name)),
});

/** Pods of a region that serves as many clients as `of` does: all of the platform's as its primary, its own in peace. */
export const neededPods = ({ cluster }: Platform, of: Region): Needs => ({
  [kubernetes.gateway]: of.gatewayReplicas,
  ...(cluster.addons.includes('agentgateway') ? { [kubernetes.agentGateway]: 2 } : {}),
});

/** @param writer region of the writer; undefined = not known, and nothing can be compared with it. */
export type AskReadiness = (
  region: string,
  writer: string | undefined,
  signal: AbortSignal,
) => Promise<readonly ReadyCheck[]>;

export function awsReadiness(clients: AwsClients, place: ReadinessPlace): AskReadiness {
  return async (region, writer, signal) =>
    Promise.all([
      orUnknown('secrets', signal, () => secretsCheck(clients, place, region, writer, signal)),
      orUnknown('backups', signal, () => backupsCheck(place, region, signal)),
      orUnknown('image', signal, () => imageCheck(place, region, writer, signal)),
      orUnknown('quotas', signal, () => quotasCheck(clients, region, place.quotaNeeds(region), signal)),
    ]);
}

async function secretsCheck(
  clients: AwsClients,
  { copiedSecrets, ownSecrets }: ReadinessPlace,
  region: string,
  writer: string | undefined,
  signal: AbortSignal,
): Promise<ReadyCheck> {
  const faults: string[] = [];
  for (const name of [...copiedSecrets, ...ownSecrets]) {
    const here = await currentVersion(clients, region, name, signal);
    if (here === undefined) faults.push(`${name} is missing`);
    else if (writer !== undefined && copiedSecrets.includes(name)) {
      const there = await currentVersion(clients, writer, name, signal);
      if (there !== here) faults.push(`${name} is another version than in ${writer}`);
    }
  }
  if (faults.length > 0) return { check: 'secrets', is: 'failed', note: faults.join('; ') };
  return { check: 'secrets', is: 'ok', note: `${copiedSecrets.length + ownSecrets.length} are there` };
}

/** Id of the version that is handed out; never its contents. Undefined = there is no such secret, or it is empty. */
async function currentVersion(
  clients: AwsClients,
  region: string,
  name: string,
  abortSignal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { VersionIdsToStages: versions = {} } = await clients
      .secretsManager(region)
      .send(new DescribeSecretCommand({ SecretId: name }), { abortSignal });
    return Object.entries(versions).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
  } catch (error) {
    if (isNamed(error, 'ResourceNotFoundException')) return undefined;
    throw error;
  }
}

/** A version may be built twice; the digest is the image. */
async function imageCheck(
  { imageIn }: ReadinessPlace,
  region: string,
  writer: string | undefined,
  signal: AbortSignal,
): Promise<ReadyCheck> {
  const here = await imageIn(region, signal);
  if (writer === undefined)
    return { check: 'image', is: 'unknown', note: `${here}; there is no writer to compare with` };
  const there = await imageIn(writer, signal);
  return isSameImage(here, there)
    ? { check: 'image', is: 'ok', note: here }
    : { check: 'image', is: 'failed', note: `${here}, ${writer} runs ${there}` };
}

async function backupsCheck(
  { backups, newestBackup }: ReadinessPlace,
  region: string,
  signal: AbortSignal,
): Promise<ReadyCheck> {
  const faults = await Promise.all(
    backups.map(async (name) => backupFault(name, (await newestBackup(name, region, signal))?.ageSeconds)),
  );
  const found = faults.filter((fault) => fault !== undefined);
  if (found.length > 0) return { check: 'backups', is: 'failed', note: found.join('; ') };
  return { check: 'backups', is: 'ok', note: 'every kind is young enough' };
}

async function orUnknown(
  check: ReadyCheck['check'],
  signal: AbortSignal,
  ask: () => Promise<ReadyCheck>,
): Promise<ReadyCheck> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    return { check, is: 'unknown', note: error instanceof Error ? error.message : String(error) };
  }
}
