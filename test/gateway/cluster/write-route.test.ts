import { expect, it } from 'vitest';
import { writeRouteOf } from '../../../gateway/cluster/write-route.ts';

const isKnown = (region: string): boolean => region === 'a';

it.each([
  ['here where this region is the writer', 'b', 'held', false, { is: 'here' }],
  ['here, where the database knows, while nobody has said anything', undefined, undefined, false, { is: 'here' }],
  [
    'here where this region is being made the writer: its database refuses until then',
    'b',
    'seized',
    false,
    { is: 'here' },
  ],
  ['to the writer', 'a', 'held', false, { is: 'there', region: 'a' }],
  [
    'nowhere while another region is being made the writer',
    'a',
    'seized',
    false,
    { is: 'nowhere', type: 'writer_fenced' },
  ],
  ['nowhere when it has made its hop', 'a', 'held', true, { is: 'nowhere', type: 'not_writer' }],
  ['nowhere when the address is not known', 'c', 'held', false, { is: 'nowhere', type: 'writer_unreachable' }],
] as const)('a change goes %s', (_, writer, phase, forwarded, route) => {
  expect(writeRouteOf({ writer, phase, epoch: 7 }, 'b', isKnown, forwarded)).toMatchObject(route);
});
