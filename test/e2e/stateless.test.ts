import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launch, stopProcess } from '../../runbooks/lab/child-process.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, hello, masterKey, startTestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream({ name: 'an upstream' });
});
afterAll(() => upstream.close());

const holdfast = fileURLToPath(new URL('../../bin/holdfast.ts', import.meta.url));

/** `holdfast gateway` with these variables and nothing else. */
async function bare(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bare-'));
  const port = await freePort();
  const logFile = join(directory, 'output.log');
  const running = await launch({
    command: process.execPath,
    args: [holdfast, 'gateway', '--port', String(port), ...args],
    environment: {
      PATH: process.env['PATH'] ?? '',
      HOST: '127.0.0.1',
      HOLDFAST_DATA_DIRECTORY: directory,
      HOLDFAST_DRAIN_NOTICE_SECONDS: '0',
      ...environment,
    },
    logFile,
    signalAtParentExit: 'SIGKILL',
  });
  onTestFinished(async () => {
    await stopProcess(running, [{ signal: 'SIGKILL', patienceSeconds: 5 }]);
    await rm(directory, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    exited: running.exited,
    output: () => readFile(logFile, 'utf8'),
    ready: () => until(async () => (await fetch(`${url}/health/ready`).catch(() => undefined))?.ok === true, 25_000),
    ask: (model: string, key?: string) =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        },
        body: JSON.stringify({ ...hello, model }),
      }),
  };
}

/** The log is written in batches, half a second late at most. */
const says = (gateway: { output(): Promise<string> }, text: string): Promise<void> =>
  until(async () => (await gateway.output()).includes(text));

describe('without a database', () => {
  it('the master key serves, routes that need the database say 503 and why, and readiness is healthy', async () => {
    const gateway = await startTestGateway({ config: configFor([upstream.url]) });
    onTestFinished(() => void gateway.stop());
    expect((await gateway.post('/v1/chat/completions', hello)).status).toBe(200);
    const refused = await gateway.post('/key/generate', {});
    expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining('set DATABASE_URL')]);
    expect((await gateway.post('/v1/chat/completions', hello, { authorization: 'Bearer sk-other' })).status).toBe(401);
    const ready = await gateway.request('/health/ready');
    expect(await ready.json()).toMatchObject({ status: 'healthy', db: 'Not connected', cache: null });
    await says(gateway, 'no database');
    expect((await gateway.stop()).code).toBe(0);
  });

  it('keys are left out only when the config says so, with a loud warning, and nobody is an administrator', async () => {
    const config = configFor([upstream.url], 'general_settings: {allow_unauthenticated: true}');
    const gateway = await startTestGateway({ config, environment: { LITELLM_MASTER_KEY: '' } });
    onTestFinished(() => void gateway.stop());
    const ask = (headers: Record<string, string>) =>
      gateway.request('/v1/chat/completions', { method: 'POST', headers, body: JSON.stringify(hello) });
    expect((await ask({})).status).toBe(200);
    expect((await ask({ authorization: 'Bearer not-needed' })).status).toBe(200);
    expect((await gateway.post('/key/generate', {})).status).toBe(403);
    await says(gateway, 'NO KEYS');
  });

  it.each([
    ['', /Nobody could sign in.*allow_unauthenticated/],
    [masterKey, /allow_unauthenticated is true, and there is a master key/],
  ])('with master key "%s" a config that leaves it open who may ask does not start', async (key, message) => {
    const open = key === '' ? '' : 'general_settings: {allow_unauthenticated: true}';
    const gateway = await startTestGateway({
      config: configFor([upstream.url], open),
      environment: { LITELLM_MASTER_KEY: key },
      expectFailure: true,
    });
    expect((await gateway.exited).code).toBe(2);
    expect(await gateway.output()).toMatch(message);
  });
});

describe('without a config file', () => {
  it.each([1, 2])(
    'a provider’s key is enough, with %i workers: it says what it serves, and the key for this run',
    async (workers) => {
      const gateway = await bare(
        { OPENAI_API_KEY: 'sk-upstream', OPENAI_BASE_URL: upstream.url },
        '--workers',
        String(workers),
      );
      await gateway.ready();
      await says(gateway, '"serves":["openai/*",');
      const key = /sk-[\w-]{40,}/.exec(await gateway.output())?.[0];
      for (const [model, name] of [
        ['openai/some-model', 'some-model'],
        ['another', 'another'],
      ] as const) {
        expect((await gateway.ask(model, key)).status).toBe(200);
        expect(upstream.requests.at(-1)).toMatchObject({
          body: { model: name },
          headers: { authorization: 'Bearer sk-upstream' },
        });
      }
      expect((await gateway.ask('another')).status).toBe(401);
    },
  );

  it('each provider whose key is set is served under its prefix, with the master key that is set', async () => {
    const gateway = await bare({
      ANTHROPIC_API_KEY: 'a',
      GOOGLE_API_KEY: 'g',
      AZURE_API_KEY: 'without an address it is of no use',
      LITELLM_MASTER_KEY: masterKey,
    });
    await gateway.ready();
    await says(gateway, '"serves":["anthropic/*","gemini/*"]');
    expect(await gateway.output()).not.toContain('administrator key is');
    expect((await gateway.ask('gpt-4o', masterKey)).status).toBe(400);
  });

  it('and without any key it ends with one clear error', async () => {
    const gateway = await bare({});
    expect((await gateway.exited).code).toBe(2);
    const output = await gateway.output();
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).toMatch(/nothing to serve.*--config FILE.*OPENAI_API_KEY, .*ANTHROPIC_API_KEY/);
  });

  it('a file that was named must be there, whatever keys are set', async () => {
    const gateway = await bare({
      OPENAI_API_KEY: 'x',
      CONFIG_FILE_PATH: '/nowhere/config.yaml',
      LITELLM_MASTER_KEY: masterKey,
    });
    expect((await gateway.exited).code).toBe(2);
    expect(await gateway.output()).toContain('/nowhere/config.yaml cannot be read');
  });
});
