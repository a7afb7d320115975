/**
 * `npm run bench:quick`: CPU microseconds per request of the gateway's full path, against a bare node:http + undici
 * proxy in the same run. CPU time is read from /proc (Linux), so the load generator's own speed does not matter; the
 * ratio holds on a busy machine where requests per second do not.
 */
import { readFileSync } from 'node:fs';
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
const warmUpRequests = 8_000;
const countedRequests = 12_000;
const repeats = 5;
/** Linux counts process time in these ticks. */
const ticksPerSecond = 100;

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
for (let repeat = 0; repeat < repeats; repeat++) {
  for (const { origin, pid, samples } of contestants) {
    const before = cpuSeconds(pid);
    await load(origin, countedRequests);
    samples.push(((cpuSeconds(pid) - before) / countedRequests) * 1e6);
  }
}

await gateway.stop();
await stopProcess(bare, [{ signal: 'SIGKILL', patienceSeconds: 2 }]);
await postgres.stop('immediate');
upstream.closeAllConnections();
upstream.close();
await rm(directory, { recursive: true });

const [yardstick, full] = contestants.map(({ samples }) => samples.toSorted((a, b) => a - b));
for (const { name, samples } of contestants) {
  const sorted = samples.toSorted((a, b) => a - b);
  process.stdout.write(
    `${name.padEnd(26)} ${median(sorted).toFixed(1).padStart(6)} us CPU per request (${sorted[0]?.toFixed(1)} to ${sorted.at(-1)?.toFixed(1)}, ${repeats} runs of ${countedRequests})\n`,
  );
}
process.stdout.write(`ratio of medians           ${(median(full ?? []) / median(yardstick ?? [])).toFixed(2)}\n`);

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function cpuSeconds(pid: number): number {
  // Fields 14 and 15, counted behind the command's name, which may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
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
