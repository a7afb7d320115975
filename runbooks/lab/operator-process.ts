/** An operator who runs, or goes on with, the failover of a lab: `node operator-process.ts MAP JOURNALS RUN NAME`. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { regionFailover } from '../books/region-failover.ts';
import { FileJournals } from '../engine/file-journal.ts';
import { exitCodes, run } from '../engine/run.ts';
import { labMapSchema, operatorWorld } from './operator-world.ts';

const [mapFile = '', journals = '', runId = '', operator = ''] = process.argv.slice(2);
const outcome = await run({
  book: regionFailover({ target: 'b', former: 'a' }),
  world: operatorWorld(labMapSchema.parse(JSON.parse(await readFile(mapFile, 'utf8')))),
  worldName: 'lab',
  journal: new FileJournals(journals).of(runId),
  runId,
  parameters: { target: 'b', former: 'a' },
  operator,
  session: randomUUID(),
  clock: {
    now: () => performance.now(),
    date: () => new Date(),
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  },
  pollSeconds: 0.1,
  signal: new AbortController().signal,
  confirm: async (_, expected) => expected,
  onEvent: () => undefined,
  onWaiting: () => undefined,
});
process.stdout.write(`${JSON.stringify(outcome)}\n`);
process.exit(exitCodes[outcome.is]);
