/** Real gateways in two regions, from the first forwarded change to the failover that makes the standby the writer. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { opened, seizure } from '../../../gateway/region/claim.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { ask } from '../../../runbooks/lab/region-database.ts';
import {
  labMasterKey,
  makeTemplate,
  type RegionName,
  startTwoRegions,
  type TwoRegions,
} from '../../../runbooks/lab/two-regions.ts';
import { startUpstream, type Upstream } from '../../../runbooks/lab/upstream.ts';
import { configFor, hello } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

let lab: TwoRegions;
let upstream: Upstream;
const ttlSeconds = 6;

beforeAll(async () => {
  const directory = await temporaryDirectory();
  upstream = await startUpstream({ name: 'the upstream' });
  const template = await makeTemplate(`${directory}/template`, async (url) => void (await migrate(url)));
  lab = await startTwoRegions({ directory, template, ttlSeconds, config: configFor([upstream.url]) });
  await until(async () => (await standing('a')) === 'writer' && (await standing('b')) === 'standby', 30_000);
}, 120_000);
afterAll(async () => {
  await lab?.stop();
  await upstream.close();
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

async function call(name: RegionName, path: string, body?: object, key = labMasterKey): Promise<Answer> {
  const [gateway] = lab.region(name).gateways;
  const response = await fetch(`${gateway?.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  const read: unknown = text.startsWith('{') ? JSON.parse(text) : {};
  const record = typeof read === 'object' && read !== null ? Object.fromEntries(Object.entries(read)) : {};
  return { status: response.status, text, headers: response.headers, body: record };
}

const standing = async (name: RegionName): Promise<unknown> => (await call(name, '/health/region')).body['standing'];
const chat = (name: RegionName, key: string): Promise<Answer> => call(name, '/v1/chat/completions', hello, key);

async function newKey(name: RegionName, more: object = {}): Promise<string> {
  const answer = await call(name, '/key/generate', more);
  expect(answer.text).toContain('"key":"sk-');
  return String(answer.body['key']);
}

const inDatabase = (name: RegionName, text: string) => ask(lab.region(name).operatorUrl, text);

describe('a standby region', () => {
  it('forwards changes to the writer, and knows a key that was made a moment ago although its replica does not yet', async () => {
    await lab.link('b.database>a.database').set({ freeze: 'both' });
    const key = await newKey('b', { key_alias: 'made-through-b' });
    expect(await inDatabase('b', `SELECT 1 FROM api_key WHERE key_alias = 'made-through-b'`)).toEqual([]);
    expect((await chat('b', key)).status).toBe(200);
    expect((await chat('b', 'sk-nobody-has-ever-made-this-one')).status).toBe(401);
    const info = await call('b', '/key/info', undefined, key);
    expect(info).toMatchObject({ status: 200 });
    await lab.heal();
  });

  it("sends its spend to the writer's ledger, where it is counted once", async () => {
    const key = await newKey('a');
    for (let count = 0; count < 5; count++) expect((await chat('b', key)).status).toBe(200);
    const rows = () =>
      inDatabase(
        'a',
        `SELECT count(*)::int AS n FROM spend_entry e JOIN api_key k USING (key_hash)
                                          WHERE k.key_hash = encode(sha256('${key}'), 'hex')`,
      );
    await until(async () => (await rows())[0]?.['n'] === 5, 15_000);
  });

  it('hears within 3 s that the writer has shut a key out, also when replication stands still', async () => {
    const key = await newKey('a');
    expect((await chat('b', key)).status).toBe(200);
    await lab.link('b.database>a.database').set({ freeze: 'both' });
    expect((await call('a', '/key/block', { key })).status).toBe(200);
    const begun = performance.now();
    await until(async () => (await chat('b', key)).status === 401, 10_000);
    expect(performance.now() - begun).toBeLessThan(3_000);
    await lab.heal();
  });

  it('makes one hop: what another region has sent goes no further, and what nobody signed is not answered', async () => {
    const [gateway] = lab.region('b').gateways;
    const forwarded = await fetch(`${gateway?.url}/key/generate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${labMasterKey}`, 'x-holdfast-forwarded-by': 'c' },
      body: '{}',
    });
    expect(forwarded.status).toBe(503);
    expect(await forwarded.text()).toContain('not_writer');
    expect((await call('b', '/internal/region/denials', { epoch: 0, after: 0 })).status).toBe(401);
  });

  it('takes the configuration that was pushed through it once the writer has stored it; both regions report the same version', async () => {
    const [gateway] = lab.region('b').gateways;
    const push = await fetch(`${gateway?.url}/config/push`, {
      method: 'POST',
      headers: { authorization: `Bearer ${labMasterKey}`, 'content-type': 'application/yaml' },
      body: configFor([upstream.url], 'router_settings: {num_retries: 1}'),
    });
    const pushed: unknown = await push.json();
    expect([push.status, pushed]).toMatchObject([200, { version: expect.any(Number) }]);
    const begun = performance.now();
    const report = async (name: RegionName) => (await call(name, '/config/sync/status')).body;
    const version = Object(pushed)['version'];
    await until(
      async () => (await report('a'))['version'] === version && (await report('b'))['version'] === version,
      15_000,
    );
    expect(performance.now() - begun).toBeLessThan(5_000);
    const [here, there] = [await report('a'), await report('b')];
    expect(there['config_sha256']).toBe(here['config_sha256']);
    expect(here['leader_election']).toMatchObject({ is_leader: true, consecutive_renewal_failures: 0 });
    // A replica takes no lease, and that is no failure.
    expect(there['leader_election']).toMatchObject({ is_leader: false, consecutive_renewal_failures: 0 });
    expect((await call('b', '/llmrouter/config/sync/status')).body['version']).toBe(version);
  });

  it('has spend priced by the writer; the command on its replica changes nothing, and says where it would', async () => {
    const key = await newKey('a');
    expect((await chat('b', key)).status).toBe(200);
    const costs = () =>
      inDatabase(
        'a',
        `SELECT cost_micros IS NULL AS unknown FROM spend_entry WHERE key_hash = encode(sha256('${key}'), 'hex')`,
      );
    await until(async () => (await costs()).length === 1, 15_000);
    expect(await costs()).toEqual([{ unknown: true }]);
    const priced = configFor([upstream.url]).replace(
      'api_key:',
      'input_cost_per_token: 1, output_cost_per_token: 1, api_key:',
    );
    const file = join(await temporaryDirectory(), 'config.yaml');
    await writeFile(file, priced);
    const command = await promisify(execFile)(
      process.execPath,
      [fileURLToPath(new URL('../../../bin/holdfast.ts', import.meta.url)), 'spend', 'reprice', '--config', file],
      { env: { PATH: process.env['PATH'], DATABASE_URL: lab.region('b').operatorUrl } },
    ).catch((error: unknown) => error);
    expect(command).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is a replica.* region that writes \(a\)/),
    });
    expect(await costs()).toEqual([{ unknown: true }]);
    const version = Number((await call('a', '/config/sync/status')).body['version']);
    const [gateway] = lab.region('b').gateways;
    await fetch(`${gateway?.url}/config/push`, {
      method: 'POST',
      headers: { authorization: `Bearer ${labMasterKey}`, 'content-type': 'application/yaml' },
      body: priced,
    });
    await until(async () => Number((await call('a', '/config/sync/status')).body['version']) > version, 15_000);
    expect((await call('b', '/spend/reprice', {})).body).toMatchObject({ next: null });
    expect(await costs()).toEqual([{ unknown: false }]);
  });

  it('stays ready whatever it may write, and says where it stands', async () => {
    expect((await call('b', '/health/ready')).body).toMatchObject({ status: 'healthy' });
    expect((await call('b', '/health/region')).body).toMatchObject({
      region: 'b',
      standing: 'standby',
      writer: 'a',
      epoch: 1,
      candidates: ['b'],
    });
    expect((await call('b', '/metrics')).text).toMatch(/holdfast_region_writer(\{[^}]*\})? 0/);
    expect((await call('a', '/metrics')).text).toMatch(/holdfast_region_writer(\{[^}]*\})? 1/);
  });
});

describe('X1 X2 regions that are cut off from each other', () => {
  it('serve both; changes are refused with the reason; a key can be shut out all the same, and the writer learns it later', async () => {
    const [known, blocked] = [await newKey('a'), await newKey('a')];
    for (const key of [known, blocked]) expect((await chat('b', key)).status).toBe(200);
    await lab.partition();
    const refused = await call('b', '/key/generate', {});
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(refused.text).toMatch(/writer_unreachable|write_outcome_unknown/);
    expect(refused.headers.get('x-holdfast-writer')).toBe('a');
    expect((await call('b', '/key/block', { key: blocked })).body).toMatchObject({ blocked: true, pending: true });
    expect((await chat('b', blocked)).status).toBe(401);
    // The claim lies in b: a cannot renew it any more.
    await until(async () => (await call('a', '/key/generate', {})).text.includes('writer_fenced'), 20_000);
    for (const name of ['a', 'b'] as const) {
      expect((await chat(name, known)).status).toBe(200);
      expect((await call(name, '/health/ready')).status).toBe(200);
    }
    await lab.heal();
    await until(async () => (await call('a', '/key/generate', {})).status === 200, 20_000);
    await until(async () => (await chat('a', blocked)).status === 401, 20_000);
    const row = () =>
      inDatabase('a', `SELECT blocked FROM api_key WHERE key_hash = encode(sha256('${blocked}'), 'hex')`);
    await until(async () => (await row())[0]?.['blocked'] === true, 20_000);
  }, 90_000);

  it('after a failover: the new writer takes changes without a restart, the old one forwards, and no spend is lost', async () => {
    const key = await newKey('a');
    expect((await chat('b', key)).status).toBe(200);
    const signal = AbortSignal.timeout(60_000);
    await lab.partition();
    // What a answers now, only its own database has.
    for (let count = 0; count < 5; count++) expect((await chat('a', key)).status).toBe(200);
    const claim = await change((current) => {
      const wanted = seizure(current, 'run-1', 'b');
      return wanted.is === 'refuse' ? undefined : wanted.claim;
    }, signal);
    await sleep(ttlSeconds * 1_010 + 100);
    const { operator } = lab.region('b');
    await operator.promote('run-1', signal);
    await operator.raise(claim.epoch, 'b', signal);
    const { row } = await operator.view(signal);
    await change((current) => opened(current, claim.epoch, row), signal);
    await until(
      async () => (await call('b', '/key/generate', { key_alias: 'by-the-new-writer' })).status === 200,
      20_000,
    );
    await lab.heal();
    await until(async () => (await standing('a')) === 'fenced' || (await standing('a')) === 'standby', 20_000);
    await until(
      async () => (await call('a', '/key/generate', { key_alias: 'forwarded-by-the-old' })).status === 200,
      20_000,
    );
    expect(
      await inDatabase('a', `SELECT 1 FROM api_key WHERE key_alias IN ('by-the-new-writer', 'forwarded-by-the-old')`),
    ).toEqual([]);
    expect(await inDatabase('b', `SELECT 1 AS n FROM api_key WHERE key_alias = 'forwarded-by-the-old'`)).toEqual([
      { n: 1 },
    ]);
    // The outbox of a had sent them to its own database, which nobody will ever ask again.
    const rows = () =>
      inDatabase('b', `SELECT count(*)::int AS n FROM spend_entry WHERE key_hash = encode(sha256('${key}'), 'hex')`);
    await until(async () => (await rows())[0]?.['n'] === 6, 30_000);
  }, 120_000);
});

async function change(
  decide: (claim: Parameters<typeof seizure>[0]) => Parameters<typeof seizure>[0] | undefined,
  signal: AbortSignal,
): Promise<Parameters<typeof seizure>[0]> {
  for (;;) {
    const reading = await lab.claims.read(signal);
    const next = reading.newest && decide(reading.newest);
    if (next === undefined) throw new Error('there is nothing to change');
    if ((await lab.claims.swap(reading, next, signal)).is === 'done') return next;
  }
}
