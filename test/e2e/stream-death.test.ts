import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { eventBytes } from '../gateway/providers/bedrock/event-bytes.ts';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';

const chunks = 50;

const openai = Array.from(
  { length: chunks },
  (_, index) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: `w${index} ` }, finish_reason: null }] })}\n\n`,
);
const anthropicEvent = (data: { readonly type: string; readonly [member: string]: unknown }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const anthropic = [
  anthropicEvent({
    type: 'message_start',
    message: {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 3, output_tokens: 1 },
    },
  }),
  anthropicEvent({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  ...Array.from({ length: chunks - 2 }, (_, index) =>
    anthropicEvent({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: `w${index} ` } }),
  ),
];

const gemini = Array.from(
  { length: chunks },
  (_, index) =>
    `data: ${JSON.stringify({ candidates: [{ index: 0, content: { role: 'model', parts: [{ text: `w${index} ` }] } }] })}\n\n`,
);

/** Frames of AWS's binary event stream; the reason for stopping never comes. */
const bedrock = Array.from({ length: chunks }, (_, index) =>
  eventBytes([
    index === 0
      ? { type: 'messageStart', payload: { role: 'assistant' } }
      : { type: 'contentBlockDelta', payload: { contentBlockIndex: 0, delta: { text: `w${index} ` } } },
  ]),
);

const prices = 'input_cost_per_token: 0.000001, output_cost_per_token: 0.000002';

interface Death {
  readonly contentType: string;
  readonly events: readonly (string | Buffer)[];
}

function deathOf(path: string): Death {
  if (path.includes('/converse-stream')) return { contentType: 'application/vnd.amazon.eventstream', events: bedrock };
  const contentType = 'text/event-stream';
  if (path.endsWith('/messages')) return { contentType, events: anthropic };
  return { contentType, events: path.includes(':streamGenerateContent') ? gemini : openai };
}

let database: TestDatabase;
let upstream: Upstream;
let gateway: TestGateway;

/** Writes so many events and dies; which of the two deaths is part of the request, too. */
async function die(response: ServerResponse, { contentType, events }: Death, after: number): Promise<void> {
  if (after === 0) {
    response.destroy();
    return;
  }
  response.writeHead(200, { 'content-type': contentType });
  const write = (piece: string | Buffer) => new Promise<void>((written) => void response.write(piece, () => written()));
  for (const event of events.slice(0, after)) await write(event);
  // Half of them are cut off, most of these in the middle of an event; the others end properly but too early.
  if (after % 2 === 1) {
    response.end();
    return;
  }
  const next = events[after];
  if (next !== undefined) await write(next.slice(0, next.length / 2));
  response.destroy();
}

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startUpstream({
    name: 'a dying upstream',
    intercept: async ({ path, bytes }, response) => {
      await die(response, deathOf(path), Number(/die after (\d+)/.exec(bytes.toString())?.[1]));
      return true;
    },
  });
  const config = `
model_list:
  - model_name: openai
    litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-x, ${prices}}
  - model_name: azure
    litellm_params: {model: azure/m, api_base: "${upstream.url}", api_key: sk-x, ${prices}}
  - model_name: anthropic
    litellm_params: {model: anthropic/m, api_base: "${new URL(upstream.url).origin}", api_key: sk-x, ${prices}}
  - model_name: gemini
    litellm_params: {model: gemini/m, api_base: "${new URL(upstream.url).origin}", api_key: x, ${prices}}
  - model_name: bedrock
    litellm_params:
      model: bedrock/anthropic.claude-sonnet-4-5
      aws_bedrock_runtime_endpoint: "${new URL(upstream.url).origin}"
      aws_region_name: us-east-1
      aws_access_key_id: AKIAEXAMPLE
      aws_secret_access_key: secret-example
      input_cost_per_token: 0.000001
      output_cost_per_token: 0.000002
