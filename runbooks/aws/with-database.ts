/** One connection for one piece of work. It ends with the work, whatever comes of it. */
import { Socket } from 'node:net';
import { Client } from 'pg';

const connectTimeoutMs = 10_000;
/** A server that is cut off meanwhile says no goodbye. */
const goodbyeMs = 2_000;

/**
 * @param statementTimeoutMs of each statement.
 * @throws what the server or the work throws; the signal's reason when it fires first.
 */
export async function withDatabase<Result>(
  connectionString: string,
  statementTimeoutMs: number,
  signal: AbortSignal,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  const socket = new Socket();
  const hangUp = (): void => void socket.destroy();
  const client = new Client({
    connectionString,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs,
    application_name: 'holdfast runbook',
    stream: () => socket,
  });
  // A connection that breaks between two uses is told by the next use; without a listener it would end the process.
  client.on('error', () => undefined);
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    const goodbye = setTimeout(hangUp, goodbyeMs);
    await client.end();
    clearTimeout(goodbye);
    signal.removeEventListener('abort', hangUp);
  }
}
