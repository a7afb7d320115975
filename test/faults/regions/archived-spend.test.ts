/**
 * What `database-restore` does on AWS about spend, end to end: gateways of two regions archive it, the database goes back to
 * before it was made, the gateways' disks are gone, and the archives bring it back.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { bookArchivedSpend } from '../../../bin/runbook/archived-spend.ts';
import { bucketName } from '../../../lib/platform/names.ts';
import { archivePlace } from '../../../lib/platform/places.ts';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import { startObjectStore } from '../../../runbooks/lab/object-store.ts';
import { specOf } from '../../lib/specs.ts';
import { copyOf } from '../../support/copied-database.ts';
import { masterKey, migratedDatabase, startTestGateway, type TestGateway } from '../../support/gateway.ts';
import { agreed, bookkeepingUpstream, Clients, databaseEntries, reconcile } from '../../support/ledgers.ts';

import { until } from '../../support/processes.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const platform = definePlatform(specOf('high', 'active-passive', 2));
const [east = '', west = ''] = platform.regions.map(({ region }) => region);

/** Everything that money is read from. */
const sums = (url: string) =>
  Promise.all(
    [
      'SELECT id, lifetime_micros FROM account ORDER BY id',
      'SELECT * FROM spend_daily ORDER BY 1, 2, 3, 4, 5',
      'SELECT id, cost_micros, ending, seq FROM spend_entry ORDER BY id',
    ].map((text) => query(url, text)),
  );

it('all spend since the backup, of both regions and of a gateway that was killed, is booked once, to the last micro-dollar', async () => {
  const directory = await temporaryDirectory();
  const store = await startObjectStore();
  onTestFinished(() => store.close());
  const upstream = await bookkeepingUpstream({ name: 'the upstream', chunkEveryMs: 1 });
  onTestFinished(() => upstream.close());
  const lived = await migratedDatabase();
  onTestFinished(() => lived.drop());
  await query(lived.url, `UPDATE region_epoch SET writer_region = '${east}'`);
  const config = `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}`;
  const credentials = { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'not-a-secret' };

  const gateways = new Map<string, TestGateway>();
  const eastPort = await freePort();
  const start = async (region: string): Promise<void> => {
    const place = archivePlace(platform, { region });
    const gateway = await startTestGateway({
      config,
      databaseUrl: lived.url,
      dataDirectory: join(directory, region),
      ...(region === east ? { port: eastPort } : {}),
      environment: {
        ...credentials,
        HOLDFAST_REGION: region,
        HOLDFAST_REGION_SECRET: masterKey,
        ...(region === east ? {} : { HOLDFAST_REGION_ADDRESSES: `${east}=http://127.0.0.1:${eastPort}` }),
        HOLDFAST_OUTBOX_ARCHIVE: `${place?.bucket}@${place?.region}`,
        HOLDFAST_OUTBOX_ARCHIVE_ENDPOINT: store.url,
      },
    });
    gateways.set(region, gateway);
  };
  const stop = async (): Promise<void> => {
    for (const region of [west, east]) await gateways.get(region)?.stop();
  };
  const entries: Clients['entries'] = [];
  const ask = async (meanwhile: () => Promise<void> = async () => undefined): Promise<void> => {
    const clients = new Clients(
      [...gateways.values()].map(({ url }) => url),
      { name: `round-${entries.length}` },
    );
    const load = clients.run(4);
    await until(() => clients.answered > 30);
    await meanwhile();
    await until(() => clients.answered > 60);
    clients.stop();
    await load;
    entries.push(...clients.entries);
  };

  await Promise.all([start(east), start(west)]);
  await ask();
  await stop();
  const backup = await copyOf(lived);
  onTestFinished(() => backup.drop());
  await Promise.all([start(east), start(west)]);
  await ask(async () => {
    gateways.get(east)?.kill('SIGKILL');
    await gateways.get(east)?.exited;
    await start(east);
  });
  await stop();
  await rm(directory, { recursive: true });

  const logs = (await query(lived.url, 'SELECT id FROM spend_log')).map(({ id }) => String(id));
  const archived = [...store.objects.keys()].filter((name) => name.endsWith('/whole.json'));
  expect(archived.toSorted()).toEqual(expect.arrayContaining(logs.map((id) => expect.stringContaining(id))));
  expect(new Set(archived.map((name) => name.split('/').slice(0, 3).join('/')))).toEqual(
    new Set([
      `${bucketName(platform, { region: west, account: platform.account }, 'outbox')}/spend/${east}`,
      `${bucketName(platform, { region: east, account: platform.account }, 'outbox')}/spend/${west}`,
    ]),
  );
  expect((await databaseEntries(backup.url)).length).toBeLessThan(upstream.entries.length / 2 + 10);

  vi.stubEnv('AWS_ENDPOINT_URL_S3', store.url);
  for (const [name, value] of Object.entries(credentials)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const { signal } = new AbortController();
  const booked = await bookArchivedSpend(platform, east, backup.url, signal);
  expect(booked).toEqual({ missing: 0, unfinished: 0 });
  const database = await databaseEntries(backup.url);
  expect(reconcile({ clients: entries, upstreams: upstream.entries, database })).toEqual(agreed);
  expect(await sums(backup.url)).toEqual(await sums(lived.url));
  // Whoever is not sure does it again.
  expect(await bookArchivedSpend(platform, east, backup.url, signal)).toEqual(booked);
  expect(await sums(backup.url)).toEqual(await sums(lived.url));
  // The end of a log on a disk that was lost with it is not passed over in silence.
  store.objects.delete(archived[0] ?? '');
  expect(await bookArchivedSpend(platform, east, backup.url, signal)).toEqual({ missing: 0, unfinished: 1 });
}, 60_000);
