import { expect, it } from 'vitest';
import { passedHeaders } from '../../../gateway/providers/passed-headers.ts';

it('ids, timings and limits are passed, and nothing else', () => {
  const passed = {
    'x-request-id': 'req_1',
    'openai-processing-ms': '12',
    'retry-after': '3',
    'x-ratelimit-remaining-tokens': '149984',
    'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:00Z',
  };
  const kept = {
    'set-cookie': ['a=b'],
    server: 'cloudflare',
    'openai-organization': 'org-secret',
    'content-length': '7',
    authorization: 'Bearer sk-secret',
  };
  expect(passedHeaders({ ...passed, ...kept })).toEqual(passed);
  expect(passedHeaders(kept)).toBeUndefined();
});

it.each([
  ['a line break', 'x-request-id', 'a\r\nset-cookie: x=1'],
  ['a control character', 'x-request-id', 'a\u0000b'],
  ['letters beyond ASCII', 'x-request-id', 'ü'],
  ['nothing', 'x-request-id', ''],
  ['more than any id has', 'x-request-id', 'a'.repeat(201)],
  ['a name with a line break', 'x-ratelimit-a\r\nb', 'x'],
  ['a name that is too long', `x-ratelimit-${'a'.repeat(80)}`, 'x'],
])('a header with %s is not passed', (_case, name, value) => {
  expect(passedHeaders({ [name]: value })).toBeUndefined();
});

it('no more than two dozen are', () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`x-ratelimit-${index}`, '1']));
  expect(Object.keys(passedHeaders(many) ?? {})).toHaveLength(24);
});
