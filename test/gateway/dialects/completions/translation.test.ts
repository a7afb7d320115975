/** Parameters of a completion, and the parts of its answer. */
import { expect, it } from 'vitest';
import { completionsDialect } from '../../../../gateway/dialects/completions/completions.ts';
import { toChat } from '../../../../gateway/dialects/completions/request.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { eventsOf } from '../canonical-answers.ts';
import { encoded } from '../dialect-server.ts';
import { refusalOf } from '../refusal.ts';
import { weatherAnswer } from '../weather.ts';

it.each<[string, JsonObject, JsonObject]>([
  ['a list of one prompt', { prompt: ['hi'] }, {}],
  ['what is so anyway', { prompt: 'hi', suffix: null, echo: false, best_of: 1, logprobs: null }, {}],
  ['the best of as many as are asked for', { prompt: 'hi', n: 2, best_of: 2 }, { n: 2 }],
  ['only the chosen tokens', { prompt: 'hi', logprobs: 0 }, { logprobs: true, top_logprobs: 0 }],
  ['the unknown', { prompt: 'hi', anything: 1 }, { anything: 1 }],
])('%s', (_, given, expected) => {
  expect(toChat(given)).toEqual({ messages: [{ role: 'user', content: 'hi' }], ...expected });
});

it.each<[string, JsonObject]>([
  ['prompt', {}],
  ['prompt', { prompt: '' }],
  ['prompt', { prompt: [] }],
  ['prompt', { prompt: null }],
  ['prompt', { prompt: ['a', 'b'] }],
  ['prompt', { prompt: [1, 2] }],
  ['prompt', { prompt: [[1, 2]] }],
  ['suffix', { prompt: 'hi', suffix: 'end' }],
  ['echo', { prompt: 'hi', echo: true }],
  ['best_of', { prompt: 'hi', best_of: 3 }],
])('%s is refused by its name', (param, given) => {
  const refusal = refusalOf(() => toChat(given));
  expect(refusal).toMatchObject({ status: 400, param, message: expect.stringContaining(param) });
});

const token = (text: string, logprob: number): JsonObject => ({
  token: text,
  logprob,
  top_logprobs: [{ token: text, logprob }],
});

it('every choice, its probabilities and refusals are told', () => {
  const choices = [
    {
      index: 0,
      finish_reason: 'stop',
      message: { content: 'ab' },
      logprobs: { content: [token('a', -1), token('b', -2)] },
    },
    { index: 1, finish_reason: 'tool_calls', message: { content: null, refusal: 'I cannot.' } },
  ];
  const reply = completionsDialect.fromReply(Buffer.from(JSON.stringify({ choices })), {});
  expect(JSON.parse(reply.toString())).toMatchObject({
    choices: [
      {
        text: 'ab',
        finish_reason: 'stop',
        logprobs: {
          tokens: ['a', 'b'],
          token_logprobs: [-1, -2],
          top_logprobs: [{ a: -1 }, { b: -2 }],
          text_offset: [0, 1],
        },
      },
      { index: 1, text: 'I cannot.', finish_reason: 'stop', logprobs: null },
    ],
  });
});

const chunk = (choice: JsonObject): string => `data: ${JSON.stringify({ id: 'c', choices: [choice] })}\n\n`;

it('offsets go on from chunk to chunk, for each choice', () => {
  const said = (index: number, content: string): string =>
    chunk({ index, delta: { content }, logprobs: { content: [token(content, -1)] } });
  const bytes = encoded(completionsDialect, {}, [said(0, 'abc'), said(1, 'x'), said(0, 'd'), said(1, 'y')]).toString();
  expect([...bytes.matchAll(/"text_offset":\[(\d+)\]/g)].map(([, offset]) => offset)).toEqual(['0', '0', '3', '1']);
});

it.each([
  ['an end without a word', [chunk({ index: 0, delta: { content: 'a' } })]],
  ['an error of the upstream', ['data: {"error":{"message":"gone"}}\n\n', 'data: [DONE]\n\n']],
  ['silence', []],
])('%s is a failure', (_, blocks) => {
  const told = encoded(completionsDialect, {}, blocks).toString();
  expect(told).toContain('"error":');
  expect(told).not.toContain('[DONE]');
});

it('a stream without [DONE] but with a reason to finish is complete', () => {
  const told = encoded(completionsDialect, {}, eventsOf(weatherAnswer).slice(0, -1)).toString();
  expect(told).toMatch(/data: \[DONE\]\n\n$/);
  expect(told).not.toContain('"text":"","index":0,"logprobs":null,"finish_reason":null');
});
