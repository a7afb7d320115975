/** Load for the benchmark: an upstream that costs little, clients, and the CPU time of whom they ask. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Pool } from 'undici';

export interface Contestant {
  readonly name: string;
  readonly pid: number;
  readonly origin: string;
  readonly key: string;
  /** CPU microseconds per request, one for each round. */
  readonly samples: number[];
}

const concurrency = 32;
/** V8 goes on compiling for tens of thousands of requests; a gateway in use has that behind it after seconds. */
const warmUpRequests = 40_000;

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

/** Answers everything at once, and with the same. */
export async function startUpstream(): Promise<{ readonly origin: string; close(): void }> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answerBody.length });
      response.end(answerBody);
    });
  });
  await new Promise<void>((listening) => {
    server.listen(0, '127.0.0.1', listening);
  });
  const address = server.address();
  return {
    origin: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** In turns, each time beginning with another. @throws when one of them does not answer 200. */
export async function measure(contestants: readonly Contestant[], rounds: number, requests: number): Promise<void> {
  for (const contestant of contestants) await load(contestant, warmUpRequests);
  for (let round = 0; round < rounds; round++) {
    const first = round % contestants.length;
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      const before = cpuMicroseconds(contestant.pid);
      await load(contestant, requests);
      contestant.samples.push((cpuMicroseconds(contestant.pid) - before) / requests);
    }
  }
}

/** Of all threads. */
function cpuMicroseconds(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return sum + Number(nanoseconds) / 1_000;
  }, 0);
}

async function load({ origin, key }: Contestant, requests: number): Promise<void> {
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await pool.request({ path: '/v1/chat/completions', method: 'POST', headers, body: requestBody });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode} from ${origin}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  await pool.close();
}
