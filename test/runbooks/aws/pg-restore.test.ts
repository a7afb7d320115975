import { expect, it } from 'vitest';
import { programObstacle } from '../../../runbooks/aws/dump-restores.ts';
import { connectionOf } from '../../../runbooks/aws/pg-restore.ts';

const application = 'restored-run-1';

it('is handed the connection in variables, names and passwords as they are, TLS as node-postgres was told', () => {
  const url =
    'postgresql://ad%40min:p%2Fw%3A@db.example:5433/the%20db?sslmode=verify-full&sslrootcert=/ca.pem&pgbouncer=1';
  expect(connectionOf({ url, application })).toEqual({
    PGHOST: 'db.example',
    PGPORT: '5433',
    PGUSER: 'ad@min',
    PGPASSWORD: 'p/w:',
    PGDATABASE: 'the db',
    PGAPPNAME: application,
    PGCONNECT_TIMEOUT: '10',
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: '/ca.pem',
  });
});

it.each([
  ['postgresql://u:p@[::1]/d', { PGHOST: '::1', PGPORT: '5432' }],
  ['postgresql://u:p@h/d?sslmode=no-verify', { PGSSLMODE: 'require' }],
])('%s: %j', (url, connection) => {
  expect(connectionOf({ url, application })).toMatchObject(connection);
});

it.each([
  [18, undefined],
  [19, undefined],
  [17, 'pg_restore: the one here is of PostgreSQL 17, and the database of 18'],
  [undefined, 'pg_restore: there is none on this machine'],
])('major version %s for a server of 18: %s', (found, because) => {
  expect(programObstacle(found, 18)?.because).toBe(because);
});
