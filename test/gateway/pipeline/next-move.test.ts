import { describe, expect, it } from 'vitest';
import type { UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import type { Move, Standing } from '../../../gateway/pipeline/next-move.ts';
import { upstreamError } from '../examples.ts';
import { alone, failures, fallbackTo, giveUp, move, retryNow, standing, toBackup, tried } from './standing.ts';

describe('whether the same group is tried again', () => {
  it.each<[UpstreamErrorKind, Move, Move]>([
    // kind, with a sibling that was not tried, alone
    ['timeout', retryNow, { kind: 'retry', afterMs: 250 }],
    ['unavailable', retryNow, { kind: 'retry', afterMs: 250 }],
    ['rate-limit', retryNow, { kind: 'retry', afterMs: 250 }],
    ['authentication', retryNow, giveUp],
    ['bad-request', giveUp, giveUp],
    ['context-window', giveUp, giveUp],
    ['content-policy', giveUp, giveUp],
    ['not-found', giveUp, giveUp],
  ])(
    '%s: a sibling is asked at once where that may help, the only deployment is asked again where waiting may help',
    (kind, withSibling, only) => {
      expect(move(standing(kind))).toEqual(withSibling);
      expect(move(standing(kind, { deployments: alone }))).toEqual(only);
    },
  );

  it('a conflict (409) is worth another try although it is a 4xx', () => {
    const failed = [upstreamError('bad-request', { status: 409 })];
    expect(move(standing('bad-request', { failures: failed }))).toEqual(retryNow);
  });

  it('a provider that advises for or against another try is obeyed; against only for itself', () => {
    const advised = (kind: UpstreamErrorKind, retryAdvised: boolean) => ({
      failures: [upstreamError(kind, { retryAdvised })],
    });
    expect(move(standing('bad-request', advised('bad-request', true)))).toEqual(retryNow);
    expect(move(standing('unavailable', { ...advised('unavailable', false), deployments: alone }))).toEqual(giveUp);
    expect(move(standing('unavailable', advised('unavailable', false)))).toEqual(retryNow);
  });

  it('a rate limit is not waited out where a fallback exists', () => {
    expect(move(standing('rate-limit', { deployments: tried }), { fallbacks: toBackup })).toEqual(fallbackTo('backup'));
    const disabled = { disableFallbacks: true };
    expect(
      move(standing('rate-limit', { deployments: tried, overrides: disabled }), { fallbacks: toBackup }).kind,
    ).toBe('retry');
  });

  it.each([
    ['num_retries of the settings', {}, { numRetries: 2 }, 2],
    ['max_retries of the deployment wins over the settings', { deploymentRetries: 1 }, { numRetries: 3 }, 1],
    [
      'num_retries of the request wins over both',
      { deploymentRetries: 1, overrides: { disableFallbacks: false, numRetries: 4 } },
      { numRetries: 3 },
      4,
    ],
    ['num_retries 0 of the request', { overrides: { disableFallbacks: false, numRetries: 0 } }, { numRetries: 3 }, 0],
    [
      'retry_policy wins over every num_retries',
      { deploymentRetries: 5, overrides: { disableFallbacks: false, numRetries: 9 } },
      { retriesByKind: { timeout: 1 } },
      1,
    ],
    ['retry_policy 0', {}, { numRetries: 3, retriesByKind: { timeout: 0 } }, 0],
    [
      'model_group_retry_policy wins over retry_policy',
      {},
      { retriesByKind: { timeout: 0 }, retriesByKindOfGroup: new Map([['chat', { timeout: 3 }]]) },
      3,
    ],
    [
      'model_group_retry_policy of another group does not count',
      {},
      { retriesByKind: { timeout: 1 }, retriesByKindOfGroup: new Map([['other', { timeout: 9 }]]) },
      1,
    ],
  ])('%s: exactly so many retries', (_rule, at, settings, retries) => {
    for (let failed = 1; failed <= 12; failed++) {
      const next = move(standing('timeout', { ...at, failures: failures('timeout', failed) }), settings);
      expect([failed, next.kind]).toEqual([failed, failed <= retries ? 'retry' : 'give-up']);
    }
  });

  it('InternalServerErrorRetries is acted on: LiteLLM documents it and never reads it', () => {
    const settings = { numRetries: 0, retriesByKind: { unavailable: 2 } };
    for (let failed = 1; failed <= 4; failed++) {
      const next = move(standing('unavailable', { failures: failures('unavailable', failed) }), settings);
      expect([failed, next.kind]).toEqual([failed, failed <= 2 ? 'retry' : 'give-up']);
    }
  });

  it('retry_policy also retries what would not be worth it, as LiteLLM does', () => {
    expect(move(standing('bad-request'), { retriesByKind: { 'bad-request': 1 } })).toEqual(retryNow);
    expect(
      move(standing('authentication', { deployments: alone }), { retriesByKind: { authentication: 1 } }).kind,
    ).toBe('retry');
  });

  it('a group without any deployment is left at once', () => {
    const none = { all: 0, eligible: 0, untried: 0 };
    const settings = { retriesByKind: { 'rate-limit': 5 }, fallbacks: toBackup };
    expect(move(standing('rate-limit', { deployments: none }), settings)).toEqual(fallbackTo('backup'));
  });
});

describe('how long a retry waits', () => {
  const only = (over: Partial<Parameters<typeof upstreamError>[1]> = {}, times = 1): Standing =>
    standing('unavailable', {
      deployments: alone,
      failures: Array.from({ length: times }, () => upstreamError('unavailable', over)),
    });

  it('not at all while a sibling has not been tried, even when the failed one asked for a wait', () => {
    const asked = [upstreamError('unavailable', { retryAfterSeconds: 30 })];
    expect(move(standing('unavailable', { failures: asked }), { retryAfterSeconds: 20 })).toEqual(retryNow);
  });

  it.each([
    [1, 1_000],
    [60, 60_000],
    [0.5, 500],
  ])('Retry-After %d s is honoured exactly', (retryAfterSeconds, afterMs) => {
    expect(move(only({ retryAfterSeconds }))).toEqual({ kind: 'retry', afterMs });
  });

  it.each([0, 60.001, 3_600])('Retry-After %d s is not a wait: the exponential one is used', (retryAfterSeconds) => {
    expect(move(only({ retryAfterSeconds }))).toEqual({ kind: 'retry', afterMs: 250 });
  });

  it('the ceiling doubles from 0.5 s to 8 s, and the wait is anywhere below it', () => {
    const settings = { numRetries: 9 };
    const ceilings = [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000];
    for (const [index, ceiling] of ceilings.entries()) {
      expect(move(only({}, index + 1), settings, 0)).toEqual({ kind: 'retry', afterMs: 0 });
      const highest = move(only({}, index + 1), settings, 0.999_999);
      expect(highest.kind === 'retry' && highest.afterMs).toBeGreaterThan(ceiling * 0.999);
      expect(highest.kind === 'retry' && highest.afterMs).toBeLessThan(ceiling);
    }
  });

  it('retry_after is the least wait, also above what the provider asked for', () => {
    const settings = { retryAfterSeconds: 5 };
    expect(move(only(), settings)).toEqual({ kind: 'retry', afterMs: 5_000 });
    expect(move(only({ retryAfterSeconds: 2 }), settings)).toEqual({ kind: 'retry', afterMs: 5_000 });
    expect(move(only({ retryAfterSeconds: 9 }), settings)).toEqual({ kind: 'retry', afterMs: 9_000 });
  });

  it('a wait by status replaces retry_after for that status only', () => {
    const settings = { retryAfterSeconds: 5, retryAfterSecondsByStatus: new Map([[503, 30]]) };
    expect(move(only({ status: 503 }), settings)).toEqual({ kind: 'retry', afterMs: 30_000 });
    expect(move(only({ status: 500 }), settings)).toEqual({ kind: 'retry', afterMs: 5_000 });
  });
});

describe('the deadline', () => {
  it('nothing is tried when no time is left', () => {
    expect(move(standing('timeout', { remainingMs: 0 }), { fallbacks: toBackup })).toEqual(giveUp);
    expect(move(standing('timeout', { remainingMs: -1 }), { fallbacks: toBackup })).toEqual(giveUp);
  });

  it('a wait that would outlast it is not begun: the fallback is asked instead, or nobody', () => {
    const late = standing('unavailable', {
      deployments: alone,
      failures: [upstreamError('unavailable', { retryAfterSeconds: 10 })],
      remainingMs: 10_000,
    });
    expect(move(late)).toEqual(giveUp);
    expect(move(late, { fallbacks: toBackup })).toEqual(fallbackTo('backup'));
    expect(move({ ...late, remainingMs: 10_001 })).toEqual({ kind: 'retry', afterMs: 10_000 });
  });
});
