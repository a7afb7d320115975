/** What regions ask each other: who may be asked, and what ends a question. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { linkPath, PeerLink } from '../../../gateway/cluster/peer-link.ts';
import { RegionAnswers } from '../../../gateway/cluster/region-answers.ts';
import { WriterUnreachable } from '../../../gateway/domain/region.ts';
import { LinkSignature } from '../../../gateway/region/signature.ts';

const signature = new LinkSignature('a-secret-of-twenty-characters');
const refuse = (): Promise<never> => Promise.reject(new Error('not asked'));

it('a question that hangs ends with the gateway, not with its time-out', async () => {
  let asked = (): void => undefined;
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const silent = createServer(() => asked());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const { port }: AddressInfo = Object(silent.address());
  const link = new PeerLink({
    region: 'a',
    addresses: new Map([['b', `http://127.0.0.1:${port}`]]),
    signature,
    wallNow: Date.now,
    onHeard: () => undefined,
  });
  const answer = link.call('b', 'shown', '{}', 60_000);
  await isAsked;
  link.close();
  await expect(answer).rejects.toThrow(WriterUnreachable);
}, 5_000);

it.each([
  ['the writer', 'a', 200],
  ['one that has heard of a newer claim, be it one that has reached a single bucket', 'b', 409],
])('slices are granted by %s', async (_who, writer, status) => {
  const answers = new RegionAnswers({
    region: 'a',
    state: () => ({
      standing: 'writer',
      epoch: 2,
      writer,
      phase: 'held',
      leaseRemainingMs: 5_000,
      replayLagMs: 0,
      candidates: [],
      ttlSeconds: 15,
      faults: [],
    }),
    signature,
    wallNow: Date.now,
    local: { ship: refuse, skip: refuse, positions: refuse, close: refuse, touch: refuse },
    budgets: { grant: async () => [] },
    slices: { shown: refuse },
    rows: { shownLease: refuse },
    rowsOf: refuse,
    denials: () => undefined,
    stored: { after: refuse, apply: refuse },
    onError: () => undefined,
  });
  const body = JSON.stringify({ logId: '01890a5d-ac96-774b-bcce-b302099a8057', claims: [] });
  const path = linkPath('grant');
  const answer = await answers.answer('grant', path, signature.sign('b', path, body, Date.now()), Buffer.from(body));
  expect(answer?.status).toBe(status);
});
