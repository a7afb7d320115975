/** Blocks come one after the other, whatever order an upstream writes in. */
import { expect, it } from 'vitest';
import { BlockSequencer } from '../../../../gateway/dialects/canonical/sequencer.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';

/** A short picture of the events: `+` opens, `.` adds, `-` closes a block. */
function picture(...deltas: JsonObject[]): string[] {
  const sequencer = new BlockSequencer('a');
  const events = [...deltas.map((delta) => sequencer.read({ delta })), sequencer.finish()];
  return events.map((batch) =>
    batch
      .map((event) => {
        switch (event.is) {
          case 'start':
            return `+${event.block.is}${event.block.is === 'tool' ? ` ${event.block.id}` : ''}`;
          case 'piece':
            return `.${event.text}`;
          case 'stop':
            return event.block.is === 'thinking' && event.block.signature !== '' ? `-${event.block.signature}` : '-';
        }
      })
      .join(' '),
  );
}

const call = (index: number, text: string, id?: string): JsonObject => ({
  tool_calls: [
    {
      index,
      ...(id === undefined ? {} : { id }),
      function: { ...(id === undefined ? {} : { name: 'f' }), arguments: text },
    },
  ],
});

it('text follows reasoning', () => {
  expect(picture({ reasoning_content: 'hm' }, { content: 'a' }, { content: 'b' })).toEqual([
    '+thinking .hm',
    '- +text .a',
    '.b',
    '-',
  ]);
});

it('a call that is not finished keeps the next one waiting', () => {
  expect(picture(call(0, '', 'x'), call(1, '{"b":', 'y'), call(0, '{"a":'), call(1, '2}'), call(0, '1}'))).toEqual([
    '+tool x',
    '',
    '.{"a":',
    '',
    '.1} - +tool y .{"b":2}',
    '-',
  ]);
});

it('a brace inside the arguments does not finish a call', () => {
  expect(picture(call(0, '{"a":{}', 'x'), call(1, '{}', 'y'), call(0, ',"b":1}'))).toEqual([
    '+tool x .{"a":{}',
    '',
    '.,"b":1} - +tool y .{}',
    '-',
  ]);
});

it('calls without arguments are told when the answer ends', () => {
  expect(picture(call(0, '', 'x'), call(1, '', 'y'))).toEqual(['+tool x', '', '- +tool y -']);
});

it('text between calls keeps its place', () => {
  expect(picture(call(0, '{}', 'x'), { content: 'then' }, call(1, '{}', 'y'))).toEqual([
    '+tool x .{}',
    '- +text .then',
    '- +tool y .{}',
    '-',
  ]);
});

it('a new id at an old index is a new call, the same id is not', () => {
  expect(picture(call(0, '{', 'x'), call(0, '}', 'x'), call(0, '{}', 'y'))).toEqual([
    '+tool x .{',
    '.}',
    '- +tool y .{}',
    '-',
  ]);
});

it('a call whose arguments come again after they were complete is told once', () => {
  expect(picture(call(0, '{}', 'x'), { content: 'a' }, call(0, '{}'))).toEqual(['+tool x .{}', '- +text .a', '', '-']);
});

it('a call is announced when it has a name', () => {
  const late = { tool_calls: [{ index: 0, id: 'x', function: { name: 'f', arguments: '}' } }] };
  expect(picture(call(0, '{'), late)).toEqual(['', '+tool x .{}', '-']);
  expect(picture(call(0, '{}'))).toEqual(['', '+tool call_a_0 .{} -']);
});

const thinking = (text: string, signature = ''): JsonObject => ({
  thinking_blocks: [{ type: 'thinking', thinking: text, signature }],
});

it('a signature ends its block, and reasoning that is told twice is read once', () => {
  expect(
    picture(
      { reasoning_content: 'a', ...thinking('a') },
      { reasoning_content: 'b', ...thinking('b') },
      thinking('', 'one'),
      { reasoning_content: 'c' },
      thinking('c', 'two'),
    ),
  ).toEqual(['+thinking .a', '.b', '', '-one +thinking .c', '', '-two']);
});

it('redacted reasoning is a block of its own', () => {
  const redacted = { thinking_blocks: [{ type: 'redacted_thinking', data: 'x' }] };
  expect(picture({ reasoning_content: 'a' }, redacted, { content: 'b' })).toEqual([
    '+thinking .a',
    '- +redacted',
    '- +text .b',
    '-',
  ]);
});

it.each([
  ['nothing', {}],
  ['empty text', { role: 'assistant', content: '', reasoning_content: '', tool_calls: [] }],
  ['null', { content: null, refusal: null, tool_calls: null, thinking_blocks: null }],
  ['nonsense', { content: 7, tool_calls: ['x'], thinking_blocks: 'x' }],
])('%s is no block', (_, delta) => {
  expect(picture(delta)).toEqual(['', '']);
});
