/**
 * Databases from logical dumps: a new and empty instance, the logins that no dump holds, then pg_restore from where the operator
 * is, who reaches the databases anyway: no administrator's password goes into a cluster, and no cluster has to stand yet. All is
 * loaded in one transaction, so a database that holds anything holds everything, however often that was begun.
 */
import { CreateDBInstanceCommand } from '@aws-sdk/client-rds';
import { z } from 'zod';
import { database, databaseIdentifier } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { versions } from '../../lib/platform/versions.ts';
import type { Obstacle, RestoreRequest } from '../books/backup-world.ts';
import { messageOf } from '../engine/look.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { dumpFolders, piecesOf, storedDump } from './dumps.ts';
import { ensureLogin, type Login, loginOf } from './login-role.ts';
import { databasePlan, newInstance } from './new-instance.ts';
import { type PgRestoreProgram, pgRestore, pgRestoreMajor } from './pg-restore.ts';
import { describeInstance, staysAsItIs } from './region-database.ts';
import { restoredUrl } from './restored-database.ts';
import { dumpTag, restoredTag } from './restored-tag.ts';
import { withDatabase } from './with-database.ts';

/** What a dump is restored with, besides AWS. */
export interface DumpTools {
  readonly pgRestore: PgRestoreProgram;
  /** Role that owns the tables where gateways have logins of their own. */
  readonly owner: string;
  /** What a region's gateways log in with; undefined = nothing says so there. */
  readonly gatewayLogin: (region: string, signal: AbortSignal) => Promise<Login | undefined>;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

export interface DumpPlace extends DumpTools {
  readonly platform: Platform;
  readonly regionOf: (name: string) => Region;
  /** How a region's database is reached from here, as its administrator. */
  readonly databaseUrl: (region: string) => string;
}

/** Host and port as RDS names them. */
export interface Address {
  readonly host: string;
  readonly port: number | undefined;
}

type Progress = (note: string) => void;

const betweenLooksSeconds = 10;
const otherRegionPatienceMs = 20_000;
const lookTimeoutMs = 30_000;
/** Reads a sample of every table. */
const analyzeTimeoutMs = 3_600_000;

export function dumpRestores(clients: AwsClients, place: DumpPlace) {
  const { platform, regionOf, databaseUrl } = place;
  const urlOf = (region: string, { host, port }: Address): string => restoredUrl(databaseUrl(region), host, port);
  const obstacle = async (region: string, signal: AbortSignal): Promise<Obstacle | undefined> => {
    const [inUse, found] = await Promise.all([
      describeInstance(clients, region, databaseIdentifier(platform, regionOf(region)), signal),
      pgRestoreMajor(place.pgRestore, signal),
    ]);
    const { EngineVersion: version = versions.postgres.full, MasterUsername: administrator = database.user } =
      inUse ?? {};
    const { user } = loginOf(databaseUrl(region));
    return programObstacle(found, Number.parseInt(version, 10)) ?? userObstacle(region, user, administrator);
  };
  return {
    /** What keeps a dump from being restored here and now; undefined = nothing. */
    obstacle,
    /** Of a database that is made for a dump. */
    contents: (region: string, name: string, address: Address, signal: AbortSignal) =>
      contentsOf(urlOf(region, address), name, signal),
    restore: async ({ region, backup, as }: RestoreRequest, signal: AbortSignal, progress: Progress): Promise<void> => {
      const unmet = await obstacle(region, signal);
      if (unmet !== undefined) throw new Error(`${unmet.because}: ${unmet.fix}`);
      const dump = await storedDump(clients, backup, dumpFolders(platform), signal);
      if (dump === undefined) throw new Error(`there is no ${backup} any more: begin another run`);
      const logins = await loginsOf(place, region, signal, progress);
      if ((await describeInstance(clients, region, as, signal)) === undefined) {
        await create(clients, place, { region, as, backup }, signal);
      }
      const address = await untilAvailable(clients, place, region, as, signal, progress);
      const url = urlOf(region, address);
      if ((await contentsOf(url, as, signal)) !== 'empty') return;
      for (const login of logins) await ensureLogin(url, place.owner, login, signal);
      const pieces = piecesOf(clients, dump, signal, (bytes) => progress(readSoFar(bytes, dump.bytes)));
      await pgRestore(place.pgRestore, { url, application: as }, pieces, signal);
      progress('it is loaded; its tables are sampled');
      await withDatabase(url, analyzeTimeoutMs, signal, (client) => client.query('ANALYZE'));
    },
  };
}

/** In whole percent: each note that differs is a line of somebody's log. */
const readSoFar = (bytes: number, total: number): string =>
  bytes < total
    ? `${Math.floor((bytes / total) * 100)} % of ${Math.ceil(total / 1e6)} MB are loaded`
    : 'all rows are loaded; indexes are built';

/** Pure. @param found major version of the program; undefined = there is none. */
export function programObstacle(found: number | undefined, needed: number): Obstacle | undefined {
  if (found !== undefined && found >= needed) return undefined;
  const because =
    found === undefined
      ? 'pg_restore: there is none on this machine'
      : `pg_restore: the one here is of PostgreSQL ${found}, and the database of ${needed}`;
  const fix = `install postgresql-client-${needed} (apt.postgresql.org; macOS: brew install postgresql@${needed}), and let PATH find it first`;
  return { because, fix };
}

const variableOf = (region: string): string => `HOLDFAST_DATABASE_URL_${region.toUpperCase().replaceAll('-', '_')}`;

/** A new database has the first user that it is made with, and RDS names that one for ever. */
function userObstacle(region: string, user: string, administrator: string): Obstacle | undefined {
  if (user === administrator) return undefined;
  return {
    because: `${variableOf(region)} logs in as ${user}, and the administrator of the database is ${administrator}`,
    fix: `put ${administrator} and its password there: the new database is made with them`,
  };
}

/** Logins beside the administrator's. Another region's may be missing: a rotation there makes it. */
async function loginsOf(place: DumpPlace, region: string, signal: AbortSignal, progress: Progress): Promise<Login[]> {
  const administrator = loginOf(place.databaseUrl(region));
  const logins: Login[] = [];
  for (const { region: name } of place.platform.regions) {
    const login = await (name === region
      ? place.gatewayLogin(name, signal)
      : place
          .gatewayLogin(name, AbortSignal.any([signal, AbortSignal.timeout(otherRegionPatienceMs)]))
          .catch((error: unknown) => {
            signal.throwIfAborted();
            progress(`cannot see what the gateways of ${name} log in with: ${messageOf(error)}`);
            return undefined;
          }));
    if (login === undefined) {
      progress(
        `no login is made for the gateways of ${name}; if theirs is not ${administrator.user}: credential-rotation`,
      );
    } else if (login.user !== administrator.user) {
      logins.push(login);
    } else if (name === region && login.password !== administrator.password) {
      throw new Error(
        `the gateways of ${name} log in as ${login.user} with another password than ${variableOf(name)} has: put theirs there, then resume`,
      );
    }
  }
  return logins;
}

async function create(
  clients: AwsClients,
  { platform, regionOf, databaseUrl }: DumpPlace,
  { region, as, backup }: Pick<RestoreRequest, 'region' | 'as' | 'backup'>,
  abortSignal: AbortSignal,
): Promise<void> {
  const { user, password } = loginOf(databaseUrl(region));
  const plan = await databasePlan(clients, platform, regionOf(region), abortSignal);
  try {
    await clients.rds(region).send(
      new CreateDBInstanceCommand({
        ...newInstance(platform, regionOf(region), plan),
        DBInstanceIdentifier: as,
        DBName: decodeURIComponent(new URL(databaseUrl(region)).pathname.slice(1)),
        MasterUsername: user,
        MasterUserPassword: password,
        Tags: [
          { Key: restoredTag, Value: as },
          { Key: dumpTag, Value: backup },
        ],
      }),
      { abortSignal },
    );
  } catch (error) {
    // Asked for by this run before it was interrupted, and not shown yet: the name is the run's.
    if (!isNamed(error, 'DBInstanceAlreadyExistsFault', 'DBInstanceAlreadyExists')) throw error;
  }
}

async function untilAvailable(
  clients: AwsClients,
  { wait }: DumpPlace,
  region: string,
  name: string,
  signal: AbortSignal,
  progress: Progress,
): Promise<Address> {
  for (;;) {
    const instance = await describeInstance(clients, region, name, signal);
    const { DBInstanceStatus: status, Endpoint: { Address: host, Port: port } = {} } = instance ?? {};
    if (status === 'available' && host !== undefined) return { host, port };
    if (staysAsItIs(status))
      throw new Error(`${name} is ${status}: look at its events in RDS, then take this run back`);
    progress(`RDS makes ${name}: ${status ?? 'it does not show yet'}`);
    await wait(betweenLooksSeconds, signal);
  }
}

const contentsSchema = z.array(z.object({ loaded: z.boolean(), loading: z.boolean() }));

/** `loading` = a session is at it, this process's or one that outlived its process. */
async function contentsOf(url: string, name: string, signal: AbortSignal): Promise<'empty' | 'loading' | 'loaded'> {
  return withDatabase(url, lookTimeoutMs, signal, async (client) => {
    const { rows } = await client.query(
      `SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS loaded,
              EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1) AS loading`,
      [name],
    );
    const [found] = contentsSchema.parse(rows);
    if (found?.loaded === true) return 'loaded';
    return found?.loading === true ? 'loading' : 'empty';
  });
}
