import { randomUUIDv7 } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLog } from '../../../gateway/telemetry/log.ts';
import { until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { spendEvent } from '../examples.ts';

const messagesIn = (file: string): unknown[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { id, msg }: { id?: string; msg: string } = JSON.parse(line);
      return id ?? msg;
    });

it('lines stand in the order in which they were told, those of requests and others, and none waits longer than a second', async () => {
  const file = join(await temporaryDirectory(), 'log');
  const log = openLog('info', file);
  const ids = Array.from({ length: 100 }, () => randomUUIDv7());
  for (const id of ids.slice(0, 60)) log.request(spendEvent(id, {}));
  log.logger.warn('in between');
  for (const id of ids.slice(60)) log.request(spendEvent(id, {}));
  await until(() => existsSync(file) && messagesIn(file).length === 101);
  log.flush();
  expect(messagesIn(file)).toEqual([...ids.slice(0, 60), 'in between', ...ids.slice(60)]);
});
