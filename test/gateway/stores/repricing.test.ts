import { execFile } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { Usage } from '../../../gateway/domain/answer.ts';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import { type Operation, operationNames } from '../../../gateway/domain/operation.ts';
import type { PassThroughEndpoint } from '../../../gateway/domain/pass-through.ts';
import type { ModelPrices } from '../../../gateway/domain/prices.ts';
import type { UnpricedEntry } from '../../../gateway/domain/repricing.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';
import type { SpendEvent } from '../../../gateway/domain/spend.ts';
import { intentOf, Settlement } from '../../../gateway/pipeline/settlement.ts';
import type { PricedConfig } from '../../../gateway/pricing/passed-prices.ts';
import { entryPricer } from '../../../gateway/pricing/reprice.ts';
import { usageParts } from '../../../gateway/providers/chat/usage.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { repriceBatch, repriceLedger } from '../../../gateway/stores/repricing.ts';
import { PostgresSpendLedger } from '../../../gateway/stores/spend.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { query } from '../../support/query.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { wireGateway } from '../../support/wired-gateway.ts';
import { exampleCaller, exampleDeployment, exampleRequest, noReservation, spendEvent } from '../examples.ts';
import { openLog } from '../outbox/open-log.ts';

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await migratedDatabase();
  pool = openPool({ url: database.url, poolSize: 2, onError: () => undefined });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const twoEach = (entry: UnpricedEntry): bigint | null =>
  entry.promptTokens === null ? null : BigInt(entry.promptTokens) * 2n;

/** Ships as a gateway does. */
async function ship(...events: readonly Parameters<typeof spendEvent>[1][]): Promise<void> {
  const log = openLog(await temporaryDirectory());
  for (const over of events) {
    const one = spendEvent(randomUUIDv7(), {
      startedAtMs: Date.now(),
      costMicros: null,
      promptTokens: 10,
      completionTokens: 0,
      accounts: ['a:key:k', 'z:global'],
      ...over,
    });
    log.begin(one);
    log.end(one);
  }
  await new PostgresSpendLedger({ pool, keepRows: true }).ship(log.id, 1, (await log.read(1, 1_000)).texts);
  log.close();
}

const states = async () => ({
  ledger: (
    await query(database.url, 'SELECT cost_micros AS c FROM spend_entry ORDER BY cost_micros NULLS LAST, id')
  ).map((row) => row['c']),
  days: (
    await query(
      database.url,
      'SELECT sum(unpriced)::int AS unpriced, sum(cost_micros)::bigint AS cost, sum(requests)::int AS requests FROM spend_daily',
    )
  )[0],
  accounts: await query(
    database.url,
    'SELECT id, spent_micros AS spent, lifetime_micros AS lifetime FROM account ORDER BY id',
  ),
});

it('rows without a cost get theirs with the sums per day and the accounts, once, in batches, and those that cannot be priced stay unknown', async () => {
  await ship({}, {}, { promptTokens: null }, { costMicros: 7n }, {}, { accounts: ['a:key:other'] });
  // Spent in a window that is over: it counts for the lifetime, not against the new window.
  const old = Date.now() - 3 * 86_400_000;
  await query(database.url, `SELECT prepare_spend_partitions(current_date - 5, 5)`);
  await query(database.url, `SELECT put_account('b:daily', 1000, '1 day', clock_timestamp() + interval '1 hour')`);
  await ship({ startedAtMs: old, accounts: ['b:daily'] }, { accounts: ['b:daily'] });
  expect(await states()).toMatchObject({ days: { unpriced: 7, cost: 7n, requests: 8 } });

  const steps: number[] = [];
  let after: Awaited<ReturnType<typeof repriceBatch>>['next'];
  do {
    const client = await pool.connect();
    await client.query('BEGIN');
    const batch = await repriceBatch(client, twoEach, after, 2);
    await client.query('COMMIT');
    client.release();
    steps.push(batch.priced);
    after = batch.next;
  } while (after !== undefined);
  expect(steps.reduce((sum, one) => sum + one, 0)).toBe(6);
  expect(steps.length).toBeGreaterThan(3);
  const done = await states();
  expect(done).toEqual({
    ledger: [7n, 20n, 20n, 20n, 20n, 20n, 20n, null],
    days: { unpriced: 1, cost: 127n, requests: 8 },
    accounts: [
      { id: 'a:key:k', spent: 67n, lifetime: 67n },
      { id: 'a:key:other', spent: 20n, lifetime: 20n },
      { id: 'b:daily', spent: 20n, lifetime: 40n },
      { id: 'z:global', spent: 67n, lifetime: 67n },
    ],
  });

  // Again, and twice at the same time: nothing is added twice.
  const again = await Promise.all(
    [1, 2].map(() =>
      repriceLedger(
        database.url,
        () => 5n,
        () => undefined,
      ),
    ),
  );
  expect(again.map(({ priced: count }) => count).toSorted((a, b) => a - b)).toEqual([0, 1]);
  expect((await states()).days).toEqual({ unpriced: 0, cost: 132n, requests: 8 });
});

