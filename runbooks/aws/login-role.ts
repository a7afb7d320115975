/**
 * Logins of gateways in PostgreSQL. All tables belong to one role that nobody logs in as, and every login acts as that role:
 * so a second login can do what the first one does, whoever made which table, and one of them can be taken away.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { type Client, DatabaseError } from 'pg';
import { withDatabase } from './with-database.ts';

export interface Login {
  readonly user: string;
  readonly password: string;
}

const statementTimeoutMs = 60_000;
/** The first time, every table gets another owner: better refused and tried again than writes held up behind it. */
const lockTimeout = '5s';

/**
 * Makes a login, or gives one that is there a new password. Harmless when repeated.
 * @param adminUrl of a user with CREATEROLE and CREATEDB that owns the tables, as RDS' master user is
 */
export async function ensureLogin(
  adminUrl: string,
  owner: string,
  { user, password }: Login,
  signal: AbortSignal,
): Promise<void> {
  await withDatabase(adminUrl, statementTimeoutMs, signal, async (client) => {
    const [name, role, verifier] = [client.escapeIdentifier(user), client.escapeIdentifier(owner), scramOf(password)];
    await client.query('BEGIN');
    await client.query(`SET LOCAL lock_timeout = '${lockTimeout}'`);
    // The administrator acts as the owner, who may make no roles, as soon as it logs in.
    await client.query('SET ROLE NONE');
    await shareTables(client, owner, role);
    if (!(await roleExists(client, user))) await client.query(`CREATE ROLE ${name} IN ROLE ${role}`);
    await client.query(`ALTER ROLE ${name} LOGIN PASSWORD ${client.escapeLiteral(verifier)}`);
    await client.query(`ALTER ROLE ${name} SET role = ${client.escapeLiteral(owner)}`);
    await client.query('COMMIT');
  });
}

/** The first time alone: hands the administrator's tables to a role that others can act as, too. */
async function shareTables(client: Client, owner: string, role: string): Promise<void> {
  if (await roleExists(client, owner)) return;
  await client.query(`CREATE ROLE ${role} NOLOGIN`);
  await client.query(`GRANT ${role} TO SESSION_USER WITH INHERIT TRUE, SET TRUE`);
  await client.query(`REASSIGN OWNED BY SESSION_USER TO ${role}`);
  await client.query(`ALTER ROLE SESSION_USER SET role = ${client.escapeLiteral(owner)}`);
}

/** It is refused from then on; what it had opened is closed. */
export async function closeLogin(adminUrl: string, user: string, signal: AbortSignal): Promise<void> {
  await withDatabase(adminUrl, statementTimeoutMs, signal, async (client) => {
    await client.query('SET ROLE NONE');
    if (!(await roleExists(client, user))) return;
    await client.query(`ALTER ROLE ${client.escapeIdentifier(user)} NOLOGIN PASSWORD NULL`);
  });
}

/** For a login that has to stay, as the administrator's does. */
export async function changePassword(adminUrl: string, { user, password }: Login, signal: AbortSignal): Promise<void> {
  await withDatabase(adminUrl, statementTimeoutMs, signal, async (client) => {
    await client.query('SET ROLE NONE');
    const verifier = client.escapeLiteral(scramOf(password));
    await client.query(`ALTER ROLE ${client.escapeIdentifier(user)} PASSWORD ${verifier}`);
  });
}

/** Whether somebody gets in with it. @throws when the database cannot be asked. */
export async function isLetIn(url: string, login: Login, signal: AbortSignal): Promise<boolean> {
  try {
    await withDatabase(withLogin(url, login), statementTimeoutMs, signal, async (client) => client.query('SELECT 1'));
    return true;
  } catch (error) {
    // Wrong password; no such login, or one that may not log in.
    if (error instanceof DatabaseError && (error.code === '28P01' || error.code === '28000')) return false;
    throw error;
  }
}

export function withLogin(url: string, { user, password }: Login): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(user);
  changed.password = encodeURIComponent(password);
  return changed.href;
}

export function loginOf(url: string): Login {
  const { username, password } = new URL(url);
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) };
}

async function roleExists(client: Client, name: string): Promise<boolean> {
  return (await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name])).rows.length > 0;
}

const iterations = 4096;

/** What PostgreSQL stores of a password (RFC 5803), so that the password itself is in no statement and in no log of one. */
export function scramOf(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyOf = (name: string): Buffer => createHmac('sha256', salted).update(name).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyOf('Server Key').toString('base64')}`;
}
