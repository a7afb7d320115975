/** `holdfast verify` against a real gateway, as a person runs it. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { query } from '../support/query.ts';

const holdfast = fileURLToPath(new URL('../../bin/holdfast.ts', import.meta.url));

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({ name: 'the upstream' });
  gateway = await startTestGateway({
    config: `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
  - model_name: vectors
    litellm_params: {model: openai/text-embedding-3-small, api_base: "${upstream.url}", api_key: sk-u}`,
    databaseUrl: database.url,
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

interface Ended {
  readonly code: number;
  readonly output: string;
}

const verify = (args: readonly string[], key: string | null = masterKey): Promise<Ended> =>
  new Promise((resolve) => {
    const environment = { PATH: process.env['PATH'] ?? '', ...(key === null ? {} : { HOLDFAST_KEY: key }) };
    const child = execFile(
      process.execPath,
      [holdfast, 'verify', ...args],
      { env: environment, timeout: 25_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });

describe('holdfast verify', () => {
  it('asks everything that a client asks, finds the spend in the ledger, and ends with 0', async () => {
    const { code, output } = await verify([gateway.url, '--write', '--json']);
    expect(JSON.parse(output)).toMatchObject({
      ok: true,
      findings: [
        { check: 'health', is: 'ok' },
        { check: 'completion', is: 'ok', note: 'chat answered' },
        { check: 'stream', is: 'ok' },
        { check: 'embeddings', is: 'ok', note: expect.stringContaining('vectors: ') },
        { check: 'spend', is: 'ok', note: expect.stringMatching(/^\$0\.0000/) },
        { check: 'write', is: 'ok' },
      ],
    });
    expect(code).toBe(0);
    // The key that it made is gone again.
    expect(await query(database.url, `SELECT key_alias FROM api_key WHERE key_alias LIKE 'holdfast-verify-%'`)).toEqual(
      [],
    );
  });

  it('ends with 1 and says which check failed when the key may not call the model', async () => {
    const { code, output } = await verify([gateway.url, '--model', 'nothing-like-it']);
    expect(code).toBe(1);
    expect(output).toMatch(/FAILED\s+completion/);
    expect(output).toMatch(/ok\s+health/);
    expect(output).not.toContain(masterKey);
  });

  it('sees a stream that is cut off, which looks like an answer', async () => {
    const cut = createServer((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n');
    });
    const port = await freePort();
    await new Promise<void>((resolve) => cut.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => void cut.close());
    const url = `http://127.0.0.1:${port}`;
    const { code, output } = await verify([url, '--model', 'chat', '--spend-patience', '1']);
    expect(code).toBe(1);
    expect(output).toContain('it was cut off after 1 chunks');
  });

  it('ends with 1 where nobody listens, and with 2 without a key or an address', async () => {
    const away = await verify(['http://127.0.0.1:9', '--spend-patience', '1']);
    expect(away.code).toBe(1);
    expect(away.output).toContain('health');
    expect((await verify([gateway.url], null)).code).toBe(2);
    expect((await verify(['gateway'])).code).toBe(2);
  });
});