it('the route prices a batch by the configuration of today, and the audit log says so', async () => {
  await ship({
    deploymentId: 'gone',
    provider: 'openai',
    model: 'm',
    modelGroup: 'chat',
    promptTokens: 3,
    completionTokens: 4,
  });
  const gateway = await wireGateway({
    databaseUrl: database.url,
    dataDirectory: await temporaryDirectory(),
    config: `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "http://127.0.0.1:9", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}`,
  });
  expect(await gateway.ok('/spend/reprice', {})).toEqual({ seen: 1, priced: 1, spend: 0.000011, next: null });
  expect(await gateway.ok('/spend/reprice', {})).toEqual({ seen: 0, priced: 0, spend: 0, next: null });
  const [line] = await query(database.url, 'SELECT action, change FROM audit_log ORDER BY seq DESC LIMIT 1');
  expect(line).toEqual({ action: 'spend repriced', change: { entries: [null, 1], micros: [null, '11'] } });
  await gateway.close();
});

it('the command prices all of the ledger and says what is left', async () => {
  await ship(
    { provider: 'openai', model: 'm', modelGroup: 'chat' },
    { provider: 'openai', model: 'n', modelGroup: 'chat' },
  );
  const file = join(await temporaryDirectory(), 'config.yaml');
  await writeFile(
    file,
    `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "http://127.0.0.1:9", api_key: sk-u, input_cost_per_token: 0.000001, output_cost_per_token: 0}`,
  );
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [fileURLToPath(new URL('../../../bin/holdfast.ts', import.meta.url)), 'spend', 'reprice', '--config', file],
    { env: { PATH: process.env['PATH'], DATABASE_URL: database.url } },
  );
  expect(stdout).toMatch(/: 2 requests had no cost; 1 have one now, 0.00001 dollars together. 1 are still without/);
});

const priceList = (deployments: readonly Deployment[]): PricedConfig => ({
  groups: new Map([['chat', deployments]]),
  catalog: undefined,
  passThrough: [],
});

const entry: UnpricedEntry = {
  day: '2026-01-01',
  id: randomUUIDv7(),
  atMs: 0,
  operation: 'chat',
  modelGroup: 'chat',
  deploymentId: 'd',
  provider: 'openai',
  model: 'm',
  promptTokens: 10,
  completionTokens: 5,
  cachedTokens: 4,
  usageDetail: null,
};
const priced = { inputCostPerToken: 0.000_01, outputCostPerToken: 0.000_02, cacheReadCostPerToken: 0.000_001 };

