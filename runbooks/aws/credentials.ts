/**
 * Rotation in AWS: a second login beside the first in PostgreSQL, a second token beside the first in ElastiCache. Secrets
 * Manager keeps the versions, External Secrets carries the one that is handed out into the cluster, and a rolling restart has
 * the gateways read it. Whether a version is accepted is found out by using it.
 */
import { randomBytes } from 'node:crypto';
import { ModifyReplicationGroupCommand } from '@aws-sdk/client-elasticache';
import { z } from 'zod';
import { kubernetes } from '../../lib/platform/names.ts';
import type { CredentialState, Credentials } from '../books/credential-rotation.ts';
import { takesToken } from './cache-token.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { keepPassword } from './kept-password.ts';
import type { Kubectl } from './kubectl.ts';
import { changePassword, closeLogin, ensureLogin, isLetIn, type Login, loginOf, withLogin } from './login-role.ts';
import { idOf, type Members, nameOf, SecretVersions } from './secret-versions.ts';
import { readPods, readWorkloads } from './workloads.ts';

export interface CredentialsPlace {
  readonly kubectl: Kubectl;
  readonly regions: readonly string[];
  readonly gatewaySecret: string;
  /** With user and password of the database's administrator; the stacks read it. */
  readonly databaseSecret: string;
  /** With the cache's token alone; the stacks read it. */
  readonly cacheSecret: string;
  readonly cache: string;
  /** Whether PgBouncer stands between gateways and database, with a list of users of its own. */
  readonly hasPooler: boolean;
  /** Role that owns the tables, and logins of a region: `a` and `b` take turns. */
  readonly roles: { readonly owner: string; readonly login: (region: string, turn: 'a' | 'b') => string };
  /** Region whose database takes writes: roles are made there, replicas follow. */
  readonly writer: (signal: AbortSignal) => Promise<string>;
  /** How a region's database is reached from here, as its administrator. */
  readonly databaseUrl: (region: string) => string;
  /** How a region's cache is reached from here. @throws when it is not known. */
  readonly cacheUrl: (region: string) => string;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

/** On the pods: which version of the secret they were started with. */
const versionNote = 'holdfast/secret-version';
const betweenLooksSeconds = 5;

/** What differs between a login and a token. */
interface Kind {
  /** The members of the secret with a successor in them. */
  successor(members: Members, region: string): Members;
  isAccepted(members: Members, region: string, signal: AbortSignal): Promise<boolean>;
  accept(members: Members, region: string, signal: AbortSignal): Promise<void>;
  /** @param kept what is accepted from then on. */
  refuse(members: Members, kept: Members, region: string, signal: AbortSignal): Promise<void>;
}

export function awsCredentials(clients: AwsClients, place: CredentialsPlace): Credentials {
  const versionsIn = (region: string): SecretVersions => new SecretVersions(clients, region, place.gatewaySecret);
  const kinds: Readonly<Record<string, Kind>> = {
    database: databaseLogin(clients, place),
    cache: cacheToken(clients, place),
  };
  const kindOf = (credential: string): Kind => {
    const kind = kinds[credential];
    if (kind === undefined) throw new Error(`${credential} is not rotated by this world: ${byHand(credential)}`);
    return kind;
  };
  const read = async (region: string, id: string, signal: AbortSignal): Promise<Members> => {
    const members = await versionsIn(region).read(id, signal);
    if (members === undefined)
      throw new Error(`Secrets Manager has no ${nameOf(id)} of ${place.gatewaySecret} any more`);
    return members;
  };
  return {
    view: async (credential, region, signal) => {
      const kind = kindOf(credential);
      const versions = versionsIn(region);
      const { current, pending, previous } = await versions.stages(signal);
      const told = await toldVersions(place.kubectl, region, signal);
      const accepted: string[] = [];
      for (const id of new Set([current, pending, previous])) {
        const members = id === undefined ? undefined : await versions.read(id, signal);
        if (id === undefined || members === undefined) continue;
        if (await kind.isAccepted(members, region, signal)) accepted.push(nameOf(id));
      }
      return {
        // Handed out = gateways were told, too: a run that was killed in between has to tell them.
        current:
          isOurs(current) && told.template !== nameOf(current)
            ? (told.template ?? nameOf(previous ?? current))
            : nameOf(current),
        pending: pending && nameOf(pending),
        accepted,
        used: told.pods,
      } satisfies CredentialState;
    },
    stage: async (credential, region, version, signal) => {
      const versions = versionsIn(region);
      const { current } = await versions.stages(signal);
      const members = kindOf(credential).successor(await read(region, current, signal), region);
      await versions.put(idOf(version), members, 'AWSPENDING', signal);
    },
    accept: async (credential, region, version, signal) =>
      kindOf(credential).accept(await read(region, idOf(version), signal), region, signal),
    handOut: async (_credential, region, version, signal) => {
      const id = isOurs(version) ? idOf(version) : version;
      const members = await read(region, id, signal);
      await versionsIn(region).handOut(id, signal);
      await carriedIn(place, region, kubernetes.secret, version, members, signal);
      await restarted(place.kubectl, region, kubernetes.gateway, version, signal);
    },
    retire: async (credential, region, version, signal) => {
      const versions = versionsIn(region);
      const id = isOurs(version) ? idOf(version) : version;
      const { current } = await versions.stages(signal);
      const members = await versions.read(id, signal);
      if (members !== undefined) {
        await kindOf(credential).refuse(members, await read(region, current, signal), region, signal);
      }
      await versions.discard(id, signal);
    },
  };
}

/** Made by a run, and not by AWS or by hand. */
const isOurs = (version: string): boolean => version.startsWith('version-');

const byHand = (credential: string): string =>
  credential === 'master-key'
    ? 'gateways accept one master key. Make administrators keys of their own (/key/generate), then exchange it and restart'
    : 'its maker gives out a second key. Put it into the gateway secret, restart, then take the first one back there';

function databaseLogin(clients: AwsClients, place: CredentialsPlace): Kind {
  const { roles, databaseUrl, writer } = place;
  const loginIn = (members: Members): Login => {
    const url = members['DATABASE_URL'];
    if (url === undefined) throw new Error(`${place.gatewaySecret} has no DATABASE_URL`);
    return loginOf(url);
  };
  const isOfRegion = (user: string, region: string): boolean =>
    user === roles.login(region, 'a') || user === roles.login(region, 'b');
  return {
    successor: (members, region) => {
      const before = loginIn(members).user;
      const user = roles.login(region, before === roles.login(region, 'a') ? 'b' : 'a');
      const login = { user, password: newSecret() };
      return mapped(members, (value) =>
        /^postgres(ql)?:\/\//.test(value) && loginOf(value).user === before ? withLogin(value, login) : value,
      );
    },
    isAccepted: (members, region, signal) => isLetIn(databaseUrl(region), loginIn(members), signal),
    accept: async (members, region, signal) => {
      const login = loginIn(members);
      await ensureLogin(databaseUrl(await writer(signal)), roles.owner, login, signal);
      if (place.hasPooler) await admitToPooler(clients, place, region, login, signal);
    },
    refuse: async (members, kept, region, signal) => {
      const { user } = loginIn(members);
      if (user === loginIn(kept).user) throw new Error(`${user} is what the gateways of ${region} use`);
      const admin = databaseUrl(await writer(signal));
      if (isOfRegion(user, region)) return closeLogin(admin, user, signal);
      // The first login of all regions: it goes when the last of them has its own.
      for (const other of place.regions.filter((name) => name !== region)) {
        const versions = new SecretVersions(clients, other, place.gatewaySecret);
        const theirs = await versions.read((await versions.stages(signal)).current, signal);
        if (theirs !== undefined && loginIn(theirs).user === user) {
          throw new Error(`${other} uses ${user} still: rotate there as well (region=${other}), then resume this run`);
        }
      }
      const changed = { user, password: newSecret() };
      // Kept before it counts: a password that nobody knows would lock everybody out.
      await keepPassword(
        clients,
        { secret: place.databaseSecret, writer: await writer(signal) },
        { username: user, password: changed.password },
        signal,
      );
      await changePassword(admin, changed, signal);
    },
  };
}

/** PgBouncer's own list, beside what stands in it; a line for a login that is refused by the database harms nobody. */
async function admitToPooler(
  clients: AwsClients,
  place: CredentialsPlace,
  region: string,
  { user, password }: Login,
  signal: AbortSignal,
): Promise<void> {
  const secret = place.gatewaySecret.replace(/[^/]+$/, kubernetes.pgbouncerSecret);
  const versions = new SecretVersions(clients, region, secret);
  const members = await versions.read((await versions.stages(signal)).current, signal);
  const lines = (members?.['userlist.txt'] ?? '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(`"${user}" `));
  const changed = { ...members, 'userlist.txt': `${[...lines, `"${user}" "${password}"`].join('\n')}\n` };
  if (members?.['userlist.txt'] !== changed['userlist.txt']) {
    await versions.put(idOf(`version-${randomBytes(12).toString('hex')}`), changed, 'AWSCURRENT', signal);
  }
  await carriedIn(place, region, kubernetes.pgbouncerSecret, user, changed, signal);
  await restarted(place.kubectl, region, kubernetes.pgbouncer, user, signal);
}

function cacheToken(clients: AwsClients, { cache, cacheSecret, cacheUrl, gatewaySecret }: CredentialsPlace): Kind {
  const tokenIn = (members: Members): string => {
    const { REDIS_URL: url, REDIS_PASSWORD: token } = members;
    const found = token ?? (url === undefined ? '' : decodeURIComponent(new URL(url).password));
    if (found === '') throw new Error(`${gatewaySecret} has no REDIS_PASSWORD, and no password in REDIS_URL`);
    return found;
  };
  const modify = async (region: string, token: string, strategy: 'ROTATE' | 'SET', abortSignal: AbortSignal) => {
    try {
      await clients.elastiCache(region).send(
        new ModifyReplicationGroupCommand({
          ReplicationGroupId: cache,
          AuthToken: token,
          AuthTokenUpdateStrategy: strategy,
          ApplyImmediately: true,
        }),
        { abortSignal },
      );
    } catch (error) {
      // It is being changed, perhaps by this run before it was killed: the look afterwards tells.
      if (!isNamed(error, 'InvalidReplicationGroupStateFault', 'InvalidReplicationGroupState')) throw error;
    }
  };
  return {
    successor: (members) => {
      const [before, token] = [tokenIn(members), newSecret()];
      return mapped(members, (value) => {
        if (value === before) return token;
        if (!/^rediss?:\/\//.test(value) || decodeURIComponent(new URL(value).password) !== before) return value;
        const url = new URL(value);
        url.password = encodeURIComponent(token);
        return url.href;
      });
    },
    isAccepted: (members, region, signal) => takesToken(cacheUrl(region), tokenIn(members), signal),
    accept: (members, region, signal) => modify(region, tokenIn(members), 'ROTATE', signal),
    refuse: async (_members, kept, region, signal) => {
      const token = tokenIn(kept);
      await modify(region, token, 'SET', signal);
      // Not JSON: the stack reads it as it is.
      await new SecretVersions(clients, region, cacheSecret).putText(token, signal);
    },
  };
}

const mapped = (members: Members, change: (value: string) => string): Members =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [name, change(value)]));

/** Letters and digits: URLs, lists of users and ElastiCache take it as it is. */
const newSecret = (): string => randomBytes(24).toString('hex');

async function toldVersions(kubectl: Kubectl, region: string, signal: AbortSignal) {
  const workloads = await readWorkloads(kubectl, region, signal);
  const gateway = workloads.find(({ metadata }) => metadata.name === kubernetes.gateway);
  if (gateway === undefined) throw new Error(`the cluster in ${region} has no ${kubernetes.gateway}`);
  const pods = await readPods(kubectl, region, gateway, signal);
  const used = pods.map(({ metadata }) => metadata.annotations[versionNote] ?? 'an earlier one');
  return { template: gateway.spec.template.metadata.annotations[versionNote], pods: [...new Set(used)] };
}

const secretSchema = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** External Secrets looks once an hour; an annotation has it look now. */
async function carriedIn(
  { kubectl, wait }: CredentialsPlace,
  region: string,
  name: string,
  version: string,
  members: Members,
  signal: AbortSignal,
): Promise<void> {
  await kubectl(region, ['annotate', `externalsecret/${name}`, `force-sync=${version}`, '--overwrite'], signal);
  for (;;) {
    const { data } = secretSchema.parse(
      JSON.parse(await kubectl(region, ['get', `secret/${name}`, '--output=json'], signal)),
    );
    const isThere = Object.entries(members).every(
      ([key, value]) => data[key] === Buffer.from(value).toString('base64'),
    );
    if (isThere) return;
    await wait(betweenLooksSeconds, signal);
  }
}

/** One after the other; each drains first. */
async function restarted(
  kubectl: Kubectl,
  region: string,
  name: string,
  version: string,
  signal: AbortSignal,
): Promise<void> {
  const workloads = await readWorkloads(kubectl, region, signal);
  const found = workloads.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`the cluster in ${region} has no ${name}`);
  const patch = JSON.stringify({ spec: { template: { metadata: { annotations: { [versionNote]: version } } } } });
  await kubectl(region, ['patch', found.kind.toLowerCase(), name, '--type=strategic', `--patch=${patch}`], signal);
}
