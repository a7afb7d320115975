/** Three gateways over stores of their own, a provider that keeps books, and clients that do: what faults are tried on. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { migrate } from '../../gateway/stores/migrate.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { type PostgresServer, startPostgres } from '../../runbooks/lab/postgres.ts';
import { type GatewayOptions, startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  agreed,
  bookkeepingUpstream,
  type ClientEntry,
  type Clients,
  databaseEntries,
  reconcile,
} from '../support/ledgers.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { isQuiet } from '../support/quiet-machine.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

export interface Site {
  readonly directory: string;
  readonly gateways: readonly TestGateway[];
  readonly urls: readonly string[];
  readonly upstream: Awaited<ReturnType<typeof bookkeepingUpstream>>;
  /** Another one after `restart`. */
  readonly postgres: () => PostgresServer;
  restart(): Promise<void>;
  /** Waits until it answers. @returns false once it does, true when it does not in time. */
  postgresAnswers(withinMs: number): Promise<boolean>;
  /** A key that every gateway has served, so that none has to ask for it. */
  newKey(fields?: object): Promise<string>;
  /** Waits until the database has what the clients were told, and compares the three ledgers. */
  reconciled(...clients: readonly Clients[]): Promise<void>;
  /** The same gateway again, at its port and on its data. Its process has ended. */
  startAgain(index: number): Promise<TestGateway>;
  close(): Promise<void>;
}

export interface SiteOptions {
  readonly gateways?: number;
  readonly general?: string;
  /** Of each gateway, by its number from 0. */
  readonly environment?: (index: number) => Readonly<Record<string, string>>;
  /** Where the gateways find the database, when not directly. */
  readonly through?: (postgres: PostgresServer) => Promise<string>;
  readonly dataDirectory?: string;
  readonly upstream?: Partial<Parameters<typeof bookkeepingUpstream>[0]>;
  /** Clients come through a load balancer, which repeats what a dead gateway has not begun to answer. */
  readonly balanced?: boolean;
  readonly postgresDirectory?: string;
  readonly postgresSettings?: Readonly<Record<string, string>>;
}

/** Millionths of a dollar for each prompt and completion token. */
export const tokenMicros = { prompt: 1, completion: 2 };

export const configOf = (upstreamUrl: string, general = ''): string => `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstreamUrl}", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
general_settings: {outbox_retain_seconds: 0, default_output_tokens: 500${general === '' ? '' : `, ${general}`}}`;

export async function openSite(options: SiteOptions = {}): Promise<Site> {
  const directory = await temporaryDirectory();
  const port = await freePort();
  const start = () =>
    startPostgres({
      dataDirectory: options.postgresDirectory ?? join(directory, 'postgres'),
      port,
      settings: { fsync: 'off', ...options.postgresSettings },
      logFile: join(directory, 'postgres.log'),
    });
  let postgres = await start();
  await migrate(postgres.url());
  const upstream = await bookkeepingUpstream({ name: 'the upstream', chunkEveryMs: 1, ...options.upstream });
  const databaseUrl = (await options.through?.(postgres)) ?? postgres.url();
  const gatewayOptions: GatewayOptions = {
    config: configOf(upstream.url, options.general),
    databaseUrl,
    ...(options.dataDirectory === undefined ? {} : { dataDirectory: options.dataDirectory }),
  };
  const startOne = (index: number, more: Partial<GatewayOptions> = {}): Promise<TestGateway> =>
    startTestGateway({ ...gatewayOptions, ...more, environment: options.environment?.(index) ?? {} });
  const gateways = await Promise.all(Array.from({ length: options.gateways ?? 3 }, (_, index) => startOne(index)));
  return {
    directory,
    gateways,
    urls: gateways.map(({ url }) => url),
    upstream,
    postgres: () => postgres,
    restart: async () => {
      postgres = await start();
    },
    startAgain: async (index) => {
      const again = await startOne(index, { port: Number(new URL(gateways[index]?.url ?? '').port) });
      gateways[index] = again;
      return again;
    },
    postgresAnswers: async (withinMs) => {
      const answers = () =>
        query(postgres.url(), 'SELECT 1').then(
          () => true,
          () => false,
        );
      return until(answers, withinMs).then(
        () => false,
        () => true,
      );
    },
    newKey: async (fields = {}) => {
      const [first] = gateways;
      if (first === undefined) throw new Error('no gateway');
      const key = await makeKey(first, fields);
      for (const gateway of gateways) expect((await chat(gateway, key)).status).toBe(200);
      return key;
    },
    reconciled: async (...clients) => {
      const entries = clients.flatMap((one) => one.entries);
      const ids = entries.filter(({ tokens }) => tokens !== undefined).map(({ callId }) => callId);
      const called = upstream.entries.filter(isOurs).map(({ callId }) => callId);
      await until(async () => {
        const rows = new Set((await databaseEntries(postgres.url())).map(({ callId }) => callId));
        return [...ids, ...called].every((id) => rows.has(id));
      }, 15_000);
      const database = await databaseEntries(postgres.url());
      expect(
        reconcile({
          clients: entries,
          upstreams: upstream.entries.filter(isOurs),
          database: ours(database),
          balanced: options.balanced ?? false,
        }),
      ).toEqual(agreed);
      const wrong = database.filter(
        ({ ending, costMicros, promptTokens, completionTokens }) =>
          ending === 'finished' &&
          costMicros !==
            BigInt((promptTokens ?? 0) * tokenMicros.prompt + (completionTokens ?? 0) * tokenMicros.completion),
      );
      expect(wrong).toEqual([]);
    },
    close: async () => {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await upstream.close();
      await postgres.stop('immediate');
    },
  };
}

