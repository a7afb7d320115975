/** What may be forgotten, by what the candidates of this epoch show. */
import { expect, it, onTestFinished } from 'vitest';
import { PeerLink } from '../../../gateway/cluster/peer-link.ts';
import { ShownSpend } from '../../../gateway/cluster/shown-spend.ts';
import type { RegionState } from '../../../gateway/domain/region.ts';
import { mayForget } from '../../../gateway/region/right-to-write.ts';
import { LinkSignature } from '../../../gateway/region/signature.ts';

const log = '01a200f4-aae1-7232-ba93-4575d0fc9f7f';
const open: RegionState = {
  standing: 'writer',
  epoch: 2,
  writer: 'a',
  phase: 'held',
  leaseRemainingMs: 10_000,
  replayLagMs: 0,
  candidates: [],
  ttlSeconds: 15,
  faults: [],
};

function shown(over: Partial<RegionState> = {}): ShownSpend {
  const link = new PeerLink({
    region: 'a',
    addresses: new Map(),
    signature: new LinkSignature('a-secret-of-the-tests'),
    wallNow: Date.now,
    onHeard: () => undefined,
  });
  onTestFinished(() => link.close());
  const state = { ...open, ...over };
  return new ShownSpend({
    region: 'a',
    state: () => state,
    local: { positions: async () => new Map() },
    link,
    rules: { mayForget },
    onError: () => undefined,
  });
}

it.each([
  ['after a failover or a restore, when no candidate is left, what is archived', {}, true, true],
  ['without a candidate nothing that is not archived', {}, false, false],
  ['nothing while the claim of this epoch was not read', { phase: undefined }, true, false],
  ['nothing that a candidate does not answer for', { candidates: ['b'] }, true, false],
  ['anything where there is no claim', { candidates: undefined }, false, true],
])('may be forgotten: %s', async (_case, over, isArchived, forgets) => {
  const spend = shown(over);
  spend.mayForget(log, 7, isArchived);
  await spend.look();
  expect(spend.mayForget(log, 7, isArchived)).toBe(forgets);
});
