import { randomUUIDv7 } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Refusal } from '../../../gateway/domain/errors.ts';
import type { SpendLedger } from '../../../gateway/domain/spend.ts';
import { readSegment } from '../../../gateway/outbox/segment.ts';
import { type WriteTogether, WriteTurn } from '../../../gateway/outbox/write-turn.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { event, nobodyTold, openTestOutbox } from './open-log.ts';

const away = (): Promise<never> => Promise.reject(new Error('the ledger is away'));
const noLedger: SpendLedger = { ship: away, skip: away, positions: away, close: away, touch: away };

async function openOutbox() {
  const directory = await temporaryDirectory();
  const outbox = openTestOutbox(directory, noLedger, nobodyTold());
  onTestFinished(async () => {
    await outbox.close(0);
  });
  return { outbox, onDisk: () => recordsIn(directory) };
}

/** Of its one log. */
async function recordsIn(directory: string): Promise<{ readonly begins: string[]; readonly ends: string[] }> {
  const [log = ''] = readdirSync(directory).filter((name) => !name.startsWith('.'));
  const content = await readSegment(join(directory, log), 1);
  return { begins: [...(content?.begins.keys() ?? [])], ends: [...(content?.ended ?? [])] };
}

it('a begin is on disk when its promise resolves, and an end when `whenWritten` does', async () => {
  const { outbox, onDisk } = await openOutbox();
  const [one, other] = [event(), event()];
  await Promise.all([outbox.begin(one), outbox.begin(other)]);
  expect(await onDisk()).toEqual({ begins: [one.requestId, other.requestId], ends: [] });
  outbox.end(one);
  expect(outbox.queued).toBe(1);
  await outbox.whenWritten();
  expect(await onDisk()).toEqual({ begins: [other.requestId], ends: [one.requestId] });
  expect(outbox.queued).toBe(1);
  expect(outbox.whenWritten()).toBeUndefined();
});

it('an end is on disk at once after a flush, and so is all before a doubtful attempt', async () => {
  const { outbox, onDisk } = await openOutbox();
  const [one, other] = [event(), event()];
  await Promise.all([outbox.begin(one), outbox.begin(other)]);
  outbox.end(one);
  outbox.flush();
  expect((await onDisk()).ends).toEqual([one.requestId]);
  const third = event();
  await outbox.begin(third);
  outbox.end(other);
  outbox.doubt(third.requestId, { deploymentId: 'd', provider: 'openai', model: 'm', modelGroup: 'chat', status: 504 });
  const { ends } = await onDisk();
  expect(ends).toHaveLength(3);
  expect(ends.slice(0, 2)).toEqual([one.requestId, other.requestId]);
});

it('what comes in one turn of the event loop is written in one call, and what waits is bounded', async () => {
  const calls: [begins: number, ends: number][] = [];
  const turn = new WriteTurn((begins, ends) => calls.push([begins.length, ends.length]));
  const begun = [turn.begin(event()), turn.begin(event())];
  turn.end(event());
  expect(calls).toEqual([]);
  await Promise.all([...begun, turn.whenWritten()]);
  expect(calls).toEqual([[2, 1]]);
  for (let count = 0; count < 600; count++) turn.end(event());
  expect(calls).toEqual([
    [2, 1],
    [0, 256],
    [0, 256],
  ]);
  await turn.whenWritten();
  expect(calls.at(-1)).toEqual([0, 88]);
});

it('when the disk takes nothing, the begins of a turn are refused together, and its ends are kept', async () => {
  const full = new Refusal({ status: 503, type: 'service_unavailable_error', message: 'full' });
  const kept: string[] = [];
  const write: WriteTogether = (begins, ends) => {
    kept.push(...ends.map(({ requestId }) => requestId));
    if (begins.length > 0) throw full;
  };
  const turn = new WriteTurn(write);
  const id = randomUUIDv7();
  const begun = [turn.begin(event()), turn.begin(event())];
  turn.end(event({ requestId: id }));
  const written = turn.whenWritten();
  expect(await Promise.allSettled(begun)).toEqual([
    { status: 'rejected', reason: full },
    { status: 'rejected', reason: full },
  ]);
  await written;
  expect(kept).toEqual([id]);
});