router_settings: {num_retries: 0, timeout: 10}
`;
  gateway = await startTestGateway({ config, databaseUrl: database.url });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

it.each(['openai', 'azure', 'anthropic', 'gemini', 'bedrock'])(
  '%s: an upstream that dies after any of 50 events leaves an error or an error event, in time, and exactly one row each, with what went out billed',
  async (model) => {
    const startedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: chunks + 1 }, async (_, after) => {
        const response = await gateway.request('/v1/chat/completions', {
          method: 'POST',
          headers: { authorization: `Bearer ${masterKey}`, 'x-litellm-call-id': `${model} ${after}` },
          body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: `die after ${after}.` }] }),
        });
        return { after, status: response.status, text: await response.text() };
      }),
    );
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    for (const { after, status, text } of answers) {
      expect({ after, done: text.includes('[DONE]'), error: text.includes('"error":{') }).toEqual({
        after,
        done: false,
        error: true,
      });
      if (status === 200) expect(text).toMatch(/data: {"error":{.*}}\n\n$/);
      else expect(status).toBeGreaterThanOrEqual(500);
    }
    const rows = () =>
      query(
        database.url,
        `SELECT call_id, count(*)::int AS n FROM spend_entry WHERE requested_model = '${model}' GROUP BY call_id`,
      );
    await until(async () => (await rows()).length === chunks + 1);
    expect((await rows()).filter((row) => row['n'] !== 1)).toEqual([]);
    const begun = answers.filter(({ status }) => status === 200).length;
    expect(begun).toBeGreaterThan(chunks - 5);
    expect(
      await query(
        database.url,
        `SELECT count(*)::int AS rows, min(prompt_tokens) > 0 AS prompt, min(cost_micros) > 0 AS cost,
                bool_and(estimated) AS estimated,
                -- One word a token and event; the first events of some vendors are none.
                bool_and(completion_tokens BETWEEN split_part(call_id, ' ', 2)::int - 3
                                               AND split_part(call_id, ' ', 2)::int + 1) AS words
           FROM spend_entry WHERE requested_model = '${model}' AND status = 200`,
      ),
    ).toEqual([{ rows: begun, prompt: true, cost: true, estimated: true, words: true }]);
    const health = await (await gateway.request('/health/backlog')).json();
    expect(health).toEqual({ in_flight_requests: 0 });
  },
);

it.each(['/v1/messages', '/v1/responses', '/v1/completions'])(
  '%s: the same for a client of another API: never an answer that looks whole, and exactly one row each',
  async (path) => {
    const deaths = [0, 1, 2, 3, 10, 49, 50];
    const prompt = (text: string) =>
      path === '/v1/responses'
        ? { input: text }
        : path === '/v1/completions'
          ? { prompt: text }
          : { messages: [{ role: 'user', content: text }], max_tokens: 10 };
    const answers = await Promise.all(
      deaths.map(async (after) => {
        const response = await gateway.request(path, {
          method: 'POST',
          headers: { authorization: `Bearer ${masterKey}`, 'x-litellm-call-id': `${path} ${after}` },
          body: JSON.stringify({ model: 'azure', stream: true, ...prompt(`die after ${after}.`) }),
        });
        return { after, status: response.status, text: await response.text() };
      }),
    );
    for (const { after, status, text } of answers) {
      const whole = /\[DONE\]|message_stop|response\.completed|"finish_reason":"stop"/.test(text);
      expect({ after, whole, error: /"error":{|"type":"error"|response\.failed/.test(text) }).toEqual({
        after,
        whole: false,
        error: true,
      });
      if (status !== 200) expect(status).toBeGreaterThanOrEqual(500);
    }
    const rows = () =>
      query(
        database.url,
        `SELECT call_id, count(*)::int AS n FROM spend_entry WHERE call_id LIKE '${path} %' GROUP BY call_id`,
      );
    await until(async () => (await rows()).length === deaths.length);
    expect((await rows()).filter((row) => row['n'] !== 1)).toEqual([]);
  },
);
