/**
 * `npm run bench:quick`: CPU microseconds per request of the gateway's full path, against a bare node:http + undici
 * proxy in the same run. CPU time is read from /proc (Linux), so the load generator's own speed does not matter. A busy
 * machine makes both dearer, so they take turns in short rounds and are compared round by round.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { migrate } from '../../gateway/stores/migrate.ts';
import { launch, stopProcess, waitUntilReady } from '../../runbooks/lab/child-process.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { startPostgres } from '../../runbooks/lab/postgres.ts';
import { configFor, masterKey, startTestGateway } from '../support/gateway.ts';

const concurrency = 32;
const warmUpRequests = 12_000;
const countedRequests = 2_000;
const rounds = 24;

const filler = 'The quick brown fox jumps over the lazy dog. '.repeat(30);
const requestBody = Buffer.from(JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: filler }] }));
const answerBody = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'upstream-model',
    choices: [{ index: 0, message: { role: 'assistant', content: filler.slice(0, 900) }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 300, completion_tokens: 200, total_tokens: 500 },
  }),
);

interface Contestant {
  readonly name: string;
  readonly pid: number;
  readonly origin: string;
  readonly samples: number[];
}

const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
const upstream = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answerBody.length });
    response.end(answerBody);
  });
});
await new Promise<void>((listening) => {
  upstream.listen(0, '127.0.0.1', listening);
});
const address = upstream.address();
const upstreamOrigin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;

const postgres = await startPostgres({ dataDirectory: join(directory, 'postgres'), port: await freePort() });
await migrate(postgres.url());
const bareLog = join(directory, 'bare.log');
const bare = await launch({
  command: process.execPath,
  args: [fileURLToPath(new URL('bare-proxy.ts', import.meta.url)), upstreamOrigin],
  logFile: bareLog,
  signalAtParentExit: 'SIGKILL',
});
await waitUntilReady(bare, {
  name: 'the bare proxy',
  isReady: () => Promise.resolve(readFileSync(bareLog, 'utf8').trim() !== ''),
  timeoutSeconds: 10,
});
const gateway = await startTestGateway({
  config: configFor([`${upstreamOrigin}/v1`, `${upstreamOrigin}/v1/`]),
  databaseUrl: postgres.url(),
  environment: { HOLDFAST_LOG_FILE: join(directory, 'gateway.log') },
});

const contestants: readonly Contestant[] = [
  {
    name: 'bare node:http + undici',
    pid: bare.pid,
    origin: `http://127.0.0.1:${readFileSync(bareLog, 'utf8').trim()}`,
    samples: [],
  },
  { name: 'gateway, full path', pid: gateway.pid, origin: gateway.url, samples: [] },
];
for (const contestant of contestants) await load(contestant.origin, warmUpRequests);
for (let round = 0; round < rounds; round++) {
  for (const { origin, pid, samples } of round % 2 === 0 ? contestants : contestants.toReversed()) {
    const before = cpuMicroseconds(pid);
    await load(origin, countedRequests);
    samples.push((cpuMicroseconds(pid) - before) / countedRequests);
  }
}

await gateway.stop();
await stopProcess(bare, [{ signal: 'SIGKILL', patienceSeconds: 2 }]);
await postgres.stop('immediate');
upstream.closeAllConnections();
upstream.close();
await rm(directory, { recursive: true });

const [yardstick, full] = contestants.map(({ samples }) => samples);
for (const { name, samples } of contestants) {
  process.stdout.write(`${name.padEnd(26)} ${shown(samples, 1)} us CPU per request\n`);
}
const ratios = (full ?? []).map((one, round) => one / (yardstick?.[round] ?? Number.NaN));
process.stdout.write(`${'ratio'.padEnd(26)} ${shown(ratios, 2)}\n`);
process.stdout.write(`medians of ${rounds} rounds of ${countedRequests} requests, and the quartiles\n`);

function shown(samples: readonly number[], digits: number): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const [lower, middle, upper] = [0.25, 0.5, 0.75].map((share) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  return `${middle?.toFixed(digits).padStart(6)} (${lower?.toFixed(digits)} to ${upper?.toFixed(digits)})`;
}

/** Of all threads. */
function cpuMicroseconds(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return sum + Number(nanoseconds) / 1_000;
  }, 0);
}

async function load(origin: string, requests: number): Promise<void> {
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const headers = { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' };
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await pool.request({ path: '/v1/chat/completions', method: 'POST', headers, body: requestBody });
      await answer.body.dump();
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode} from ${origin}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  await pool.close();
}
