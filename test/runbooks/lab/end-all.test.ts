import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { allEnded, endAll } from '../../../runbooks/lab/end-all.ts';

it('what is left is ended although a part of it fails, newest first, and the failures are told', async () => {
  const ended: string[] = [];
  const end = (name: string, fails?: true) => async () => {
    ended.push(name);
    if (fails) throw new Error(`${name} does not end`);
  };
  await expect(endAll([end('database'), end('cache', true), end('gateways', true)])).rejects.toThrow(
    'gateways does not end; Error: cache does not end',
  );
  expect(ended).toEqual(['gateways', 'cache', 'database']);
  await expect(endAll([end('database'), end('cache', true)])).rejects.toThrow(/^cache does not end$/);
});

it('a failure is told when nothing runs any more', async () => {
  let runs = true;
  const slow = sleep(50).then(() => {
    runs = false;
  });
  await expect(allEnded([Promise.reject(new Error('at once')), slow])).rejects.toThrow('at once');
  expect(runs).toBe(false);
});
