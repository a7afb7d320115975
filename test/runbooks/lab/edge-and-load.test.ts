import { createServer, type Server } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LabEdge } from '../../../runbooks/lab/edge.ts';
import { freePort } from '../../../runbooks/lab/free-port.ts';
import {
  type LoadEntry,
  servingGapSeconds,
  steadyLatencyMs,
  troubleSeconds,
  writeGapSeconds,
} from '../../../runbooks/load/ledger-clients.ts';
import { until } from '../../support/processes.ts';

const entry = (atMs: number, more: Partial<LoadEntry> = {}): LoadEntry => ({
  callId: `call-${atMs}`,
  atMs,
  tookMs: 10,
  tries: 1,
  isAnswered: true,
  ...more,
});

describe('what a drill reads from its ledger', () => {
  it('a gap is a time without an answer in which somebody was failed, not a quiet time', () => {
    expect(servingGapSeconds([entry(0), entry(5_000)])).toBe(0);
    expect(servingGapSeconds([entry(0), entry(1_000, { isAnswered: false }), entry(5_000)])).toBe(5);
    expect(servingGapSeconds([entry(0), entry(100, { tookMs: 1_910, tries: 3 }), entry(2_500)])).toBe(2);
  });

  it('clients met errors until the last request was sent that needed another try', () => {
    expect(
      troubleSeconds([entry(900), entry(1_100, { tries: 2 }), entry(4_000, { tries: 3 }), entry(9_000)], 1_000),
    ).toBe(3);
    expect(troubleSeconds([entry(500, { tries: 2 }), entry(2_000)], 1_000)).toBe(0);
  });

  it('the gap of writes is between two that were acknowledged', () => {
    const write = (atMs: number, isAcknowledged: boolean) => ({
      alias: `k-${atMs}`,
      atMs,
      endMs: atMs + 10,
      isAcknowledged,
    });
    expect(writeGapSeconds([write(0, true), write(1_000, false), write(9_000, true), write(9_100, true)])).toBe(9);
    expect(writeGapSeconds([write(0, true), write(1_000, false)])).toBeUndefined();
  });

  it('latency is that of answers alone', () => {
    expect(steadyLatencyMs([entry(0, { tookMs: 20 }), entry(1, { tookMs: 9_000, isAnswered: false })])).toBe(20);
    expect(steadyLatencyMs([])).toBe(0);
  });

  it('a machine that stutters for a while adds no latency, one that stays slow does', () => {
    const slowIn = (seconds: readonly number[]) =>
      [0, 1, 2, 3, 4, 5].flatMap((second) =>
        [0, 100, 200, 300].map((at) => entry(second * 1_000 + at, { tookMs: seconds.includes(second) ? 400 : 20 })),
      );
    expect(steadyLatencyMs(slowIn([1, 2]))).toBe(20);
    expect(steadyLatencyMs(slowIn([1, 2, 3, 4]))).toBe(400);
  });
});

async function gateway(): Promise<{ server: Server; address: string }> {
  const port = await freePort();
  const server = createServer((_, response) => response.end('{}'));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { server, address: `http://127.0.0.1:${port}` };
}

describe("the lab's DNS", () => {
  it('leaves an ill primary after failed checks in a row, and returns; a takeover object keeps clients away', async () => {
    const [a, b] = [await gateway(), await gateway()];
    const takeovers = new Set<string>();
    const edge = new LabEdge({
      primary: { name: 'a', addresses: () => [a.address] },
      standby: { name: 'b', addresses: () => [b.address] },
      intervalMs: 50,
      failureThreshold: 2,
      isTakenOver: (region) => takeovers.has(region),
    });
    onTestFinished(() => edge.stop());
    expect(edge.resolve()).toEqual([a.address]);
    takeovers.add('b');
    expect(edge.active).toBe('b');
    takeovers.delete('b');
    expect(edge.active).toBe('a');
    a.server.closeAllConnections();
    a.server.close();
    await until(() => edge.active === 'b');
    // All are ill: the answer is the primary, as Route 53's is.
    b.server.closeAllConnections();
    b.server.close();
    await until(() => edge.active === 'a');
  });

  it("divides the answers by the primary's share while it is taken over, and gives all to one region while the other is ill", async () => {
    const [a, b] = [await gateway(), await gateway()];
    const edge = new LabEdge({
      primary: { name: 'a', addresses: () => [a.address] },
      standby: { name: 'b', addresses: () => [b.address] },
      intervalMs: 50,
      failureThreshold: 2,
      isTakenOver: (region) => region === 'b',
      primaryShare: () => 25,
    });
    onTestFinished(() => edge.stop());
    const answers = Array.from({ length: 100 }, () => edge.resolve()[0]);
    const ofPrimary = answers.filter((address) => address === a.address).length;
    expect(ofPrimary).toBeGreaterThan(20);
    expect(ofPrimary).toBeLessThan(30);
    b.server.closeAllConnections();
    b.server.close();
    await until(() => Array.from({ length: 8 }, () => edge.resolve()[0]).every((address) => address === a.address));
  });
});
