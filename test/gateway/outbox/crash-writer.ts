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
  for (let turn = 0; turn < 20; turn++) {
    const id = randomUUIDv7();
    outbox.begin(spendEvent(id, { startedAtMs: Date.now(), reservedMicros: 1_000, accounts: ['z:global'] }));
    writeSync(1, `begun ${id}\n`);
    running.push(id);
    const [ended] = running.length > 5 + (round % 7) ? running.splice((round * 7 + turn) % running.length, 1) : [];
    if (ended === undefined) continue;
    outbox.end(
      spendEvent(ended, { startedAtMs: Date.now(), costMicros: 10n, reservedMicros: 1_000, accounts: ['z:global'] }),
    );
    writeSync(1, `ended ${ended}\n`);
  }
  await sleep(1);
}
