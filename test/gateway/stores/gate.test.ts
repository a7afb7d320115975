import { expect, it } from 'vitest';
import { Gate, GateFull } from '../../../gateway/stores/gate.ts';

it('lets so many through at once, the next ones in their order, and turns away what is beyond the line', async () => {
  const gate = new Gate(2, 3);
  const order: number[] = [];
  const finish: (() => void)[] = [];
  let most = 0;
  let inside = 0;
  const work = (name: number) =>
    gate.through(async () => {
      order.push(name);
      most = Math.max(most, ++inside);
      await new Promise<void>((done) => finish.push(done));
      inside--;
      return name;
    });
  const admitted = [0, 1, 2, 3, 4].map(work);
  await expect(work(5)).rejects.toBeInstanceOf(GateFull);
  for (let turn = 0; turn < 5; turn++) {
    while (finish.length === 0) await Promise.resolve();
    finish.shift()?.();
    await admitted[turn];
  }
  expect(order).toEqual([0, 1, 2, 3, 4]);
  expect(most).toBe(2);
  // Everybody has left: the first place is free at once.
  expect(await gate.through(() => Promise.resolve('free'))).toBe('free');
});

it('work that fails gives its place back', async () => {
  const gate = new Gate(1, 0);
  await expect(gate.through(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await gate.through(() => Promise.resolve('next'))).toBe('next');
});
