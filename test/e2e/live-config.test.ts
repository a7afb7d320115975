/** A configuration is changed where it lies, and every process serves it: no restart, no lost request. */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type ObjectStore, startObjectStore, storeObject } from '../../runbooks/lab/object-store.ts';
import { hello, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { json, type Recorder, startRecorder } from '../support/recorder.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const liveWithinMs = 5_000;
/** For what has no number of its own. */
const patienceMs = 20_000;
const says = {
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
};

let upstream: Recorder;
let objects: ObjectStore;

beforeAll(async () => {
  upstream = await startRecorder(json(200, says));
  objects = await startObjectStore();
});
afterAll(async () => {
  await upstream.close();
  await objects.close();
});

const serving = (name: string, extra = ''): string => `
model_list:
  - model_name: ${name}
    litellm_params: {model: openai/upstream-model, api_base: "${upstream.origin}/v1", api_key: sk-upstream}
    model_info: {id: named}
  - model_name: always
    litellm_params: {model: openai/upstream-model, api_base: "${upstream.origin}/v1/", api_key: sk-upstream}
    model_info: {id: always}
${extra}`;

const inS3 = (text: string): void => void storeObject(objects.objects, 'configs/live.yaml', Buffer.from(text));

const s3Environment = () => ({
  CONFIG_S3_BUCKET: 'configs',
  CONFIG_S3_KEY: 'live.yaml',
  CONFIG_S3_ENDPOINT_URL: objects.url,
  AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'not-a-secret',
  AWS_REGION: 'eu-west-1',
});

async function started(options: Parameters<typeof startTestGateway>[0]): Promise<TestGateway> {
  const gateway = await startTestGateway(options);
  onTestFinished(() => gateway.stop().then(() => undefined));
  return gateway;
}

/** For gateways that are ended before it. */
async function database(): Promise<string> {
  const fresh = await migratedDatabase();
  onTestFinished(() => fresh.drop());
  return fresh.url;
}

/** Processes behind one database; their local file is not what they serve. */
async function fleet(workers: readonly number[]): Promise<TestGateway[]> {
  const databaseUrl = await database();
  const gateways: TestGateway[] = [];
  // One after the other: a start needs a processor for itself.
  for (const count of workers) {
    const options = { config: serving('from-file'), databaseUrl, workers: count, environment: s3Environment() };
    gateways.push(await started(options));
  }
  return gateways;
}

async function answersFor(gateway: TestGateway, model: string): Promise<boolean> {
  const response = await gateway.post('/v1/chat/completions', { ...hello, model });
  await response.arrayBuffer();
  return response.status === 200;
}

async function adminGet(gateway: TestGateway, path: string): Promise<Record<string, unknown>> {
  const response = await gateway.request(path, { headers: { authorization: `Bearer ${masterKey}` } });
  const body: unknown = await response.json();
  expect(response.status, JSON.stringify(body)).toBe(200);
  return Object.fromEntries(Object.entries(body ?? {}));
}

/** Every worker of a gateway: they share its port, and connections are dealt out in turn. */
async function everywhere(gateway: TestGateway, workers: number, model: string): Promise<boolean> {
  for (let asked = 0; asked < workers * 2; asked++) {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify({ ...hello, model }),
    });
    await response.arrayBuffer();
    if (response.status !== 200) return false;
  }
  return true;
}

describe('L2: a configuration in S3', () => {
  it('is live in every process within five seconds, under load, with no failed request; a poisoned one changes nothing and says why; a rollback works', async () => {
    inS3(serving('one'));
    const gateways = await fleet([2, 1]);
    const [first] = gateways;
    if (first === undefined) throw new Error('no gateway');
    await until(
      async () => (await Promise.all(gateways.map((gateway) => answersFor(gateway, 'one')))).every(Boolean),
      patienceMs,
    );

    const failed: string[] = [];
    let sent = 0;
    const enough = new AbortController();
    onTestFinished(() => enough.abort());
    const load = Array.from({ length: 8 }, async (_, index) => {
      const gateway = gateways[index % gateways.length] ?? first;
      while (!enough.signal.aborted) {
        const response = await gateway.post('/v1/chat/completions', { ...hello, model: 'always' });
        const text = await response.text();
        sent++;
        if (response.status !== 200) failed.push(`${response.status} ${text}`);
      }
    });

    const changedAt = Date.now();
    inS3(serving('two'));
    await until(async () => (await everywhere(first, 2, 'two')) && (await answersFor(gateways[1] ?? first, 'two')));
    expect(Date.now() - changedAt).toBeLessThan(liveWithinMs);
    expect(await answersFor(first, 'one')).toBe(false);

    inS3('model_list: [{model_name: two, litellm_params: {}}]');
    await until(async () => {
      const reports = await Promise.all(gateways.map((gateway) => adminGet(gateway, '/config/sync/status')));
      return reports.some(({ fault }) => String(fault).includes('litellm_params.model'));
    }, patienceMs);
    expect(await everywhere(first, 2, 'two')).toBe(true);

    const { versions } = await adminGet(first, '/config/history');
    const numbers = (Array.isArray(versions) ? versions : []).map((version) => Number(version.version));
    const [newest = 0, before = 0] = numbers;
    const { diff } = await adminGet(first, `/config/diff?from=${before}&to=${newest}`);
    expect(diff).toEqual(expect.arrayContaining(['-  - model_name: one', '+  - model_name: two']));
    const rolledBack = await first.post('/config/rollback', { version: before });
    expect(await rolledBack.json()).toMatchObject({ source: `rollback to ${before}` });
    await until(
      async () => (await everywhere(first, 2, 'one')) && (await answersFor(gateways[1] ?? first, 'one')),
      patienceMs,
    );

    enough.abort();
    await Promise.all(load);
    expect({ failed: failed.slice(0, 3), some: sent > 50 }).toEqual({ failed: [], some: true });
  }, 60_000);

  it('is not needed for a start: what was live last lies on disk, sealed', async () => {
    inS3(serving('kept', 'litellm_settings: {drop_params: true}'));
    const dataDirectory = await temporaryDirectory();
    const config = 'model_list: [';
    const one = await startTestGateway({ config, dataDirectory, environment: s3Environment() });
    await until(() => answersFor(one, 'kept'));
    await one.stop();
    const away = { ...s3Environment(), CONFIG_S3_ENDPOINT_URL: 'http://127.0.0.1:9' };
    const two = await started({ config, dataDirectory, environment: away });
    expect(await answersFor(two, 'kept')).toBe(true);
    await until(async () =>
      (await two.output()).includes('starting with the last configuration of s3://configs/live.yaml'),
    );
  });
});

