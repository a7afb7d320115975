/** Leaders, configurations and keys while stores and processes fail: rows G1, G3, L1 and L2, and the start with nothing there. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../gateway/stores/migrate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startObjectStore, storeObject } from '../../runbooks/lab/object-store.ts';
import { startPostgres } from '../../runbooks/lab/postgres.ts';
import { hello, masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { json, type Recorder, startRecorder } from '../support/recorder.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const leaseSeconds = 2;
const says = {
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
};

let upstream: Recorder;

beforeAll(async () => {
  upstream = await startRecorder(json(200, says));
});
afterAll(() => upstream.close());

const serving = (name: string, extra = ''): string => `
model_list:
  - model_name: ${name}
    litellm_params: {model: openai/m, api_base: "${upstream.origin}/v1", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
${extra}`;

const s3At = (url: string) => ({
  CONFIG_S3_BUCKET: 'configs',
  CONFIG_S3_KEY: 'live.yaml',
  CONFIG_S3_ENDPOINT_URL: url,
  AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'not-a-secret',
});

async function ask(gateway: TestGateway, model: string, key = masterKey): Promise<Response> {
  return gateway.post('/v1/chat/completions', { ...hello, model }, { authorization: `Bearer ${key}` });
}

async function answers(gateway: TestGateway, model: string, key?: string): Promise<boolean> {
  const response = await ask(gateway, model, key);
  await response.arrayBuffer();
  return response.status === 200;
}

interface Status {
  readonly leadership: { readonly role: string; readonly leader: string | null; readonly epoch: number | null };
  readonly config: { readonly version: number | null; readonly fault: string | null };
  readonly degraded: readonly { readonly reason: string; readonly since: string }[];
  readonly processes: readonly { readonly config_version: number | null }[] | null;
}

async function statusOf(gateway: TestGateway): Promise<Status> {
  const response = await gateway.request('/admin/status', { headers: { authorization: `Bearer ${masterKey}` } });
  expect(response.status).toBe(200);
  const status: Status = JSON.parse(await response.text());
  return status;
}

async function newKey(gateway: TestGateway, fields: object = {}): Promise<string> {
  const response = await gateway.post('/key/generate', fields);
  const body: unknown = await response.json();
  if (typeof body !== 'object' || body === null || !('key' in body)) throw new Error(JSON.stringify(body));
  return String(body.key);
}

const measured = (row: string, what: string, milliseconds: number): void =>
  void process.stdout.write(`${row}: ${what} ${Math.round(milliseconds)} ms\n`);

describe('G3, L1: a leader that is frozen for longer than its lease', () => {
  it('is followed within the lease and half a second; awake again it leads nobody, stores nothing, and runs on the version of the others', async () => {
    const store = await startObjectStore();
    onTestFinished(() => store.close());
    const put = (text: string): void => void storeObject(store.objects, 'configs/live.yaml', Buffer.from(text));
    put(serving('one'));
    const database = await migratedDatabase();
    onTestFinished(() => database.drop());
    const gateways = await Promise.all(
      [1, 2].map(() =>
        startTestGateway({
          config: serving('from-file'),
          databaseUrl: database.url,
          environment: {
            ...s3At(store.url),
            LLMROUTER_HA_LEASE_SECONDS: String(leaseSeconds),
            LLMROUTER_HA_RENEW_INTERVAL_SECONDS: '0.5',
          },
        }),
      ),
    );
    onTestFinished(async () => {
      for (const gateway of gateways) gateway.kill('SIGCONT');
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    });
    const roles = async (): Promise<string[]> =>
      Promise.all(gateways.map(async (gateway) => (await statusOf(gateway)).leadership.role));
    await until(async () => (await roles()).toSorted().join() === 'follower,leader');
    const led = (await roles()).indexOf('leader');
    const [leader, other] = [gateways[led], gateways[1 - led]];
    if (leader === undefined || other === undefined) throw new Error('no leader');
    const { epoch } = (await statusOf(leader)).leadership;

    leader.kill('SIGSTOP');
    const frozenAt = performance.now();
    put(serving('two'));
    await until(async () => (await statusOf(other)).leadership.role === 'leader', leaseSeconds * 1000 + 5_000);
    const tookMs = performance.now() - frozenAt;
    measured('L1', 'another leads after', tookMs);
    await until(() => answers(other, 'two'));
    const afterOneMore = await statusOf(other);
    expect(afterOneMore.leadership.epoch).toBe((epoch ?? 0) + 1);

    leader.kill('SIGCONT');
    await until(() => answers(leader, 'two'));
    await until(async () => (await roles()).toSorted().join() === 'follower,leader');
    expect((await statusOf(other)).leadership).toMatchObject({ role: 'leader', epoch: (epoch ?? 0) + 1 });
    const stored = await query(
      database.url,
      'SELECT leader_epoch, count(*)::integer AS versions FROM config_version GROUP BY 1 ORDER BY 1',
    );
    expect(stored.map(({ versions }) => versions)).toEqual([1, 1]);
    await until(async () => {
      const { processes } = await statusOf(other);
      return processes?.length === 2 && new Set(processes.map(({ config_version }) => config_version)).size === 1;
    });

    const killedAt = performance.now();
    other.kill('SIGKILL');
    await until(async () => (await statusOf(leader)).leadership.role === 'leader', leaseSeconds * 1000 + 5_000);
    measured('G1', 'after the kill of the leader another leads after', performance.now() - killedAt);
  }, 60_000);
});

describe('a start while PostgreSQL, Redis and S3 are all away', () => {
  it('serves known keys, refuses keys with budgets for a while and strangers with 503, and uses each store when it is back', async () => {
    const directory = await temporaryDirectory();
    const dataDirectory = join(directory, 'data');
    const [postgresPort, redisPort, storePort] = [await freePort(), await freePort(), await freePort()];
    const start = () =>
      startPostgres({ dataDirectory: join(directory, 'postgres'), port: postgresPort, settings: { fsync: 'off' } });
    let postgres = await start();
    onTestFinished(() => postgres.stop('immediate'));
    await migrate(postgres.url());
    let store = await startObjectStore({ port: storePort });
    onTestFinished(() => store.close());
    const put = (text: string): void => void storeObject(store.objects, 'configs/live.yaml', Buffer.from(text));
    const redis = `general_settings: {redis_host: 127.0.0.1, redis_port: ${redisPort}}`;
    put(serving('chat', redis));
    const options = {
      config: 'model_list: [',
      databaseUrl: postgres.url(),
      dataDirectory,
      environment: { ...s3At(store.url), LLMROUTER_HA_LEASE_SECONDS: '2', LLMROUTER_HA_RENEW_INTERVAL_SECONDS: '0.5' },
    };
    const first = await startTestGateway(options);
    const known = await newKey(first);
    const withBudget = await newKey(first, { max_budget: 1 });
    for (const key of [known, withBudget]) expect(await answers(first, 'chat', key)).toBe(true);
    const metrics = await (await first.request('/metrics')).text();
    expect(metrics).toContain('holdfast_config_version 1');
    await first.stop();
    await postgres.stop('immediate');
    await store.close();

    const startedAt = performance.now();
    const gateway = await startTestGateway(options);
    onTestFinished(() => gateway.stop().then(() => undefined));
    expect(await answers(gateway, 'chat', known)).toBe(true);
    measured('cold start', 'first answer to a known key after', performance.now() - startedAt);
    const refused = await ask(gateway, 'chat', withBudget);
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([503, true]);
    const stranger = await ask(gateway, 'chat', 'sk-nobody-knows-this-key');
    expect([stranger.status, Number(stranger.headers.get('retry-after')) > 0]).toEqual([503, true]);
    const ready = await gateway.request('/health/ready');
    expect([ready.status, await ready.json()]).toEqual([
      200,
      expect.objectContaining({
        status: 'degraded',
        reasons: expect.arrayContaining([expect.stringContaining('snapshot')]),
      }),
    ]);
    const reasons = (await statusOf(gateway)).degraded;
    expect(reasons.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['database', 'redis', 'snapshot']));
    expect(reasons.every(({ since }) => Date.parse(since) > 0)).toBe(true);

    postgres = await start();
    const databaseBackAt = performance.now();
    await until(() => answers(gateway, 'chat', withBudget), 5_000);
    measured('cold start', 'PostgreSQL is used after', performance.now() - databaseBackAt);
    store = await startObjectStore({ port: storePort });
    put(serving('renamed', redis));
    const storeBackAt = performance.now();
    await until(() => answers(gateway, 'renamed', known), 8_000);
    measured('cold start', 'S3 is used after', performance.now() - storeBackAt);
  }, 90_000);
});

describe('a key that is blocked', () => {
  it('is refused by another process of the region in less than a second, by word from the database', async () => {
    const database = await migratedDatabase();
    onTestFinished(() => database.drop());
    const gateways = await Promise.all(
      [1, 2].map(() =>
        startTestGateway({
          config: serving('chat'),
          databaseUrl: database.url,
          environment: { DIRECT_DATABASE_URL: database.url },
        }),
      ),
    );
    onTestFinished(() => Promise.all(gateways.map((gateway) => gateway.stop())).then(() => undefined));
    const [one, two] = gateways;
    if (one === undefined || two === undefined) throw new Error('no gateway');
    const tookMs: number[] = [];
    for (let round = 0; round < 5; round++) {
      const key = await newKey(one);
      expect(await answers(two, 'chat', key)).toBe(true);
      expect((await one.post('/key/block', { key })).status).toBe(200);
      const blockedAt = performance.now();
      await until(async () => !(await answers(two, 'chat', key)));
      tookMs.push(performance.now() - blockedAt);
    }
    measured('revocation', 'of five, the slowest after', Math.max(...tookMs));
    expect(Math.max(...tookMs)).toBeLessThan(1_000);
  }, 30_000);
});
