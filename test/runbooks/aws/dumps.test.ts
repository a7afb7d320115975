/** Dumps in S3 as their reader meets them: connections that break, objects that are replaced, buckets that are gone. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { type DumpFolder, newestDump, piecesOf, type StoredDump, storedDump } from '../../../runbooks/aws/dumps.ts';
import type { Backup } from '../../../runbooks/books/backup-world.ts';

const { signal } = new AbortController();
const MiB = 1024 * 1024;
const body = Buffer.alloc(20 * MiB, 'dump');
const etag = '"1"';
const dump: StoredDump = {
  region: 'us-east-1',
  bucket: 'backups',
  key: 'postgresql/7.dump',
  bytes: body.length,
  etag,
  storedAt: new Date(0),
};

/** @param answer `'whole'` = the bytes that were asked for. */
async function bucket(answer: (request: IncomingMessage, response: ServerResponse, asked: number) => 'whole' | void) {
  const ranges: string[] = [];
  const server = createServer((request, response) => {
    const range = String(request.headers.range);
    ranges.push(range);
    if (answer(request, response, ranges.length) !== 'whole') return;
    const [, from = 0, to = 0] = /bytes=(\d+)-(\d+)/.exec(range)?.map(Number) ?? [];
    response.writeHead(206, { etag, 'content-length': to - from + 1 });
    response.end(body.subarray(from, to + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const clients = new AwsClients({
    endpoint: `http://127.0.0.1:${address.port}`,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  onTestFinished(() => {
    clients.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { clients, ranges };
}

async function readWhole(clients: AwsClients, onRead: (bytes: number) => void = () => undefined): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(clients, dump, signal, onRead)) pieces.push(piece);
  return Buffer.concat(pieces);
}

it('comes in pieces; one whose connection breaks is asked for again, and nothing is lost or doubled', async () => {
  const { clients, ranges } = await bucket((_, response, asked) => {
    if (asked !== 2) return 'whole';
    response.writeHead(206, { etag, 'content-length': 8 * MiB });
    response.write(body.subarray(8 * MiB, 9 * MiB), () => response.destroy());
  });
  const read: number[] = [];
  expect((await readWhole(clients, (bytes) => read.push(bytes))).equals(body)).toBe(true);
  expect(ranges).toEqual(
    ['0-8388607', '8388608-16777215', '8388608-16777215', '16777216-20971519'].map((range) => `bytes=${range}`),
  );
  expect(read).toEqual([8 * MiB, 16 * MiB, 20 * MiB]);
});

it('one that is replaced while it is read ends the reading, and says what to do', async () => {
  const { clients } = await bucket((request, response, asked) => {
    if (asked === 1 || request.headers['if-match'] !== etag) return 'whole';
    response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>');
  });
  await expect(readWhole(clients)).rejects.toThrow(
    's3://backups/postgresql/7.dump was replaced while it was read: resume',
  );
});

it('one that may not be read is not asked for again and again', async () => {
  const { clients, ranges } = await bucket((_, response) => {
    response.writeHead(403).end('<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>');
  });
  await expect(readWhole(clients)).rejects.toThrow('s3://backups/postgresql/7.dump cannot be read: Access Denied');
  expect(ranges).toHaveLength(1);
});

const folders: readonly DumpFolder[] = ['west', 'east', 'far'].map((region) => ({
  region,
  bucket: `backups-${region}`,
  folder: 'postgresql/',
}));
const backup = (id: string, ageSeconds: number): Backup => ({ id, takenAt: '', ageSeconds });
const named = (name: string): Error => Object.assign(new Error(name), { name });

it.each([
  ['the region’s own, also when others have younger ones', { east: backup('own', 90), west: backup('copy', 5) }, 'own'],
  [
    'the youngest of the others when its bucket is empty',
    { west: backup('old', 90), far: backup('young', 5) },
    'young',
  ],
  ['the others’ when its bucket is gone', { east: named('NoSuchBucket'), far: backup('copy', 5) }, 'copy'],
  [
    'what another one has when a third does not answer',
    { west: named('TimeoutError'), far: backup('copy', 5) },
    'copy',
  ],
  ['none where there is none', {}, undefined],
] as const)('the newest dump of east: %s', async (_, found: Readonly<Record<string, Backup | Error>>, id) => {
  const newestIn = async ({ region }: DumpFolder): Promise<Backup | undefined> => {
    const here = found[region];
    if (here instanceof Error) throw here;
    return here;
  };
  expect((await newestDump(folders, 'east', newestIn))?.id).toBe(id);
});

it('a bucket of the region that cannot be asked is no reason to take an older dump in silence', async () => {
  const newestIn = async ({ region }: DumpFolder) => {
    if (region === 'east') throw named('AccessDenied');
    return backup('copy', 5);
  };
  await expect(newestDump(folders, 'east', newestIn)).rejects.toThrow('AccessDenied');
});

it.each([
  's3://backups-east/vault/7.snap',
  's3://somebody-elses/postgresql/7.dump',
  'postgresql/7.dump',
  's3://backups-east/',
])('%s is no dump of the platform, and S3 is not asked', async (id) => {
  const { clients, ranges } = await bucket(() => 'whole');
  expect(await storedDump(clients, id, folders, signal)).toBeUndefined();
  expect(ranges).toEqual([]);
});
