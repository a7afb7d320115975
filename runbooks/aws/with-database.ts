/** One connection for one piece of work. It ends with the work, whatever comes of it. */
import { Client } from 'pg';

const connectTimeoutMs = 10_000;

/**
 * @param statementTimeoutMs of each statement.
 * @throws what the server or the work throws.
 */
export async function withDatabase<Result>(
  connectionString: string,
  statementTimeoutMs: number,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = new Client({
    connectionString,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs,
    application_name: 'holdfast runbook',
  });
  // A connection that breaks between two uses is told by the next use; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}
