/**
 * The region protocol, explored state by state on the product's own transition functions. The bounded mixes here run with
 * every test; `npm run model:region` runs the large ones.
 */
import { describe, expect, it } from 'vitest';
import { explore } from './checker.ts';
import { type LeaseVariant, leaseModel } from './lease-model.ts';
import { chosen, guards, type RegionVariant, regionModel } from './region-model.ts';

const lease: LeaseVariant = {
  buckets: 1,
  ttl: 3,
  drift: 1,
  wait: 4,
  stamp: 'send',
  waitStarts: 'after-seizing',
  quorum: 1,
};

describe("the claim's lease", () => {
  it('never lets the old holder acknowledge once the new one has opened', () => {
    expect(explore(leaseModel(lease))).toMatchObject({ complete: true, violated: undefined });
    const longer = explore(leaseModel({ ...lease, ttl: 4, drift: 2, wait: 6 }));
    expect(longer).toMatchObject({ complete: true, violated: undefined });
  });

  it.each<[string, Partial<LeaseVariant>]>([
    ['a wait without a margin for drifting clocks', { wait: 3 }],
    ['a renewal that counts from its answer', { stamp: 'answer' }],
    ['a wait before the seizure', { waitStarts: 'before-seizing' }],
    ['one bucket of three', { buckets: 3, quorum: 1, ttl: 1, wait: 1, drift: 0 }],
  ])('is broken by %s', (_, naive) => {
    expect(explore(leaseModel({ ...lease, ...naive })).violated).toBe(
      'the old holder may acknowledge after the new one has opened',
    );
  });
});

/** A lease that nobody needs. */
const withoutLease = {
  mayBegin: ({ isPrimary, row }, region) => isPrimary && row.state === 'open' && row.writer === region,
  mayAcknowledge: () => true,
} satisfies Partial<RegionVariant['guards']>;
/** A row that does not say who the writer is. */
const withoutWriter = {
  mayBegin: ({ isPrimary, row }) => isPrimary && row.state === 'open',
  mayCommit: ({ isPrimary, row }, _, epoch) => isPrimary && row.epoch === epoch && row.state === 'open',
  mayIngest: ({ isPrimary }) => isPrimary,
} satisfies Partial<RegionVariant['guards']>;
const withoutCheckInside = { mayCommit: ({ isPrimary }) => isPrimary } satisfies Partial<RegionVariant['guards']>;

const withGuards = (naive: Partial<RegionVariant['guards']>, more: Partial<RegionVariant> = {}): RegionVariant => ({
  ...chosen,
  events: 0,
  maxEpoch: 2,
  ...more,
  guards: { ...guards, ...naive },
});

describe('the right to write', () => {
  it('holds I1 to I6 with two gateways a region and two operators who are killed and act late', () => {
    const variant: RegionVariant = { ...chosen, gatewaysPerRegion: 2, events: 0, operators: 2, maxEpoch: 2 };
    expect(explore(regionModel(variant))).toMatchObject({ complete: true, violated: undefined });
  });

  it('holds them with a spend event and a write in every order', () => {
    const variant: RegionVariant = { ...chosen, writes: 1, maxEpoch: 2 };
    expect(explore(regionModel(variant))).toMatchObject({ complete: true, violated: undefined });
  });

  it('leaves no state from which a writable, replicated pair with all spend settled cannot be reached', () => {
    const variant: RegionVariant = { ...chosen, writes: 1, maxEpoch: 2 };
    expect(explore(regionModel(variant, { withRecovery: true }))).toMatchObject({
      complete: true,
      violated: undefined,
      stuck: false,
    });
  });

  it.each<[string, RegionVariant, string]>([
    [
      'no lease, no claim and no check in the transaction',
      withGuards(
        {
          ...withoutLease,
          ...withoutWriter,
          mayBegin: withoutWriter.mayBegin,
          mayCommit: ({ isPrimary }) => isPrimary,
        },
        { waitsForLease: false },
      ),
      'I1',
    ],
    ['no lease', withGuards(withoutLease, { waitsForLease: false }), 'I2'],
    ['no second look before the answer', withGuards({ mayAcknowledge: () => true }), 'I2'],
    ['no check of the epoch inside the transaction', withGuards(withoutCheckInside, { maxEpoch: 3 }), 'I3'],
    ['the same in a planned switchover', withGuards(withoutCheckInside, { maxEpoch: 3 }), 'I6'],
    [
      'a row that does not name its writer, and no lease',
      withGuards({ ...withoutWriter, mayAcknowledge: () => true }, { waitsForLease: false }),
      'I3',
    ],
    ['outboxes that forget at the commit', { ...chosen, writes: 0, forgets: 'committed' }, 'I4'],
    ['outboxes that compare positions of the log', { ...chosen, writes: 0, forgets: 'by-position' }, 'I4'],
    ['an ingest that counts twice', { ...chosen, writes: 0, ingestsOnce: false }, 'I4'],
    ['a rebuild without a report', { ...chosen, events: 0, reportsBeforeRebuild: false }, 'I5'],
  ])('is broken by %s', (_, naive, invariant) => {
    const { violated, trace } = explore(regionModel(naive, { only: invariant }));
    expect(violated, trace.join('\n')).toMatch(new RegExp(`^${invariant}`));
  });

  it('is stuck for ever when a run counts the epoch up instead of taking it from the claim', () => {
    const variant = withGuards(
      { raised: (row, _, writer) => ({ epoch: row.epoch + 1, writer, state: 'open' }) },
      { maxEpoch: 3, writes: 1 },
    );
    expect(explore(regionModel(variant, { withRecovery: true })).stuck).toBe(true);
  });
});
