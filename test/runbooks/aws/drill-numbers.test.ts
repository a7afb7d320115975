/** What a drill in AWS says in numbers: from the survivor's database, and from the counters of gateways in production. */
import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { countedDrill } from '../../../runbooks/aws/counted-drill.ts';
import { survivingRows } from '../../../runbooks/aws/surviving-rows.ts';
import { type DrillResult, drillFaults, notMeasured } from '../../../runbooks/books/drill-history.ts';
import { ledgerOf } from '../../../runbooks/load/ledger-file.ts';
import { migratedDatabase } from '../../support/gateway.ts';
import { listening } from '../../support/listening.ts';
import { query } from '../../support/query.ts';

const { signal } = new AbortController();
const line = (of: object): string => `${JSON.stringify(of)}\n`;
const request = (callId: string, atMs: number) =>
  line({ is: 'request', callId, atMs, tookMs: 10, tries: 1, isAnswered: true });
const write = (alias: string, atMs: number) =>
  line({ is: 'write', alias, atMs, endMs: atMs + 10, isAcknowledged: true });

describe('the ledger of a drill', () => {
  it('is read over two processes, past half a line, with the time between them', () => {
    const text = `${line({ is: 'session', atMs: 0 })}${request('one', 1_000)}{"is":"requ\n${line({ is: 'session', atMs: 9_010 })}${write('key', 9_500)}`;
    const { sessions, awaySeconds, marks } = ledgerOf(text);
    expect(sessions.map(({ requests, writes }) => [requests.length, writes.length])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(awaySeconds).toBe(8);
    expect(marks.size).toBe(0);
  });

  it('is held against the rows of the survivor: spend by call, keys by alias, and nobody else’s', async () => {
    const database = await migratedDatabase();
    onTestFinished(() => database.drop());
    const spend = (callId: string, ending = 'finished'): string =>
      `(current_date, gen_random_uuid(), gen_random_uuid(), 1, now(), '${ending}', '${callId}', 'h')`;
    await query(
      database.url,
      `INSERT INTO spend_entry (day, id, log_id, seq, at, ending, call_id, key_hash)
       VALUES ${[spend('once'), spend('twice'), spend('twice'), spend('cut', 'broken'), spend('other')].join(', ')}`,
    );
    await query(
      database.url,
      `INSERT INTO api_key (key_hash, key_name, key_alias) VALUES ('${'a'.repeat(64)}', 'sk', 'kept'), ('${'b'.repeat(64)}', 'sk', 'other')`,
    );
    const nowMs = Date.now();
    const ledger = ledgerOf(
      `${line({ is: 'session', atMs: nowMs })}${['once', 'twice', 'cut', 'lost'].map((id) => request(id, nowMs)).join('')}${write('kept', nowMs)}${write('gone', nowMs)}`,
    );
    const { booked, survivors } = await survivingRows(database.url, ledger, signal);
    expect(booked).toEqual(
      new Map([
        ['cut', 0],
        ['once', 1],
        ['twice', 2],
      ]),
    );
    expect([...survivors]).toEqual(['kept']);
  });
});

describe('a drill in production', () => {
  /** Answers by what is asked for. */
  async function prometheus(answer: (asked: string) => number | undefined): Promise<string> {
    const server = createServer((incoming, response) => {
      const value = answer(new URL(incoming.url ?? '/', 'http://here').searchParams.get('query') ?? '');
      const result = value === undefined ? [] : [{ metric: {}, value: [0, String(value)] }];
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
    });
    return listening(server);
  }

  it('counts requests and errors of all regions, and compares latency where clients were before and are now', async () => {
    const url = await prometheus((asked) => {
      const [isWest, isBefore] = [asked.includes('us-west-2'), asked.includes('offset 600s')];
      if (asked.includes('histogram_quantile')) return isBefore ? (isWest ? 9 : 0.2) : isWest ? 0.26 : 9;
      if (asked.includes('5..')) return isWest ? 1 : 2;
      return isBefore === isWest ? 100 : 500;
    });
    const counted = countedDrill({ regions: ['us-east-1', 'us-west-2'], urlOf: () => url });
    expect(await counted(0, 600_000, signal)).toMatchObject({
      requests: 600,
      errorPercent: 0.5,
      addedLatencyMs: 60,
      lostWrites: null,
      spendEventsLost: null,
    });
  });

  it('says nothing of errors when nothing was counted', async () => {
    const url = await prometheus(() => undefined);
    const counted = countedDrill({ regions: ['us-east-1'], urlOf: () => url });
    expect(await counted(0, 600_000, signal)).toMatchObject({ requests: 0, errorPercent: null, addedLatencyMs: null });
  });

  const numbers = { requests: 600, errorPercent: 0.5, addedLatencyMs: 60 };
  const unknown = {
    retriedPercent: undefined,
    troubleSeconds: undefined,
    servingGapSeconds: undefined,
    clientsAwaySeconds: undefined,
    writeGapSeconds: undefined,
    dataLossSeconds: undefined,
    acknowledgedWrites: undefined,
    lostWrites: undefined,
    spendEventsLost: undefined,
    spendEventsDoubled: undefined,
    invariantViolations: undefined,
  };
  const result = (
    environment: DrillResult['environment'],
    more: Partial<DrillResult['numbers']> = {},
  ): DrillResult => ({
    run: 'r-1',
    at: '2026-01-01T00:00:00.000Z',
    book: 'region-failover',
    environment,
    isComplete: true,
    recoverySeconds: 60,
    numbers: { ...unknown, ...numbers, ...more },
    violations: [],
    epochHistory: [],
  });

  it('passes by what real clients show, and lists what nobody has measured; staging has to measure it', () => {
    const report = { recoverySeconds: 60 };
    expect(drillFaults(result('production'), report, 'high')).toEqual([]);
    expect(notMeasured(result('production'))).toContain('spendEventsLost');
    expect(drillFaults(result('production', { errorPercent: undefined }), report, 'high')).toEqual([
      'the share of errors was not measured',
    ]);
    expect(drillFaults(result('production', { addedLatencyMs: 100 }), report, 'high')).toHaveLength(1);
    expect(drillFaults(result('staging'), report, 'high')).toContain('spend lost was not measured');
  });
});
