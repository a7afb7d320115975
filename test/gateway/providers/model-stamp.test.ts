import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelStamp, stampWhole } from '../../../gateway/providers/model-stamp.ts';

const own = 'gpt-4o-2024-08-06';
const members = (content: string, model: unknown = own) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model,
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
});
const sorted = (body: object): object =>
  Object.fromEntries(Object.entries(body).toSorted(([a], [b]) => (a < b ? -1 : 1)));
const event = (body: unknown, end = '\n'): string => `data: ${JSON.stringify(body)}${end}${end}`;
const stamped = (model: string, ...blocks: string[]): string => {
  const stamp = new ModelStamp(model);
  return blocks.map((block) => stamp.apply(Buffer.from(block)).toString()).join('');
};

describe('the model of a stream', () => {
  it.each<[string, (body: object) => object, string]>([
    ['OpenAI’s order', (body) => body, '\n'],
    ['the order of the alphabet, choices first', sorted, '\n'],
    ['lines that end as on Windows', (body) => body, '\r\n'],
  ])('is the requested one in every chunk, and nothing else changes: %s', (_case, order, end) => {
    const contents = ['Hello', ' "model":"gpt-4o-2024-08-06"', '{"model":', ']},"model":"x"', 'ünï', ''];
    const before = contents.map((content) => event(order(members(content)), end));
    const after = contents.map((content) => event(order(members(content, 'chat')), end));
    expect(stamped('chat', ...before, `data: [DONE]${end}${end}`)).toBe(`${after.join('')}data: [DONE]${end}${end}`);
    // The same in one piece, and with comments and names of events between.
    const noise = [`: ping${end}${end}`, `event: message${end}`];
    const mixed = (events: readonly string[]): string => events.map((one, at) => (noise[at % 3] ?? '') + one).join('');
    expect(stamped('chat', mixed(before))).toBe(mixed(after));
  });

  it('that changes in the middle is still the requested one', () => {
    const models = [own, own, 'other', own, 'another', 'chat', own];
    expect(stamped('chat', ...models.map((model) => event(members('x', model))))).toBe(
      event(members('x', 'chat')).repeat(models.length),
    );
  });

  it('of a name that needs escapes is printed as JSON', () => {
    expect(stamped('a"b\\模型', event(members('x')))).toBe(event(members('x', 'a"b\\模型')));
  });

  it.each([
    ['no model', event({ choices: [] })],
    ['a model that is null', event(members('x', null))],
    ['the requested model already', event(members('x', 'chat'))],
    ['a nested one alone', event({ choices: [{ model: own }], provider: { model: own } })],
    ['bytes that are no JSON', 'data: {"model" "model":\n\ndata: model\n\n: "model"\n\n'],
  ])('is left alone where there is %s: the very same bytes', (_case, text) => {
    const block = Buffer.from(text);
    expect(new ModelStamp('chat').apply(block)).toBe(block);
  });

  it('for any chunks in any pieces: each is what JSON would have made of it', () => {
    const body = fc
      .record({
        members: fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }),
        model: fc.option(fc.constantFrom(own, 'other', 'chat', 'm"x'), { nil: undefined }),
        last: fc.dictionary(fc.constantFrom('id', 'choices', 'usage'), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 3 }),
      })
      .map(({ members: first, model, last }) => ({ ...first, ...(model === undefined ? {} : { model }), ...last }));
    fc.assert(
      fc.property(fc.array(body, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(3)), (bodies, sizes) => {
        const stamp = new ModelStamp('chat');
        const events = bodies.map((one) => event(one));
        const blocks: string[] = [];
        for (let at = 0, step = 0; at < events.length; step++) {
          const size = (sizes[step % Math.max(1, sizes.length)] ?? 0) + 1;
          blocks.push(events.slice(at, at + size).join(''));
          at += size;
        }
        const text = blocks.map((block) => stamp.apply(Buffer.from(block)).toString()).join('');
        const seen = text
          .split('\n\n')
          .filter((line) => line !== '')
          .map((line): unknown => JSON.parse(line.slice(6)));
        const named = (one: Readonly<Record<string, unknown>>) =>
          typeof one['model'] === 'string' && Object.hasOwn(one, 'model') ? { ...one, model: 'chat' } : one;
        expect(seen).toEqual(bodies.map((one) => named(JSON.parse(JSON.stringify(one)))));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the model of a whole answer', () => {
  it('is the requested one, wherever it stands, and every other byte stays', () => {
    const text = `{ "choices": [{"model": "${own}"}],\n "model" : "${own}", "x": "\\"model\\":1" }`;
    expect(stampWhole(Buffer.from(text), 'chat').toString()).toBe(
      text.replace(`"model" : "${own}"`, '"model" : "chat"'),
    );
  });

  it.each(['{"object":"list"}', '{"model":null}', '{"model":"chat"}', '[{"model":"x"}]', 'ID3 audio "model":"x"', ''])(
    'is left alone in %j: the very same bytes',
    (text) => {
      const body = Buffer.from(text);
      expect(stampWhole(body, 'chat')).toBe(body);
    },
  );
});
