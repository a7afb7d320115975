/** Servers that are silent, hang up, or say something else than expected: a runbook ends its wait, or goes on. */
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { awsBackups } from '../../../runbooks/aws/backups.ts';
import { takesToken } from '../../../runbooks/aws/cache-token.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { oldestUnshippedSeconds } from '../../../runbooks/aws/prometheus-vitals.ts';
import { awsRegionTraffic } from '../../../runbooks/aws/region-traffic.ts';
import { withDatabase } from '../../../runbooks/aws/with-database.ts';
import { spec } from '../../lib/specs.ts';
import { refusal, result, startWire, type WireService } from '../../support/aws/wire.ts';

const { signal } = new AbortController();
const never = 60_000;

async function listening(made: Server): Promise<number> {
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void made.close());
  const address = made.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A server that does this with each connection. */
function server(onConnection: (socket: Socket) => void): Promise<number> {
  const made = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    onConnection(socket);
  });
  return listening(made);
}

describe('a database', () => {
  it('that is silent keeps nobody who stops waiting', async () => {
    const port = await server((socket) => socket.resume());
    const stopping = new AbortController();
    const asked = withDatabase(`postgresql://a:b@127.0.0.1:${port}/c`, never, stopping.signal, async () => 'answered');
    setTimeout(() => stopping.abort(new Error('the operator stops')), 50);
    await expect(asked).rejects.toThrow('the operator stops');
  });

  it('that is cut off after its answer, and says no goodbye, keeps nobody either', { timeout: 10_000 }, async () => {
    const message = (kind: string, body: Buffer): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length + 4);
      return Buffer.concat([Buffer.from(kind), length, body]);
    };
    // "You are in", "I am ready" (PostgreSQL's protocol 3.0): all that this server ever says.
    const greeting = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]);
    const port = await server((socket) => {
      socket.once('data', () => socket.write(greeting));
      socket.resume();
    });
    expect(await withDatabase(`postgresql://a:b@127.0.0.1:${port}/c`, never, signal, async () => 'done')).toBe('done');
  });
});

describe('a cache', () => {
  it('that hangs up before it answers is a fault, and not a wait without an end', async () => {
    const port = await server((socket) => socket.end());
    await expect(takesToken(`redis://127.0.0.1:${port}`, 'token', signal)).rejects.toThrow('hangs up');
  });

  it('is not asked by a run that has been stopped', async () => {
    const port = await server((socket) => socket.resume());
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(takesToken(`redis://127.0.0.1:${port}`, 'token', stopped)).rejects.toThrow();
  });
});

describe('Prometheus behind a proxy', () => {
  const answered = { status: 'success', data: { result: [{ value: [0, '7'] }] } };
  const proxied = async () => {
    const port = await listening(
      createHttpServer(({ url, headers }, response) => {
        const isRight = url?.startsWith('/prometheus/api/v1/query?query=') === true;
        const isAllowed = headers.authorization === `Basic ${Buffer.from('ops:p@ss').toString('base64')}`;
        response.writeHead(isRight && isAllowed ? 200 : 403, { connection: 'close' }).end(JSON.stringify(answered));
      }),
    );
    return `127.0.0.1:${port}/prometheus/`;
  };

  it('gets its password in a header, at its path; no error tells either', async () => {
    const place = await proxied();
    expect(await oldestUnshippedSeconds(() => `http://ops:p%40ss@${place}`)('us-west-2', signal)).toBe(7);
    const refused = oldestUnshippedSeconds(() => `http://ops:wr0ng@${place}`)('us-west-2', signal);
    await expect(refused).rejects.toThrow(/^Prometheus at http:\/\/127\.0\.0\.1:\d+ answers 403$/);
  });
});

async function clientsOf(services: Readonly<Record<string, WireService>>): Promise<AwsClients> {
  const wire = await startWire({ services });
  const clients = new AwsClients(wire.access);
  onTestFinished(async () => {
    clients.destroy();
    await wire.close();
  });
  return clients;
}

it.each(['', 'by hand', '{"run":1}'])('a takeover object that somebody has put by hand (%j) is there', async (body) => {
  const clients = await clientsOf({ s3: () => ({ xml: body }) });
  const traffic = awsRegionTraffic(clients, () => 'takeover');
  expect(await traffic.takeover('us-west-2', signal)).toBe('unknown');
});

it('a log of backups is found also on the last page of what an account has', async () => {
  const platform = definePlatform(spec());
  const own = 'acme-production-us-east-1-db-1';
  const page = (marker: string, ...names: string[]): string =>
    `<DBInstanceAutomatedBackups>${names
      .map(
        (name) =>
          `<DBInstanceAutomatedBackup><DBInstanceIdentifier>${name}</DBInstanceIdentifier><DBInstanceAutomatedBackupsArn>arn:${name}</DBInstanceAutomatedBackupsArn><RestoreWindow><LatestTime>2026-01-01T00:00:00Z</LatestTime></RestoreWindow></DBInstanceAutomatedBackup>`,
      )
      .join('')}</DBInstanceAutomatedBackups>${marker}`;
  const clients = await clientsOf({
    rds: ({ action, fields }) => {
      if (action === 'DescribeDBInstances') return refusal('DBInstanceNotFound', 'gone', 404);
      return fields.get('Marker') === 'more'
        ? result(action, page('', own))
        : result(action, page('<Marker>more</Marker>', 'somebody-elses'));
    },
  });
  const backups = awsBackups(clients, { platform, regionOf: () => platform.primary, databaseUrl: () => '' });
  expect(await backups.newestBackup('postgresql-wal', 'us-east-1', signal)).toMatchObject({ id: `arn:${own}` });
});