it.each([
  ['its own deployment', { id: 'd', prices: priced }, {}, 164n],
  ['one of the same model in the same group', { id: 'other', prices: priced }, {}, 164n],
  ['nothing, when it is another model', { id: 'other', model: 'n', prices: priced }, {}, null],
  ['nothing, when nobody counted its tokens', { id: 'd', prices: priced }, { promptTokens: null }, null],
  [
    'nothing, when the price is for what an older gateway did not count',
    { id: 'd', prices: { ...priced, periods: [{ costPerImage: 1 }] } },
    { operation: 'images' },
    null,
  ],
  ['nothing, when a newer gateway counted more', { id: 'd', prices: priced }, { usageDetail: undefined }, null],
  ['its own deployment, whatever pictures would cost', { id: 'd', prices: { ...priced, costPerImage: 1 } }, {}, 164n],
  ['nothing, when there is no price yet', { id: 'd' }, {}, null],
])('a row is priced by %s', (_by, over, row, cost) => {
  const { id, ...facts } = { model: 'm', ...over };
  const one = exampleDeployment(id, { modelGroup: 'chat', provider: 'openai', ...facts });
  expect(entryPricer(priceList([one]))({ ...entry, ...row })).toBe(cost);
});

it('what was passed on to a raw API is priced by its model, where the address is the provider’s own or its lender knows it', () => {
  const lender = exampleDeployment('lender', { provider: 'anthropic', model: 'claude', prices: priced });
  const priceOf = (listedAs: object, model: string | null) =>
    entryPricer({
      groups: new Map([['chat', [lender]]]),
      catalog: {
        find: ({ provider, model: name }) =>
          `${provider}/${name}` === 'anthropic/haiku'
            ? { prices: { inputCostPerToken: 1, outputCostPerToken: 0 } }
            : undefined,
      },
      passThrough: [{ ...endpoint, providerRoute: { provider: 'anthropic', deploymentId: 'lender', ...listedAs } }],
    })({ ...entry, operation: 'pass-through', deploymentId: 'lender', provider: 'anthropic', model });
  const listed = { listedAs: 'anthropic' };
  expect(priceOf({}, 'claude')).toBe(164n);
  expect(priceOf(listed, 'haiku')).toBe(10_000_000n);
  expect(priceOf({}, 'haiku')).toBeNull();
  expect(priceOf(listed, 'unheard-of')).toBeNull();
  expect(priceOf(listed, null)).toBeNull();
});

const endpoint: PassThroughEndpoint = {
  path: '/anthropic',
  includeSubpath: true,
  methods: ['POST'],
  origin: 'http://127.0.0.1:9',
  basePath: '',
  query: {},
  headers: {},
  forwardHeaders: true,
  needsKey: true,
  timeoutSeconds: 1,
};

it('is a write like any other: only who has the right to write prices anything', async () => {
  const own = await migratedDatabase();
  onTestFinished(() => own.drop());
  const reprice = () =>
    repriceLedger(
      own.url,
      () => 5n,
      () => undefined,
    );
  await query(own.url, `SELECT name_first_region('us-east-1')`);
  await expect(reprice()).rejects.toMatchObject({ name: 'NotWriter', reason: 'lease-over' });
  await query(own.url, `UPDATE region_lease SET until = clock_timestamp() + interval '1 minute'`);
  expect(await reprice()).toEqual({ seen: 0, priced: 0, micros: 0n });
  await query(own.url, `UPDATE region_epoch SET state = 'closed'`);
  await expect(reprice()).rejects.toMatchObject({ reason: 'another-epoch' });
});

const price = fc.oneof(
  fc.constant(undefined),
  fc.constant(0),
  // What people write, and numbers whose binary form is not what was written.
  fc.integer({ min: 1, max: 99_999 }).map((digits) => Number(`${digits}e-9`)),
);
const unitPrices = fc.record({
  inputCostPerToken: price,
  outputCostPerToken: price,
  cacheReadCostPerToken: price,
  cacheWriteCostPerToken: price,
  hourCacheWriteCostPerToken: price,
  inputAudioCostPerToken: price,
  outputAudioCostPerToken: price,
  reasoningCostPerToken: price,
  costPerRequest: price,
  costPerImage: price,
  costPerCharacter: price,
  costPerSecond: price,
  costPerQuery: price,
});
const now = Date.now();
const priceEntries: fc.Arbitrary<ModelPrices> = fc
  .tuple(unitPrices, fc.option(unitPrices), fc.option(unitPrices))
  .map(([base, tier, period]) => ({
    ...base,
    ...(tier && { tiers: [{ ...tier, aboveTokens: 500 }] }),
    // From the very millisecond of some requests on.
    ...(period && { periods: [{ ...period, fromMs: now }] }),
  }));