const isOurs = ({ callId }: { readonly callId: string }): boolean => callId.startsWith('c-');
const ours = <Entry extends { readonly callId: string }>(entries: readonly Entry[]): Entry[] => entries.filter(isOurs);

export async function makeKey(gateway: TestGateway, fields: object = {}): Promise<string> {
  const answer = await gateway.post('/key/generate', fields);
  return z.object({ key: z.string() }).parse(await answer.json()).key;
}

export const chat = (gateway: TestGateway, key: string, over: object = {}): Promise<Response> =>
  gateway.post(
    '/v1/chat/completions',
    { model: 'chat', messages: [{ role: 'user', content: 'hello' }], max_tokens: 100, ...over },
    { authorization: `Bearer ${key}` },
  );

/** Below which this part of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** How long answers took that were asked for in this time, milliseconds. */
export const tookBetween = (entries: readonly ClientEntry[], fromMs: number, toMs: number): number[] =>
  entries.filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs < toMs).map(({ tookMs }) => tookMs);

export interface Slowdown {
  /** Milliseconds. */
  readonly before: { readonly p50: number; readonly p99: number };
  readonly during: { readonly p50: number; readonly p99: number };
}

export const slowdown = (before: readonly number[], during: readonly number[]): Slowdown => ({
  before: { p50: quantile(before, 0.5), p99: quantile(before, 0.99) },
  during: { p50: quantile(during, 0.5), p99: quantile(during, 0.99) },
});

/**
 * Nobody waited for a store. Two cores that other tests use as well add tens of milliseconds by themselves, and hundreds at
 * the tail; a store that does not answer would add its time-out to every request that asked it.
 * @param addedMs what the matrix allows one in a hundred to take longer; asserted where nothing else runs.
 */
export function expectNoWait({ before, during }: Slowdown, addedMs: number): void {
  expect(during.p50 - before.p50).toBeLessThan(isQuiet ? 5 : 50);
  expect(during.p99).toBeLessThan(isQuiet ? before.p99 + addedMs : 2 * before.p99 + 250);
}

/** Of the clients, how many got which status. */
export const statuses = (entries: readonly ClientEntry[]): Record<string, number> =>
  Object.fromEntries(
    Object.entries(Object.groupBy(entries, ({ status }) => status)).map(([s, all]) => [s, all?.length ?? 0]),
  );

/** A process and everything it has started: PostgreSQL is one process for each connection. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  const children = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .flatMap(([child]) => child ?? []);
  for (const one of [pid, ...children]) {
    try {
      process.kill(one, signal);
    } catch (error) {
      // It ended meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

/** What was measured, for whoever reads the output of a run. */
export const tell = (row: string, facts: Readonly<Record<string, unknown>>): void =>
  void process.stdout.write(`${row}: ${JSON.stringify(facts)}\n`);

/** Of one metric of a gateway, all labels together. */
export async function metric(gateway: TestGateway, name: string): Promise<number> {
  const text = await (await gateway.request('/metrics')).text();
  const values = text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

export const rows = (site: Site, sql: string): Promise<Record<string, unknown>[]> => query(site.postgres().url(), sql);
