/** OpenAI's own client reads what the dialect writes, and the dialect reads what that client writes. */
import * as fc from 'fast-check';
import OpenAI, { APIError, BadRequestError } from 'openai';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { completionsDialect } from '../../../../gateway/dialects/completions/completions.ts';
import { type Answer, answers, blocksOf, eventsOf, upstreamGone, wholeOf } from '../canonical-answers.ts';
import { DialectServer } from '../dialect-server.ts';
import { weatherAnswer } from '../weather.ts';

let server: DialectServer;
let client: OpenAI;

beforeAll(async () => {
  server = await DialectServer.start(completionsDialect);
  client = new OpenAI({ apiKey: 'sk-test', baseURL: server.url, maxRetries: 0 });
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.chats.length = 0;
});

const ask = { model: 'gpt-5', prompt: 'Once upon' };
const story: Answer = { ...weatherAnswer, reasoning: [], signature: undefined, calls: [], finishReason: 'length' };

/** The text, reason and counts that a streaming client ends up with. */
async function streamed(): Promise<{ text: string; reason: string | null; usage: unknown }> {
  let [text, reason, usage]: [string, string | null, unknown] = ['', null, undefined];
  for await (const chunk of await client.completions.create({ ...ask, stream: true })) {
    expect(chunk.object).toBe('text_completion');
    text += chunk.choices[0]?.text ?? '';
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  return { text, reason, usage };
}

it('a whole answer is a completion', async () => {
  server.behind = { is: 'whole', reply: wholeOf(story) };
  const completion = await client.completions.create(ask);
  expect(completion).toMatchObject({
    id: 'chatcmpl-9',
    object: 'text_completion',
    choices: [{ text: 'Let me look.', index: 0, logprobs: null, finish_reason: 'length' }],
    usage: story.usage,
  });
});

it('any answer, cut anywhere, is the same completion streamed and whole', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      server.behind = { is: 'whole', reply: wholeOf(answer) };
      const { choices, usage } = await client.completions.create(ask);
      server.behind = { is: 'stream', blocks: blocksOf(answer) };
      expect(await streamed()).toEqual({ text: choices[0]?.text, reason: choices[0]?.finish_reason, usage });
    }),
    { numRuns: 100 },
  );
});

it('no stream that breaks before its end looks complete', async () => {
  await fc.assert(
    fc.asyncProperty(answers, fc.nat(), async (answer, cut) => {
      const events = eventsOf(answer);
      server.behind = { is: 'stream', blocks: events.slice(0, cut % events.length), broken: upstreamGone };
      await expect(streamed()).rejects.toThrow('the stream ended before its answer did');
    }),
    { numRuns: 100 },
  );
});

it('errors are those that the client knows', async () => {
  const envelope = { message: 'slow down', type: 'rate_limit_error', param: null, code: '429' };
  server.behind = { is: 'error', status: 429, envelope };
  await expect(client.completions.create(ask)).rejects.toMatchObject({ status: 429, type: 'rate_limit_error' });
  server.behind = { is: 'stream', blocks: eventsOf(story).slice(0, 2), broken: envelope };
  const broken: unknown = await streamed().catch((thrown: unknown) => thrown);
  expect(broken).toBeInstanceOf(APIError);
  expect(broken).toMatchObject({ code: '429', message: 'slow down' });
});

it('a request of the client arrives as a chat request', async () => {
  server.behind = { is: 'stream', blocks: blocksOf(story) };
  const options = { max_tokens: 5, stop: ['\n'], temperature: 0, user: 'u-1', seed: 7, best_of: 1, logprobs: 2 };
  await client.completions.create({ ...ask, ...options, stream: true, stream_options: { include_usage: true } });
  expect(server.chats).toEqual([
    {
      model: 'gpt-5',
      messages: [{ role: 'user', content: 'Once upon' }],
      max_completion_tokens: 5,
      stop: ['\n'],
      temperature: 0,
      user: 'u-1',
      seed: 7,
      logprobs: true,
      top_logprobs: 2,
      stream: true,
      stream_options: { include_usage: true },
    },
  ]);
});

it('what cannot be expressed is refused by name', async () => {
  const error: unknown = await client.completions
    .create({ ...ask, prompt: ['one', 'two'] })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BadRequestError);
  expect(error).toMatchObject({ param: 'prompt' });
});
