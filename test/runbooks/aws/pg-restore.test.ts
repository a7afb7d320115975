import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { programObstacle } from '../../../runbooks/aws/dump-restores.ts';
import { connectionOf, pgRestore, pgRestoreMajor } from '../../../runbooks/aws/pg-restore.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

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

const { signal } = new AbortController();
const environment = { PATH: '/usr/bin:/bin' };

it('a program that is not there has no version, and loads nothing', async () => {
  const absent = { command: '/nowhere/pg_restore', environment };
  expect(await pgRestoreMajor(absent, signal)).toBeUndefined();
  const target = { url: 'postgresql://u:p@127.0.0.1:1/d', application };
  await expect(pgRestore(absent, target, oneByte(), signal)).rejects.toThrow('ENOENT');
});

it('why the archive broke off is told, and not what the program made of that', async () => {
  const command = join(await temporaryDirectory(), 'pg_restore');
  await writeFile(command, '#!/bin/sh\ncat >/dev/null\necho "unexpected end of file" >&2\nexit 1\n');
  await chmod(command, 0o755);
  const target = { url: 'postgresql://u:p@127.0.0.1:1/d', application };
  await expect(pgRestore({ command, environment }, target, brokenOff(), signal)).rejects.toThrow('S3 stays away');
});

async function* oneByte(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('x');
}

async function* brokenOff(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('x');
  throw new Error('S3 stays away');
}
