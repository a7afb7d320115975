/** The gateway's application in the test's own process: real stores, no port. */
import { pino } from 'pino';
import { loadConfig } from '../../gateway/config/load.ts';
import { type Generation, prepareGeneration } from '../../gateway/generation.ts';
import { type Ground, openGround } from '../../gateway/ground.ts';
import { readSettings } from '../../gateway/settings.ts';
import { configFor, masterKey } from './gateway.ts';

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Record<string, unknown>;
  readonly text: string;
}

export interface WiredGateway {
  readonly ground: Ground;
  /** The one that requests begin with. */
  readonly generation: Generation;
  /** POST with a body, GET without; the master key unless another is given. */
  readonly call: (
    path: string,
    body?: object | string,
    key?: string,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<JsonAnswer>;
  /** The same, which must succeed. */
  readonly ok: (path: string, body?: object, key?: string) => Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export interface WiredOptions {
  readonly databaseUrl: string | undefined;
  readonly config?: string;
  readonly dataDirectory: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Do not read the record first: for databases that cannot be reached. */
  readonly unstarted?: true;
}

export async function wireGateway(options: WiredOptions): Promise<WiredGateway> {
  const settings = readSettings({
    LITELLM_MASTER_KEY: masterKey,
    HOLDFAST_DATA_DIRECTORY: options.dataDirectory,
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
    ...options.environment,
  });
  const { config } = loadConfig(options.config ?? configFor(['http://127.0.0.1:9']), {
    source: 'config.yaml',
    environment: {},
  });
  const ground = openGround({
    settings,
    config,
    logger: pino({ level: 'silent' }),
    version: 'test',
    isLeaving: () => false,
    metricsText: () => async () => ({ contentType: 'text/plain', body: '' }),
    writesSnapshot: false,
  });
  if (options.unstarted !== true) await ground.stores.mirror?.start(1_000);
  (await prepareGeneration(ground, config)).commit();
  const generation = current(ground);
  const call: WiredGateway['call'] = async (path, body, key = masterKey, headers = {}) => {
    const response = await current(ground).app.inject({
      method: body === undefined ? 'GET' : 'POST',
      url: path,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const read: unknown = response.body.startsWith('{') || response.body.startsWith('[') ? response.json() : {};
    return { status: response.statusCode, headers: response.headers, body: asRecord(read), text: response.body };
  };
  return {
    ground,
    generation,
    call,
    ok: async (path, body, key) => {
      const answer = await call(path, body, key);
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
      return answer.body;
    },
    close: async () => {
      await ground.live.close();
      await ground.close();
    },
  };
}

function current({ live }: Ground): Generation {
  if (live.current === undefined) throw new Error('no configuration is live');
  return live.current;
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error('the answer is no object');
  return Object.fromEntries(Object.entries(value));
}