const tokens = fc.integer({ min: 0, max: 1_000 });
const part = fc.option(tokens, { nil: undefined });
const usages: fc.Arbitrary<Usage | undefined> = fc.option(
  fc
    .record({
      promptTokens: tokens,
      completionTokens: tokens,
      cachedPromptTokens: part,
      cacheWriteTokens: part,
      hourCacheWriteTokens: part,
      audioPromptTokens: part,
      reasoningTokens: part,
      audioCompletionTokens: part,
    })
    .map(({ promptTokens, completionTokens, ...parts }) => ({
      promptTokens,
      completionTokens,
      ...usageParts(parts),
    })),
  { nil: undefined },
);
const bodies: Readonly<Record<Operation, JsonObject>> = {
  chat: { messages: [] },
  embeddings: { input: 'text' },
  moderations: { input: 'text' },
  images: { prompt: 'a house', n: 3 },
  speech: { input: 'Good morning' },
  rerank: { query: 'q', documents: Array.from({ length: 101 }, () => 'text') },
  transcriptions: {},
};
const cases = fc.record({
  operation: fc.constantFrom(...operationNames),
  usage: usages,
  heardMs: fc.option(fc.integer({ min: 0, max: 10_000_000 }), { nil: undefined }),
  startedAtMs: fc.integer({ min: now - 1, max: now + 1 }),
  before: fc.option(priceEntries, { nil: undefined }),
  after: priceEntries,
});

it('whatever was used and whatever it was priced by: with another price a row costs what the gateway would have booked', async () => {
  const own = await migratedDatabase();
  onTestFinished(() => own.drop());
  const ownPool = openPool({ url: own.url, poolSize: 1, onError: () => undefined });
  onTestFinished(() => ownPool.end());
  const expected = new Map<string, bigint | null>();
  const deployments: Deployment[] = [];
  const log = openLog(await temporaryDirectory());
  for (const { operation, usage, heardMs, startedAtMs, before, after } of fc.sample(cases, 1_500)) {
    const id = randomUUIDv7();
    const request = exampleRequest(bodies[operation], { id, operation, startedAtMs });
    const intent = intentOf(request, exampleCaller, noReservation);
    const settled = (prices: ModelPrices | undefined): SpendEvent => {
      const told: SpendEvent[] = [];
      const deployment = exampleDeployment(id, prices && { prices });
      const settlement = new Settlement({ request, intent, deployment, attempts: 1, fallbacks: 0 }, (event) =>
        told.push(event),
      );
      settlement.settle('finished', 200, { usage, ...(heardMs !== undefined && { heardMs }) });
      return told[0] ?? expect.fail('it was not settled');
    };
    const booked = settled(before);
    log.begin(booked);
    log.end(booked);
    expected.set(id, settled(after).costMicros);
    deployments.push(exampleDeployment(id, { prices: after }));
  }
  await new PostgresSpendLedger({ pool: ownPool, keepRows: true }).ship(log.id, 1, (await log.read(1, 2_000)).texts);
  log.close();
  await query(own.url, 'UPDATE spend_entry SET cost_micros = NULL');
  await repriceLedger(own.url, entryPricer(priceList(deployments)), () => undefined);
  const rows = await query(own.url, 'SELECT id, cost_micros AS cost FROM spend_entry');
  expect(new Map(rows.map(({ id, cost }) => [id, cost]))).toEqual(expected);
  expect([...expected.values()].filter((cost) => cost !== null && cost > 0n).length).toBeGreaterThan(300);
});
