import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ConfigSource, FileSource, S3Source } from '../../../gateway/cluster/config-source.ts';
import { ConfigSync } from '../../../gateway/cluster/config-sync.ts';
import type { Leadership } from '../../../gateway/cluster/leader.ts';
import { openS3 } from '../../../gateway/region/s3-bucket.ts';
import { ConfigVersions } from '../../../gateway/stores/config-versions.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { startObjectStore, storeObject } from '../../../runbooks/lab/object-store.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const template = { name: 'migrated_for_config', prepare: async (url: string) => void (await migrate(url)) };
const everySeconds = 0.05;

async function prepare(text: string): Promise<string> {
  if (text.startsWith('bad')) throw new Error(`line 1: "${text}" is no config; write something good`);
  return text;
}

/** One process: what it has adopted, and a way to wait for it. */
function follower(source: ConfigSource, startText: string, shared?: { url: string; saltKey?: string; name: string }) {
  const adopted: string[] = [];
  const faults: string[] = [];
  const listeners = new Set<() => void>();
  const notify = (): void => {
    for (const listener of listeners) listener();
  };
  const role: { leadership: Leadership } = { leadership: { is: 'unknown' } };
  const pool = shared && openPool({ url: shared.url, poolSize: 1, onError: () => undefined });
  const versions = pool && new ConfigVersions(pool, shared.saltKey);
  const sync = new ConfigSync<string>({
    source,
    prepare,
    discard: async () => undefined,
    additions: undefined,
    adopt: (config) => adopted.push(config),
    startedWith: { text: startText, etag: undefined, additions: '' },
    shared:
      shared && versions
        ? { versions, leaseName: 'config_sync', leadership: () => role.leadership, processName: shared.name }
        : undefined,
    sourceSeconds: everySeconds,
    versionSeconds: everySeconds,
    onAdopted: notify,
    onFault: (message) => {
      faults.push(message);
      notify();
    },
  });
  onTestFinished(async () => {
    await sync.stop();
    await pool?.end();
  });
  sync.start();
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (holds()) resolve();
      };
      listeners.add(look);
      look();
    });
  return { sync, adopted, faults, role, until, adopts: (text: string) => until(() => adopted.at(-1) === text) };
}

async function inFile(text: string) {
  const path = join(await temporaryDirectory(), 'config.yaml');
  await writeFile(path, text);
  return { source: new FileSource(path), put: (next: string) => writeFile(path, next), path };
}

async function inS3(text: string) {
  const store = await startObjectStore();
  const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
  const client = openS3({ region: 'eu-west-1', endpoint: store.url, credentials });
  onTestFinished(async () => {
    client.destroy();
    await store.close();
  });
  const put = (next: string): void => void storeObject(store.objects, 'configs/config.yaml', Buffer.from(next));
  put(text);
  return { source: () => new S3Source(client, 'configs', 'config.yaml'), put };
}

/** Processes of one installation; the first leads. */
async function installation(source: () => ConfigSource, startText: string, count: number, saltKey?: string) {
  const fresh = await freshDatabase(template);
  onTestFinished(() => fresh.drop());
  const { url } = fresh;
  const salt = saltKey === undefined ? {} : { saltKey };
  const processes = Array.from({ length: count }, (_, index) =>
    follower(source(), startText, { url, name: `process-${index}`, ...salt }),
  );
  await lead(url, processes[0], 'process-0');
  return { url, processes };
}

async function lead(url: string, process: ReturnType<typeof follower> | undefined, holder: string): Promise<void> {
  await query(url, 'UPDATE leader_lease SET expires_at = clock_timestamp()');
  const [row] = await query(url, `SELECT epoch FROM take_leader_lease('config_sync', '${holder}', '1 hour')`);
  if (process !== undefined && typeof row?.['epoch'] === 'bigint') {
    process.role.leadership = { is: 'leader', epoch: row['epoch'] };
  }
}

describe('without a database', () => {
  it('a changed file is live in its process, and an unchanged one is not loaded again', async () => {
    const { source, put } = await inFile('one');
    const process = follower(source, 'one');
    await put('two');
    await process.adopts('two');
    await process.sync.reload(false);
    expect(process.adopted).toEqual(['two']);
  });

  it('a file that is no config, or is gone, changes nothing and is reported once, and the mended one is taken', async () => {
    const { source, put, path } = await inFile('one');
    const process = follower(source, 'one');
    await put('bad yaml');
    await process.until(() => process.faults.length === 1);
    expect(process.faults[0]).toContain('write something good');
    expect(process.sync.status).toMatchObject({ fault: process.faults[0], adoptedCount: 0 });
    await process.sync.reload(false);
    expect(process.faults).toHaveLength(1);
    await rm(path);
    await process.until(() => process.faults.length === 2);
    await put('three');
    await process.adopts('three');
    await process.sync.reload(false);
    expect(process.sync.status.fault).toBeUndefined();
  });

  it('a source that could not be read for a while is no fault any more once it can, changed or not', async () => {
    const { source, path } = await inFile('one');
    let broken = true;
    const flaky: ConfigSource = {
      name: path,
      read: (etag, signal) => (broken ? Promise.reject(new Error('unreachable')) : source.read(etag, signal)),
    };
    const process = follower(flaky, 'one');
    await process.until(() => process.faults.length === 1);
    expect(process.sync.status.fault).toBe('unreachable');
    broken = false;
    await process.sync.reload(false);
    expect(process.sync.status.fault).toBeUndefined();
    expect(process.adopted).toEqual([]);
  });
});

