/** A program that starts PostgreSQL on the folder in its arguments, prints one line of JSON and waits to be ended. */
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../runbooks/lab/postgres.ts';

const [dataDirectory = ''] = process.argv.slice(2);
const server = await startPostgres({ dataDirectory, port: await freePort() });
process.stdout.write(`${JSON.stringify({ pid: server.pid, url: server.url() })}\n`);
