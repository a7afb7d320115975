import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startLabGateway } from '../../../runbooks/lab/gateway-process.ts';
import { until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

it('a gateway that does not become ready leaves no process behind', async () => {
  const image = await temporaryDirectory();
  const pidFile = join(image, 'pid');
  await mkdir(join(image, 'bin'));
  await writeFile(
    join(image, 'bin/holdfast.ts'),
    `import { writeFileSync } from 'node:fs';
writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
setInterval(() => undefined, 1_000);`,
  );
  const giveUp = new AbortController();
  const starting = startLabGateway({
    port: await freePort(),
    configPath: join(image, 'config.yaml'),
    environment: {},
    logFile: join(image, 'gateway.log'),
    image,
    signal: giveUp.signal,
  });
  starting.catch(() => undefined);
  let pid = 0;
  await until(async () => {
    pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
    return pid > 0;
  }, 20_000);
  giveUp.abort();
  await expect(starting).rejects.toThrow('was called off');
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
}, 30_000);
