/** A PostgreSQL as RDS hands one out: empty, with an administrator who may make roles and databases and is no superuser. */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { database } from '../../lib/platform/names.ts';
import { withLogin } from '../../runbooks/aws/login-role.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../runbooks/lab/postgres.ts';
import { query } from './query.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface ManagedPostgres {
  /** Of the one database, as its administrator. */
  readonly url: string;
  /** Of the same database, as who may see everything. */
  readonly superuserUrl: string;
}

/** Ends with the test. */
export async function managedPostgres(): Promise<ManagedPostgres> {
  const dataDirectory = join(await temporaryDirectory(), 'managed');
  const server = await startPostgres({ dataDirectory, port: await freePort(), settings: { fsync: 'off' } });
  onTestFinished(() => server.stop('immediate'));
  const superuser = { user: 'rdsadmin', password: 'of-the-service' };
  const administrator = { user: database.user, password: 'of-the-operator' };
  await query(server.url(), `CREATE ROLE ${superuser.user} SUPERUSER LOGIN PASSWORD '${superuser.password}'`);
  const asSuperuser = (name: string): string => withLogin(server.url(name), superuser);
  // Who made the cluster cannot hand its own things over to anybody.
  await query(asSuperuser('postgres'), `ALTER ROLE ${database.user} RENAME TO maker`);
  await query(
    asSuperuser('postgres'),
    `CREATE ROLE ${administrator.user} LOGIN CREATEROLE CREATEDB PASSWORD '${administrator.password}'`,
  );
  await query(asSuperuser('postgres'), `CREATE DATABASE ${database.name} OWNER ${administrator.user}`);
  return { url: withLogin(server.url(database.name), administrator), superuserUrl: asSuperuser(database.name) };
}
