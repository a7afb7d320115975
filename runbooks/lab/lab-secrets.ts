/**
 * Credentials of the lab's regions, with versions. Each is accepted by what really checks it: the database has a user for
 * every version, the cache a password, the provider a key. A gateway is given one of each when it starts.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Client, DatabaseError } from 'pg';
import type { CredentialState, Credentials } from '../books/credential-rotation.ts';
import { postgresUser } from './postgres-data-folder.ts';
import { ask } from './region-database.ts';
import { type RegionName, regionNamed } from './region-name.ts';
import type { LabSecrets } from './region-secrets.ts';
import type { TwoRegions } from './two-regions.ts';

export const labCredentials = ['database', 'cache', 'provider/lab'] as const;
type LabCredential = (typeof labCredentials)[number];

const firstVersion = 'initial';

interface Secret {
  /** Version to secret. */
  readonly versions: Map<string, string>;
  readonly accepted: Set<string>;
  current: string;
  pending: string | undefined;
}

export class LabSecretStore implements LabSecrets, Credentials {
  readonly #secrets = new Map<string, Secret>();
  /** Version that each running gateway was given, by region, credential and index. */
  readonly #used = new Map<string, string>();
  #lab: TwoRegions | undefined;

  /** Before anything starts, each credential has its first version. */
  constructor() {
    for (const region of ['a', 'b'] as const) {
      for (const credential of labCredentials) {
        this.#secrets.set(`${region} ${credential}`, {
          versions: new Map([[firstVersion, newSecret()]]),
          accepted: new Set([firstVersion]),
          current: firstVersion,
          pending: undefined,
        });
      }
    }
  }

  attach(lab: TwoRegions): void {
    this.#lab = lab;
  }

  users(): readonly string[] {
    return (['a', 'b'] as const).flatMap((region) => {
      const { versions, accepted } = this.#of(region, 'database');
      return [...accepted].flatMap((version) => userSql(userOf(region, version), versions.get(version) ?? ''));
    });
  }

  database(region: RegionName) {
    return { user: userOf(region, this.#of(region, 'database').current), password: this.#current(region, 'database') };
  }

  cache(region: RegionName): string {
    return this.#current(region, 'cache');
  }

  environment(region: RegionName): Readonly<Record<string, string>> {
    return { LAB_PROVIDER_KEY: this.#current(region, 'provider/lab') };
  }

  taken(region: RegionName, index: number): void {
    for (const credential of labCredentials) {
      this.#used.set(`${region} ${credential} ${index}`, this.#of(region, credential).current);
    }
  }

  /** Whether the provider of the lab takes this key. */
  isProviderKey(key: string): boolean {
    return (['a', 'b'] as const).some((region) => {
      const { versions, accepted } = this.#of(region, 'provider/lab');
      return [...accepted].some((version) => versions.get(version) === key);
    });
  }

  /** What a backup of the secret store holds. Versions and secrets: it is a secret itself. */
  snapshot(): string {
    const all = [...this.#secrets].map(([name, { versions, accepted, current, pending }]) => ({
      name,
      versions: Object.fromEntries(versions),
      accepted: [...accepted],
      current,
      pending: pending ?? null,
    }));
    return JSON.stringify(all);
  }

  /** The same without what is secret. */
  metadata(): string {
    const all = [...this.#secrets].map(([name, { versions, current }]) => ({
      name,
      versions: [...versions.keys()],
      current,
    }));
    return JSON.stringify(all);
  }

  /** Accepted is what lets somebody in when it is tried. */
  async view(credential: string, region: string, signal: AbortSignal): Promise<CredentialState> {
    const name = regionNamed(region);
    const known = this.#known(credential);
    const { current, pending, versions } = this.#of(name, known);
    const tried = await Promise.all(
      [...versions.keys()].map(async (version) => ((await this.#lets(name, known, version, signal)) ? [version] : [])),
    );
    const gateways = this.#requireLab().region(name).places.keys();
    const used = [...gateways].flatMap((index) => this.#used.get(`${name} ${known} ${index}`) ?? []);
    return { current, pending, accepted: tried.flat(), used: [...new Set(used)] };
  }

  async stage(credential: string, region: string, version: string): Promise<void> {
    const secret = this.#of(regionNamed(region), this.#known(credential));
    if (!secret.versions.has(version)) secret.versions.set(version, newSecret());
    secret.pending = version;
  }

  async accept(credential: string, region: string, version: string, signal: AbortSignal): Promise<void> {
    const name = regionNamed(region);
    const known = this.#known(credential);
    const secret = this.#of(name, known);
    const value = secret.versions.get(version);
    if (value === undefined) throw new Error(`${credential} has no version ${version}`);
    if (known === 'database') {
      for (const statement of userSql(userOf(name, version), value))
        await ask(await this.#writerUrl(signal), statement, [], signal);
    }
    if (known === 'cache') await this.#redis(name, ['ACL', 'SETUSER', 'default', `>${value}`]);
    secret.accepted.add(version);
  }

  async handOut(credential: string, region: string, version: string, signal: AbortSignal): Promise<void> {
    const name = regionNamed(region);
    const known = this.#known(credential);
    const secret = this.#of(name, known);
    if (!secret.versions.has(version)) throw new Error(`${credential} has no version ${version}`);
    secret.current = version;
    if (secret.pending === version) secret.pending = undefined;
    const here = this.#requireLab().region(name);
    for (const index of here.places.keys()) {
      signal.throwIfAborted();
      if (this.#used.get(`${name} ${known} ${index}`) !== version) await here.replaceGateway(index);
    }
  }

  /** Tried afterwards: it must fail. */
  async retire(credential: string, region: string, version: string, signal: AbortSignal): Promise<void> {
    const name = regionNamed(region);
    const known = this.#known(credential);
    const secret = this.#of(name, known);
    const value = secret.versions.get(version) ?? '';
    if (version === secret.current)
      throw new Error(`${version} of ${credential} is handed out: hand out another one first`);
    if (known === 'database') {
      const url = await this.#writerUrl(signal);
      const user = userOf(name, version);
      await ask(url, `ALTER ROLE "${user}" NOLOGIN`, [], signal);
      await ask(url, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [user], signal);
    }
    if (known === 'cache') await this.#redis(name, ['ACL', 'SETUSER', 'default', `<${value}`]);
    secret.accepted.delete(version);
    if (await this.#lets(name, known, version, signal)) throw new Error(`${version} of ${credential} still lets in`);
  }

  async #lets(region: RegionName, known: LabCredential, version: string, signal: AbortSignal): Promise<boolean> {
    const { versions, accepted } = this.#of(region, known);
    const value = versions.get(version) ?? '';
    switch (known) {
      case 'database':
        return takesLogin(await this.#writerUrl(signal), userOf(region, version), value);
      case 'cache':
        return !(await redisCall(this.#cacheUrl(region), value, ['PING'])).startsWith('-');
      case 'provider/lab':
        return accepted.has(version);
    }
  }

  #known(credential: string): LabCredential {
    const found = labCredentials.find((one) => one === credential);
    if (found === undefined) {
      const why =
        credential === 'master-key' ? ': a gateway takes one master key at a time, so there is no overlap' : '';
      throw new Error(`the lab cannot rotate ${credential}${why}; it has ${labCredentials.join(', ')}`);
    }
    if (found === 'cache' && this.#requireLab().region('a').redis === undefined) {
      throw new Error('the lab has no cache: Redis is not on this machine');
    }
    return found;
  }

  #of(region: RegionName, credential: LabCredential): Secret {
    const found = this.#secrets.get(`${region} ${credential}`);
    if (found === undefined) throw new Error(`there is no ${credential} in ${region}`);
    return found;
  }

  #current(region: RegionName, credential: LabCredential): string {
    const { versions, current } = this.#of(region, credential);
    return versions.get(current) ?? '';
  }

  #requireLab(): TwoRegions {
    if (this.#lab === undefined) throw new Error('the lab has not started yet');
    return this.#lab;
  }

  /** Users are rows of the database that takes writes; replicas get them. */
  async #writerUrl(signal: AbortSignal): Promise<string> {
    const lab = this.#requireLab();
    const writer = (await lab.claims.read(signal)).agreed?.writer;
    if (writer === undefined) throw new Error('the claim names no writer');
    return lab.region(regionNamed(writer)).operatorUrl;
  }

  async #redis(region: RegionName, words: readonly string[]): Promise<void> {
    const { versions } = this.#of(region, 'cache');
    const replies: string[] = [];
    for (const password of versions.values()) {
      const reply = await redisCall(this.#cacheUrl(region), password, words);
      if (!reply.startsWith('-')) return;
      replies.push(reply);
    }
    throw new Error(`the cache of ${region} refused: ${replies.join(' ')}`);
  }

  #cacheUrl(region: RegionName): string {
    const { redis } = this.#requireLab().region(region);
    if (redis === undefined) throw new Error(`region ${region} has no cache`);
    return redis.url;
  }
}

const newSecret = (): string => randomBytes(18).toString('hex');
const userOf = (region: RegionName, version: string): string => `gateway-${region}-${version}`;

/** Repeating them changes nothing but the password, to the same. The names are ours, the secrets hexadecimal. */
const userSql = (user: string, password: string): readonly string[] => [
  `DO $$ BEGIN
     IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${user}') THEN
       CREATE ROLE "${user}" LOGIN IN ROLE ${postgresUser};
     END IF; END $$`,
  `ALTER ROLE "${user}" LOGIN PASSWORD '${password}'`,
  `ALTER ROLE "${user}" SET role = '${postgresUser}'`,
];

async function takesLogin(url: string, user: string, password: string): Promise<boolean> {
  const as = new URL(url);
  as.username = user;
  as.password = password;
  const client = new Client({ connectionString: as.href, ssl: false, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    // 28: invalid authorization. Anything else says nothing about the password.
    if (error instanceof DatabaseError && error.code?.startsWith('28') === true) return false;
    throw error;
  } finally {
    await client.end();
  }
}

const patienceMs = 5_000;

/** One command over a connection of its own. @returns the reply, or the first error, which begins with a dash. */
function redisCall(url: string, password: string, words: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), timeout: patienceMs });
  const printed = (parts: readonly string[]): string =>
    `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`;
  let text = '';
  socket.once('error', reject);
  socket.once('timeout', () => socket.destroy(new Error('the cache does not answer')));
  socket.on('data', (data) => {
    text += data.toString('latin1');
    const replies = text.split('\r\n').filter((line) => line !== '');
    const failed = replies.find((line) => line.startsWith('-'));
    if (failed === undefined && replies.length < 2) return;
    resolve(failed ?? replies[1] ?? '');
    socket.destroy();
  });
  socket.write(printed(['AUTH', password]) + printed(words));
  return promise;
}
