import { expect, it } from 'vitest';
import { isKeepAlive } from '../../../gateway/providers/keep-alive.ts';

it.each([
  [': ping\n\n', true],
  [': OPENROUTER PROCESSING\r\n\r\n', true],
  [': ping\n\n: ping\n\n', true],
  ['event: ping\ndata: {"type": "ping"}\n\n', true],
  ['event: ping\n\nevent: ping\r\ndata: {}\r\n\r\n', true],
  ['data: {"choices":[]}\n\n', false],
  [': ping\n\ndata: {}\n\n', false],
  ['event: ping\n\nevent: content_block_delta\ndata: {}\n\n', false],
  ['event: pingpong\ndata: {}\n\n', false],
  ['event: content_block_delta\ndata: {}\n\n', false],
])('%j only shows that the upstream is there: %s', (block, expected) => {
  expect(isKeepAlive(Buffer.from(block))).toBe(expected);
});
