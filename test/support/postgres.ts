/** A database of its own for each test file, in the one PostgreSQL of the run. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { askServer } from './ask-server.ts';

export interface TestDatabase {
  readonly url: string;
  /**
   * Removes the database.
   * @throws when connections to it are still open after two seconds (the database is gone all the same): a leak.
   */
  drop(): Promise<void>;
}

/** A prepared database that fresh ones are copied from, so that migrations run once in a run and not once per file. */
export interface DatabaseTemplate {
  /** Lower case letters, digits and underscores; one name stands for one content in the whole run. */
  readonly name: string;
  /** Fills the empty database at `url`, and closes all its connections. */
  prepare(url: string): Promise<void>;
}

/** Makes a database: empty, or as the template has it. */
export async function freshDatabase(template?: DatabaseTemplate): Promise<TestDatabase> {
  const { url: serverUrl } = await askServer('postgres');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await withClient(serverUrl, async (client) => {
    const source = template === undefined ? 'template0' : await provideTemplate(client, serverUrl, template);
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${source}`);
  });
  return { url: databaseUrl(serverUrl, name), drop: () => dropDatabase(serverUrl, name) };
}

/** Two workers may want the same template at once: an advisory lock lets one prepare it and the other wait. */
async function provideTemplate(client: Client, serverUrl: string, template: DatabaseTemplate): Promise<string> {
  const name = `template_${template.name}`;
  if (!/^\w+$/.test(name))
    throw new Error(`"${template.name}" is no template name: letters, digits, underscores only.`);
  await client.query('SELECT pg_advisory_lock(hashtext($1))', [name]);
  try {
    const known = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (known.rowCount !== 0) return name;
    // Prepared under another name, so that a preparation that fails is never taken for a template.
    const unfinished = `unfinished_${name}`;
    await client.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${unfinished} TEMPLATE template0`);
    await template.prepare(databaseUrl(serverUrl, unfinished));
    await untilUnused(client, unfinished);
    await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${name}`);
    return name;
  } finally {
    await client.query('SELECT pg_advisory_unlock(hashtext($1))', [name]);
  }
}

async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await withClient(serverUrl, async (client) => {
    const leaked = await untilUnused(client, name);
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    if (leaked.length > 0) {
      throw new Error(`${leaked.length} connection(s) to the test database were left open: ${leaked.join('; ')}`);
    }
  });
}

/** Waits for connections that are just closing; returns what is still connected after two seconds. */
async function untilUnused(client: Client, name: string): Promise<string[]> {
  const until = Date.now() + 2000;
  for (;;) {
    const { rows } = await client.query<{ label: string }>(
      `SELECT concat_ws(' ', nullif(application_name, ''), state, left(query, 80)) AS label
         FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
      [name],
    );
    if (rows.length === 0 || Date.now() > until) return rows.map((row) => row.label);
    await sleep(20);
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, ssl: false, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