describe('with a database', () => {
  it('what is put into S3 is live in every process, as the same version, stored by the leader alone', async () => {
    const { source, put } = await inS3('one');
    const { processes, url } = await installation(source, 'one', 3);
    put('two');
    await Promise.all(processes.map((process) => process.adopts('two')));
    const versions = new Set(processes.map(({ sync }) => sync.status.adopted.version));
    expect(versions.size).toBe(1);
    expect(await query(url, 'SELECT DISTINCT created_by FROM config_version')).toEqual([{ created_by: 'process-0' }]);
  });

  it('a poisoned one changes nothing anywhere, and the status says why', async () => {
    const { source, put } = await inS3('one');
    const { processes, url } = await installation(source, 'one', 2);
    put('bad');
    await processes[0]?.until(() => processes[0]?.faults.length === 1);
    expect(processes.flatMap(({ adopted }) => adopted)).toEqual([]);
    // The process says it at once, and then writes it down.
    await expect
      .poll(() => query(url, 'SELECT fault, source FROM config_source_state'))
      .toMatchObject([{ source: 's3://configs/config.yaml', fault: expect.stringContaining('no config') }]);
    put('good');
    await Promise.all(processes.map((process) => process.adopts('good')));
    expect(await query(url, 'SELECT fault FROM config_source_state')).toEqual([{ fault: null }]);
  });

  it('a rollback is live everywhere, stays although the source is as it was, and ends with the next change', async () => {
    const { source, put } = await inS3('one');
    const { processes } = await installation(source, 'one', 2);
    const [leader] = processes;
    put('two');
    await Promise.all(processes.map((process) => process.adopts('two')));
    put('three');
    await Promise.all(processes.map((process) => process.adopts('three')));
    const second = (leader?.sync.status.adopted.version ?? 0n) - 1n;
    await leader?.sync.rollback(second, 'alice');
    await Promise.all(processes.map((process) => process.adopts('two')));
    await leader?.sync.reload(false);
    expect(leader?.adopted.at(-1)).toBe('two');
    put('four');
    await Promise.all(processes.map((process) => process.adopts('four')));
  });

  it('a rollback that a forced reload follows takes the source again', async () => {
    const { source, put } = await inS3('one');
    const { processes } = await installation(source, 'one', 1);
    const [leader] = processes;
    put('two');
    await leader?.adopts('two');
    put('three');
    await leader?.adopts('three');
    await leader?.sync.rollback((leader.sync.status.adopted.version ?? 0n) - 1n, 'alice');
    await leader?.adopts('two');
    await leader?.sync.reload(true);
    expect(leader?.adopted.at(-1)).toBe('three');
  });

  it('a leader that was replaced stores nothing any more', async () => {
    const { source, put } = await inS3('one');
    const { processes, url } = await installation(source, 'one', 1);
    await lead(url, undefined, 'somebody else');
    put('two');
    await processes[0]?.until(() => processes[0]?.faults.length === 1);
    expect(processes[0]?.faults[0]).toContain('is over');
    expect(await query(url, 'SELECT 1 FROM config_version WHERE content = convert_to($$two$$, $$UTF8$$)')).toEqual([]);
  });

  it('a version is sealed with the salt key; another key cannot open it, and then nothing changes', async () => {
    const { source, put } = await inS3('one');
    const { processes, url } = await installation(source, 'one', 1, 'a long salt key');
    const stranger = follower(source(), 'one', { url, name: 'stranger', saltKey: 'another salt key' });
    put('two, api_key: very-secret');
    await processes[0]?.adopts('two, api_key: very-secret');
    const rows = await query(url, `SELECT encode(content, 'escape') AS content, sealed FROM config_version`);
    expect(rows.every(({ sealed }) => sealed === true)).toBe(true);
    expect(JSON.stringify(rows)).not.toContain('very-secret');
    await stranger.until(() => stranger.faults.length === 1);
    expect(stranger.faults[0]).toContain('LITELLM_SALT_KEY');
    await stranger.sync.reload(false);
    expect(stranger.sync.status.fault).toBe(stranger.faults[0]);
    expect(stranger.faults).toHaveLength(1);
    expect(stranger.adopted).toEqual([]);
  });
});

it('a version that is pushed before the leader has stored the first of its source is not undone by that', async () => {
  const { source } = await inFile('good from the file');
  const { url, processes } = await installation(() => source, 'good from the file', 0);
  expect(processes).toEqual([]);
  const [leader, other] = ['process-0', 'process-1'].map((name) =>
    follower(source, 'good from the file', { url, name }),
  );
  if (leader === undefined || other === undefined) throw new Error('no processes');
  const [row] = await query(url, 'SELECT epoch FROM leader_lease');
  const epoch = BigInt(String(row?.['epoch']));
  other.role.leadership = { is: 'follower', leader: 'process-0', epoch };
  const pushed = await other.sync.push('good by hand', 'an administrator');
  leader.role.leadership = { is: 'leader', epoch };
  await leader.sync.reload(false);
  await leader.sync.reload(false);
  expect([leader.adopted.at(-1), other.adopted.at(-1)]).toEqual(['good by hand', 'good by hand']);
  expect(leader.sync.status.adopted.version).toBe(pushed.version);
});
