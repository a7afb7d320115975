/** A client that leaves in the middle of a stream: what it was sent is billed, estimated where nobody had reported it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventBytes } from '../gateway/providers/bedrock/event-bytes.ts';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';
import { named, type Recorder, startRecorder } from '../support/recorder.ts';

let database: TestDatabase;
let upstream: Recorder;
let gateway: TestGateway;

/** One token each by the gateway's reckoning, and the last thing that the provider says. */
const words = ['Ten', ' words', ' and', ' then', ' there', ' is', ' only', ' silence', ' here', ' END'];
const sse = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
const chunk = (members: object): string =>
  sse({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', ...members });
const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null };
const response = { id: 'resp_1', object: 'response', model: 'm', status: 'in_progress', output: [] };

/** The beginning of an answer in the words of the API at this path. */
function beginningAt(path: string): string | Buffer {
  if (path.endsWith('/converse-stream')) {
    return Buffer.concat(
      words.map((text) =>
        eventBytes([{ type: 'contentBlockDelta', payload: { contentBlockIndex: 0, delta: { text } } }]),
      ),
    );
  }
  if (path.includes(':streamGenerateContent')) {
    return words
      .map((text) => sse({ candidates: [{ index: 0, content: { role: 'model', parts: [{ text }] } }] }))
      .join('');
  }
  if (path.endsWith('/messages')) {
    return named(
      { type: 'message_start', message: { ...message, usage: { input_tokens: 25, output_tokens: 1 } } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      ...words.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    );
  }
  if (path.endsWith('/responses')) {
    return named(
      { type: 'response.created', response },
      ...words.map((delta) => ({
        type: 'response.output_text.delta',
        item_id: 'i',
        output_index: 0,
        content_index: 0,
        delta,
      })),
    );
  }
  const choice = (text: string): object =>
    path.endsWith('/chat/completions') ? { index: 0, delta: { content: text } } : { index: 0, text };
  return words.map((text) => chunk({ choices: [choice(text)] })).join('');
}

beforeAll(async () => {
  database = await migratedDatabase();
  upstream = await startRecorder(({ path, bytes }, answer) => {
    const binary = path.endsWith('/converse-stream');
    answer.writeHead(200, { 'content-type': binary ? 'application/vnd.amazon.eventstream' : 'text/event-stream' });
    answer.write(beginningAt(path));
    if (!bytes.includes('to the end')) return;
    answer.end(chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }) + 'data: [DONE]\n\n');
  });
  const priced = 'input_cost_per_token: 0.000001, output_cost_per_token: 0.0001';
  const entry = (group: string, params: string): string =>
    `  - {model_name: ${group}, litellm_params: {${params}, ${priced}}, model_info: {max_output_tokens: 100}}`;
  gateway = await startTestGateway({
    databaseUrl: database.url,
    config: `model_list:
${entry('openai', `model: openai/m, api_base: "${upstream.origin}/v1", api_key: sk-x`)}
${entry('openai-responses', `model: openai/m, api_base: "${upstream.origin}/v1", api_key: sk-x, use_responses_api: true`)}
${entry('azure', `model: azure/m, api_base: "${upstream.origin}", api_key: sk-x`)}
${entry('anthropic', `model: anthropic/m, api_base: "${upstream.origin}", api_key: sk-x`)}
${entry('gemini', `model: gemini/m, api_base: "${upstream.origin}", api_key: x`)}
${entry('bedrock', `model: bedrock/anthropic.claude-sonnet-4-5, aws_bedrock_runtime_endpoint: "${upstream.origin}", aws_region_name: us-east-1, aws_access_key_id: AKIAEXAMPLE, aws_secret_access_key: secret-example`)}
litellm_settings: {max_budget: 10, budget_duration: 30d}
`,
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await database.drop();
});

const messages = [{ role: 'user', content: 'Say ten words and then nothing.' }];
const bodyFor = (path: string): object => {
  if (path === '/v1/responses') return { input: 'Say ten words and then nothing.' };
  return path === '/v1/completions' ? { prompt: 'Say ten words and then nothing.' } : { messages, max_tokens: 50 };
};

/** Asks, waits for the last word, and leaves. */
async function leaveInTheMiddle(path: string, model: string, callId: string): Promise<void> {
  const abort = new AbortController();
  const answer = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${masterKey}`, 'x-litellm-call-id': callId },
    body: JSON.stringify({ model, stream: true, ...bodyFor(path) }),
    signal: abort.signal,
  });
  expect(answer.status).toBe(200);
  let text = '';
  for await (const piece of answer.body ?? []) {
    text += Buffer.from(piece).toString();
    if (text.includes('END')) break;
  }
  abort.abort();
}

it.each([
  ['/v1/chat/completions', 'openai'],
  ['/v1/chat/completions', 'azure'],
  ['/v1/chat/completions', 'anthropic'],
  ['/v1/chat/completions', 'gemini'],
  ['/v1/chat/completions', 'bedrock'],
  ['/v1/messages', 'anthropic'],
  ['/v1/messages', 'openai'],
  ['/v1/responses', 'openai-responses'],
  ['/v1/responses', 'gemini'],
  ['/v1/completions', 'openai'],
  ['/v1/completions', 'bedrock'],
])(
  '%s over %s: a client that leaves in the middle is billed for the prompt and the words that it was sent (#35958)',
  async (path, model) => {
    const callId = `${path} ${model}`;
    await leaveInTheMiddle(path, model, callId);
    const rows = () =>
      query(
        database.url,
        `SELECT ending, estimated, prompt_tokens BETWEEN 10 AND 50 AS prompt, completion_tokens BETWEEN 9 AND 13 AS words,
              cost_micros = prompt_tokens + 100 * completion_tokens AS cost
         FROM spend_entry WHERE call_id = '${callId}'`,
      );
    await until(async () => (await rows()).length > 0);
    expect(await rows()).toEqual([{ ending: 'abandoned', estimated: true, prompt: true, words: true, cost: true }]);
  },
);

it('a whole answer whose provider never reports its tokens is estimated, too, and says so', async () => {
  const answer = await gateway.post(
    '/v1/chat/completions',
    { model: 'openai', stream: true, messages: [{ role: 'user', content: 'Say it to the end.' }] },
    { 'x-litellm-call-id': 'unreported' },
  );
  expect(await answer.text()).toContain('[DONE]');
  const rows = () =>
    query(
      database.url,
      `SELECT ending, estimated, prompt_tokens > 0 AS prompt, completion_tokens BETWEEN 9 AND 13 AS words
         FROM spend_entry WHERE call_id = 'unreported'`,
    );
  await until(async () => (await rows()).length > 0);
  expect(await rows()).toEqual([{ ending: 'finished', estimated: true, prompt: true, words: true }]);
});

it('what was estimated counts against budgets', async () => {
  const sums = async () =>
    (
      await query(
        database.url,
        `SELECT (SELECT sum(cost_micros)::int FROM spend_entry) AS booked,
                (SELECT spent_micros::int FROM account WHERE id = 'z:global') AS counted`,
      )
    )[0];
  await leaveInTheMiddle('/v1/chat/completions', 'openai', 'for the budget');
  await until(
    async () => (await query(database.url, "SELECT 1 FROM spend_entry WHERE call_id = 'for the budget'")).length > 0,
  );
  const { booked, counted } = (await sums()) ?? {};
  expect(booked).toBeGreaterThanOrEqual(1_000);
  expect(counted).toBe(booked);
});
