/**
 * A process that writes begins and ends into the outbox of the folder in its arguments until it is killed, and says on
 * standard output what it was done with. Arguments: folder, URL of the database.
 */
import { randomUUIDv7 } from 'node:crypto';
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Outbox } from '../../../gateway/outbox/outbox.ts';
import { openPool } from '../../../gateway/stores/postgres.ts';
import { PostgresSpendLedger } from '../../../gateway/stores/spend.ts';
import { spendEvent } from '../examples.ts';

const [directory = '', url = ''] = process.argv.slice(2);
const ignore = (): void => undefined;
const pool = openPool({ url, poolSize: 2, onError: ignore });
const outbox = new Outbox({
  directory,
  ledger: new PostgresSpendLedger({ pool, keepRows: true }),
  maxBytes: 1e9,
  retainSeconds: 0,
  mayForget: () => true,
  newId: randomUUIDv7,
  onReduced: ignore,
  onLost: (_log, count) => writeSync(1, `lost ${count}\n`),
  onRecovered: ignore,
  onInterrupted: ignore,
  onDisk: ignore,
  onFailed: ignore,
  sizes: { segmentBytes: 32 * 1024, reserveBytes: 512, minFreeBytes: 0, mostInMemory: 2_000 },
});
await outbox.start();
const running: string[] = [];
for (let round = 0; ; round++) {
  const began: { readonly id: string; readonly written: Promise<void> }[] = [];
  const ends: string[] = [];
  for (let count = 0; count < 20; count++) {
    const id = randomUUIDv7();
    const intent = spendEvent(id, { startedAtMs: Date.now(), reservedMicros: 1_000, accounts: ['z:global'] });
    began.push({ id, written: outbox.begin(intent) });
    const [ended] = running.length > 5 + (round % 7) ? running.splice((round * 7 + count) % running.length, 1) : [];
    if (ended === undefined) continue;
    outbox.end(
      spendEvent(ended, { startedAtMs: Date.now(), costMicros: 10n, reservedMicros: 1_000, accounts: ['z:global'] }),
    );
    ends.push(ended);
  }
  await outbox.whenWritten();
  for (const id of ends) writeSync(1, `ended ${id}\n`);
  for (const { id, written } of began) {
    await written;
    writeSync(1, `begun ${id}\n`);
    running.push(id);
  }
  await sleep(1);
}