describe('a config file', () => {
  it('is watched without a database, too, and its end is no end', async () => {
    const gateway = await started({ config: serving('one') });
    await writeFile(gateway.configPath, serving('two'));
    await until(() => answersFor(gateway, 'two'), liveWithinMs);
    await rm(gateway.configPath);
    await until(async () => (await adminGet(gateway, '/llmrouter/config/sync/status'))['fault'] !== null);
    expect(await answersFor(gateway, 'two')).toBe(true);
    expect(await adminGet(gateway, '/config/sync/status')).toMatchObject({
      enabled: true,
      running: true,
      ha_mode: 'single',
      reload_count: 1,
      leader_election: { enabled: false, is_leader: false },
    });
  });
});

describe('a deployment that is made over the API', () => {
  it('is called within seconds, in every process, and no more once it is deleted; a faulty one is refused', async () => {
    const databaseUrl = await database();
    const gateways = await Promise.all(
      [1, 2].map(() =>
        started({ config: serving('file'), databaseUrl, environment: { LITELLM_SALT_KEY: 'salt-of-the-test' } }),
      ),
    );
    const [one, two] = gateways;
    if (one === undefined || two === undefined) throw new Error('no gateway');
    const params = { model: 'openai/upstream-model', api_base: `${upstream.origin}/v1/added`, api_key: 'sk-sealed' };
    const made = await one.post('/model/new', {
      model_name: 'added',
      litellm_params: params,
      model_info: { id: 'added-1' },
    });
    expect([made.status, await made.json()]).toEqual([200, expect.objectContaining({ model_id: 'added-1' })]);
    await until(async () => (await answersFor(one, 'added')) && (await answersFor(two, 'added')), liveWithinMs);
    expect(upstream.requests.findLast(({ path }) => path.includes('added'))?.headers.authorization).toBe(
      'Bearer sk-sealed',
    );
    const faulty = await one.post('/model/new', {
      model_name: 'added',
      litellm_params: { model: 'openai/x', rpm: 'many' },
    });
    expect([faulty.status, await faulty.text()]).toEqual([400, expect.stringContaining('rpm')]);
    expect((await one.post('/model/delete', { id: 'added-1' })).status).toBe(200);
    await until(async () => !(await answersFor(one, 'added')) && !(await answersFor(two, 'added')), liveWithinMs);
    expect(await answersFor(one, 'file')).toBe(true);
  }, 30_000);
});

describe('the command line', () => {
  it('pushes a configuration into the database, shows the history, and says how the gateway stands', async () => {
    const databaseUrl = await database();
    const environment = { CONFIG_SOURCE: 'database' };
    const gateway = await started({ config: serving('from-file'), databaseUrl, environment });
    const file = join(await temporaryDirectory(), 'pushed.yaml');
    await writeFile(file, serving('pushed'));
    expect(await holdfast('config', 'push', file, '--url', gateway.url)).toMatchObject({ code: 0 });
    await until(() => answersFor(gateway, 'pushed'), liveWithinMs);
    await writeFile(file, 'model_list: []');
    const refused = await holdfast('config', 'push', file, '--url', gateway.url);
    expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('model_list')]);
    expect((await holdfast('config', 'history', '--url', gateway.url)).output).toMatch(/push\s+by master key/);
    const status = await holdfast('status', gateway.url);
    expect([status.code, status.output]).toEqual([0, expect.stringMatching(/leader +this process, epoch 1/)]);

    // A new one with an empty disk finds it there, though its own file is another.
    const second = await started({ config: serving('from-file'), databaseUrl, environment });
    expect(await answersFor(second, 'pushed')).toBe(true);
  }, 60_000);
});

async function holdfast(...words: string[]): Promise<{ code: number; output: string }> {
  const entry = fileURLToPath(new URL('../../bin/holdfast.ts', import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [entry, ...words],
      { env: { PATH: process.env['PATH'] ?? '', LITELLM_MASTER_KEY: masterKey }, timeout: 30_000 },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
    );
  });
}

it('a process whose config file is not what is live says so once, and serves what is live', async () => {
  const databaseUrl = await database();
  const leader = await started({ config: serving('of-the-leader'), databaseUrl });
  await until(() => answersFor(leader, 'of-the-leader'), patienceMs);
  const other = await started({ config: serving('of-the-other'), databaseUrl });
  await until(() => answersFor(other, 'of-the-leader'), patienceMs);
  expect(await answersFor(other, 'of-the-other')).toBe(false);
  const said = (text: string): number => text.split('the config file of this process is not what is live').length - 1;
  await until(async () => said(await other.output()) === 1, patienceMs);
  // Another version becomes live: it is said already.
  await writeFile(leader.configPath, serving('changed'));
  await until(() => answersFor(other, 'changed'), patienceMs);
  expect([said(await leader.output()), said(await other.output())]).toEqual([0, 1]);
}, 60_000);
