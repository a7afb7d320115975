/**
 * `npm run bench:quick`: CPU microseconds per request of the gateway's full path, against a bare node:http + undici
 * proxy in the same run, and what its parts cost: each is left out by a way that operators have, too. CPU time is read
 * from /proc (Linux), so the load generator's own speed does not matter. A busy machine makes all dearer, so they take
 * turns in short rounds and are compared round by round.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrate } from '../../gateway/stores/migrate.ts';
import { launch, stopProcess, waitUntilReady } from '../../runbooks/lab/child-process.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../runbooks/lab/postgres.ts';
import { masterKey, startTestGateway } from '../support/gateway.ts';
import { limitedKey } from './limited-key.ts';
import { type Contestant, measure, startUpstream } from './load.ts';
import { differences, ratios, shown } from './statistics.ts';

const rounds = 24;
const requestsEach = 2_000;

const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
const upstream = await startUpstream();
const config = `
model_list:
${['v1', 'v1/']
  .map(
    (path) => `  - model_name: chat
    litellm_params: {model: openai/upstream-model, api_base: "${upstream.origin}/${path}", api_key: sk-upstream}
    model_info: {input_cost_per_token: 0.000001, output_cost_per_token: 0.000001, max_output_tokens: 1000}`,
  )
  .join('\n')}
`;

const postgres = await startPostgres({ dataDirectory: join(directory, 'postgres'), port: await freePort() });
await migrate(postgres.url());
const bareLog = join(directory, 'bare.log');
const bare = await launch({
  command: process.execPath,
  args: [fileURLToPath(new URL('bare-proxy.ts', import.meta.url)), upstream.origin],
  logFile: bareLog,
  signalAtParentExit: 'SIGKILL',
});
await waitUntilReady(bare, {
  name: 'the bare proxy',
  isReady: () => Promise.resolve(readFileSync(bareLog, 'utf8').trim() !== ''),
  timeoutSeconds: 10,
});
const start = (name: string, databaseUrl: string | undefined, environment: Readonly<Record<string, string>> = {}) =>
  startTestGateway({
    config,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    environment: { HOLDFAST_LOG_FILE: join(directory, `${name}.log`), ...environment },
  });
const full = await start('full', postgres.url());
const quiet = await start('quiet', postgres.url(), { LITELLM_LOG: 'WARN' });
const stateless = await start('stateless', undefined);

const bareOrigin = `http://127.0.0.1:${readFileSync(bareLog, 'utf8').trim()}`;
const contestant = (name: string, { pid, url }: { pid: number; url: string }, key = masterKey): Contestant => ({
  name,
  pid,
  origin: url,
  key,
  samples: [],
});
const yardstick = contestant('bare node:http + undici', { pid: bare.pid, url: bareOrigin });
const path = contestant('gateway, full path', full);
const limited = contestant('for a key with limits', full, await limitedKey(full));
const withoutLog = contestant('without log lines', quiet);
const withoutDatabase = contestant('without a database', stateless);
const all = [yardstick, path, limited, withoutLog, withoutDatabase];
await measure(all, rounds, requestsEach);

await Promise.all([full, quiet, stateless].map((gateway) => gateway.stop()));
await stopProcess(bare, [{ signal: 'SIGKILL', patienceSeconds: 2 }]);
await postgres.stop('immediate');
upstream.close();
await rm(directory, { recursive: true });

const say = (what: string, figures: string, remark: string): boolean =>
  process.stdout.write(`${what.padEnd(26)} ${figures} ${remark}\n`);
for (const { name, samples } of all) say(name, shown(samples, 1), 'us CPU per request');
say('ratio, full path to bare', shown(ratios(path, yardstick), 2), '');
say('admission', shown(differences(limited, path), 1), 'us: a budget and three limits on key and team, against none');
say('outbox', shown(differences(path, withoutDatabase), 1), 'us: with shipping and all else that a database brings');
say('log line', shown(differences(path, withoutLog), 1), 'us: against LITELLM_LOG=WARN');
process.stdout.write(
  `medians of ${rounds} alternating rounds of ${requestsEach} requests, and the quartiles; parts are differences within a round\n`,
);
