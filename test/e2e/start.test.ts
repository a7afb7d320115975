import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Exit, launch, stopProcess } from '../../runbooks/lab/child-process.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startUpstream } from '../../runbooks/lab/upstream.ts';
import { isRunning, until } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Started {
  readonly exited: Promise<Exit>;
  output(): Promise<string>;
  interrupt(): void;
  stop(): Promise<Exit>;
}

/** `npm start` without npm: what it runs, in an environment with nothing else in it. */
async function start(
  directory: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const logFile = join(directory, 'terminal.log');
  const running = await launch({
    command: process.execPath,
    args: [join(root, 'bin/holdfast.ts'), 'start', '--data', join(directory, 'data'), ...args],
    // A folder without a .env file.
    directory,
    environment: { PATH: process.env['PATH'] ?? '', ...environment },
    logFile,
    signalAtParentExit: 'SIGKILL',
  });
  return {
    exited: running.exited,
    output: () => readFile(logFile, 'utf8'),
    interrupt: () => running.kill('SIGINT'),
    stop: () =>
      stopProcess(running, [
        { signal: 'SIGINT', patienceSeconds: 15 },
        { signal: 'SIGKILL', patienceSeconds: 5 },
      ]),
  };
}

const ready = (started: Started) => until(async () => (await started.output()).includes('Ctrl-C ends it'), 50_000);
const keyIn = (output: string): string | undefined => /shown this once: (sk-\S+)/.exec(output)?.[1];
const pidsIn = (output: string): number[] =>
  [...output.matchAll(/process(?:es)? ([\d, ]+)/g)].flatMap(([, list]) => (list ?? '').split(', ').map(Number));

async function chat(port: number, key: string | undefined): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello!' }] }),
  });
}

describe('npm start on a machine with nothing', () => {
  it('answers with demo upstreams, shows the administrator key once, survives a dead upstream and a restart, and leaves nothing running', async () => {
    const directory = await temporaryDirectory();
    const port = await freePort();
    const first = await start(directory, ['--port', String(port), '--workers', '2']);
    await ready(first);
    const output = await first.output();
    const key = keyIn(output);
    expect(key).toMatch(/^sk-[\w-]{43}$/);
    expect(output).toContain(`curl http://127.0.0.1:${port}/v1/chat/completions`);
    expect(output).toContain('embedded, data in');
    const pids = pidsIn(output);
    expect(pids).toHaveLength(4);

    // The line it prints is meant to be pasted: it holds the key and a model that answers.
    expect((await chat(port, key)).status).toBe(200);
    const victim = Number(/kill -9 (\d+)/.exec(output)?.[1]);
    process.kill(victim, 'SIGKILL');
    for (let request = 0; request < 10; request++) expect((await chat(port, key)).status).toBe(200);

    expect(await first.stop()).toEqual({ code: 0, signal: null });
    expect(await first.output()).toContain('Stopped.');
    expect(pids.filter((pid) => isRunning(pid))).toEqual([]);

    const second = await start(directory, ['--port', String(port)]);
    await ready(second);
    expect(keyIn(await second.output())).toBeUndefined();
    expect((await chat(port, key)).status).toBe(200);
    // The first request after a restart comes from a database that kept its rows.
    expect(await second.stop()).toEqual({ code: 0, signal: null });
  }, 60_000);

  it('with a provider key in .env the same config reaches the provider, and deployments whose variable is missing are named and left out', async () => {
    const directory = await temporaryDirectory();
    const provider = await startUpstream({ name: 'the real provider' });
    await writeFile(
      join(directory, '.env'),
      `OPENAI_API_KEY=sk-from-the-file\nOPENAI_BASE_URL=${provider.url}\nLITELLM_MASTER_KEY=sk-master-from-the-file\n`,
    );
    const port = await freePort();
    const started = await start(directory, ['--port', String(port)]);
    await ready(started);
    const answer = await chat(port, 'sk-master-from-the-file');
    expect(await answer.text()).toContain('This is the real provider. You said: Hello!');
    expect(provider.requests.at(-1)?.headers.authorization).toBe('Bearer sk-from-the-file');
    const output = await started.output();
    expect(output).toContain('OPENAI_API_KEY_BACKUP is not set; this deployment is left out');
    expect(output).not.toContain('demo upstream');
    expect(output).not.toContain('sk-from-the-file');
    await started.stop();
    await provider.close();
  }, 60_000);

  it('Ctrl-C while it is still starting ends it with nothing left running', async () => {
    const directory = await temporaryDirectory();
    const started = await start(directory, ['--port', String(await freePort())]);
    await until(
      async () => (await readFile(join(directory, 'data', 'postgres.log'), 'utf8').catch(() => '')).length > 0,
      20_000,
    );
    started.interrupt();
    expect((await started.exited).code).toBe(0);
    await expectDatabaseFolderFree(directory);
  }, 60_000);
});

describe('what is in the way is said in one clear error, with an exit code and nothing left running', () => {
  it('a taken port: exit code 1', async () => {
    const directory = await temporaryDirectory();
    const port = await freePort();
    const occupant = createServer().listen(port, '127.0.0.1');
    const started = await start(directory, ['--port', String(port)]);
    expect((await started.exited).code).toBe(1);
    expect(await started.output()).toContain(`Port ${port} on 127.0.0.1 cannot be listened on`);
    occupant.close();
  });

  it('a bad config: exit code 2 before anything is started', async () => {
    const directory = await temporaryDirectory();
    const started = await start(directory, ['--config', join(root, 'test/fixtures/config/five-faults.yaml')]);
    expect((await started.exited).code).toBe(2);
    const output = await started.output();
    expect(output).toMatch(/five-faults\.yaml has 5 faults:/);
    expect(output.trim().split('\n').slice(1)).toHaveLength(5);
    await expect(readFile(join(directory, 'data', 'postgres.log'))).rejects.toThrow('ENOENT');
  });

  it('a config file that is not there: exit code 2', async () => {
    const directory = await temporaryDirectory();
    const started = await start(directory, ['--config', 'nowhere.yaml']);
    expect((await started.exited).code).toBe(2);
    expect(await started.output()).toContain('nowhere.yaml cannot be read (ENOENT)');
  });

  it('a database that cannot be reached, without a snapshot: exit code 1, no password shown', async () => {
    const directory = await temporaryDirectory();
    const url = `postgresql://holdfast:not-for-your-eyes@127.0.0.1:${await freePort()}/holdfast`;
    const started = await start(directory, ['--port', String(await freePort())], { DATABASE_URL: url });
    expect((await started.exited).code).toBe(1);
    const output = await started.output();
    expect(output).toContain('cannot be reached (ECONNREFUSED), and there is no snapshot');
    expect(output).not.toContain('not-for-your-eyes');
  });

  it('variables that cannot be used: all of them at once, exit code 2', async () => {
    const directory = await temporaryDirectory();
    const started = await start(directory, [], {
      PORT: 'four thousand',
      DATABASE_URL: 'mysql://x',
      REDIS_URL: 'http://x',
    });
    expect((await started.exited).code).toBe(2);
    expect(await started.output()).toMatch(/PORT: .*\n.*DATABASE_URL: .*\n.*REDIS_URL: /);
  });
});

/** A second start on the folder works only if nobody holds it. */
async function expectDatabaseFolderFree(directory: string): Promise<void> {
  const again = await start(directory, ['--port', String(await freePort())]);
  await ready(again);
  expect((await again.stop()).code).toBe(0);
}
