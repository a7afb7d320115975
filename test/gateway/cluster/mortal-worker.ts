/**
 * A worker as a supervisor sees it. The first one is ready at once; the second dies once by SIGKILL before it is, and then
 * only after the first one was. The variable names a folder where both leave word.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const directory = process.env['MORTAL_DIRECTORY'] ?? '';
const index = process.env['HOLDFAST_WORKER'];
const died = join(directory, 'died');
process.on('disconnect', () => process.exit(0));
if (index === '1' && !existsSync(died)) {
  if (process.env['MORTAL_FIRST'] !== 'alone') {
    while (!existsSync(join(directory, 'ready'))) await sleep(5);
    // The supervisor has heard of it by then.
    await sleep(100);
  }
  writeFileSync(died, '');
  process.kill(process.pid, 'SIGKILL');
}
if (index === '0' && process.env['MORTAL_FIRST'] === 'alone') await sleep(60_000);
process.send?.({ kind: 'ready' });
if (index === '0') writeFileSync(join(directory, 'ready'), '');
