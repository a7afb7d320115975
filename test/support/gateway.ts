/** A real gateway process for a test: a config, a database, a port, and its end. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { youngHeapFlag } from '../../gateway/contract.ts';
import { migrate } from '../../gateway/stores/migrate.ts';
import {
  type Exit,
  launch,
  type RunningProcess,
  stopProcess,
  waitUntilReady,
} from '../../runbooks/lab/child-process.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type DatabaseTemplate, freshDatabase } from './postgres.ts';

export const masterKey = 'sk-master-key-of-the-tests';

const holdfast = fileURLToPath(new URL('../../bin/holdfast.ts', import.meta.url));

/** Copied for each test file, so that migrations run once in a run. */
export const migrated: DatabaseTemplate = {
  name: 'migrated',
  prepare: async (url) => {
    await migrate(url);
  },
};

export const migratedDatabase = () => freshDatabase(migrated);

export interface GatewayOptions {
  /** Text of a config.yaml. */
  readonly config: string;
  readonly databaseUrl?: string;
  readonly workers?: number;
  readonly port?: number;
  /** Kept when given, so that a second gateway can find what the first one left; else a temporary one. */
  readonly dataDirectory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** `bin/holdfast.ts` of another version. */
  readonly program?: string;
  /** Do not wait for readiness: for gateways that shall fail. */
  readonly expectFailure?: true;
}

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The file it reads its config from. */
  readonly configPath: string;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  /** Everything it wrote. */
  output(): Promise<string>;
  /** A drain, and the end of the process. */
  stop(): Promise<Exit>;
  request(path: string, init?: RequestInit): Promise<Response>;
  /** POST with the master key. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

export async function startTestGateway(options: GatewayOptions): Promise<TestGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
  const configPath = join(directory, 'config.yaml');
  const logFile = join(directory, 'output.log');
  await writeFile(configPath, options.config);
  const port = options.port ?? (await freePort());
  const running = await launch({
    command: process.execPath,
    args: [
      youngHeapFlag,
      options.program ?? holdfast,
      'gateway',
      '--config',
      configPath,
      '--port',
      String(port),
      '--workers',
      String(options.workers ?? 1),
    ],
    environment: {
      PATH: process.env['PATH'] ?? '',
      HOST: '127.0.0.1',
      LITELLM_MASTER_KEY: masterKey,
      HOLDFAST_DATA_DIRECTORY: options.dataDirectory ?? join(directory, 'data'),
      HOLDFAST_DRAIN_NOTICE_SECONDS: '0',
      ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
      ...options.environment,
    },
    logFile,
    signalAtParentExit: 'SIGKILL',
  });
  const url = `http://127.0.0.1:${port}`;
  if (options.expectFailure !== true) {
    await waitUntilReady(running, { name: 'the gateway', isReady: () => isReady(url), timeoutSeconds: 20 });
  }
  return {
    url,
    port,
    pid: running.pid,
    configPath,
    exited: running.exited,
    kill: (signal) => running.kill(signal),
    output: () => readFile(logFile, 'utf8'),
    stop: async () => {
      const exit = await end(running);
      await rm(directory, { recursive: true, force: true });
      return exit;
    },
    request: (path, init) => fetch(`${url}${path}`, init),
    post: (path, body, headers) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
  };
}

const end = (running: RunningProcess): Promise<Exit> =>
  stopProcess(running, [
    { signal: 'SIGTERM', patienceSeconds: 15 },
    { signal: 'SIGKILL', patienceSeconds: 5 },
  ]);

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch (error) {
    // Not listening yet.
    if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError')) return false;
    throw error;
  }
}

/** Config with one model group `chat` over these upstreams. */
export const configFor = (upstreams: readonly string[], extra = ''): string => `
model_list:
${upstreams
  .map(
    (url, index) => `  - model_name: chat
    litellm_params: {model: openai/upstream-model, api_base: "${url}", api_key: sk-upstream-${index}}
    model_info: {id: deployment-${index}}`,
  )
  .join('\n')}
${extra}`;

export const hello = { model: 'chat', messages: [{ role: 'user', content: 'Hello!' }] } as const;
