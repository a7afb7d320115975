import { describe, expect, it } from 'vitest';
import type { UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import type { RecoverySettings } from '../../../gateway/domain/recovery.ts';
import { type Move, nextMove, type Standing } from '../../../gateway/pipeline/next-move.ts';
import { recovery, upstreamError } from '../examples.ts';

/** One failed attempt, a sibling that has not been tried, and plenty of time. */
const standing = (kind: UpstreamErrorKind, over: Partial<Standing> = {}): Standing => ({
  groups: ['chat'],
  failures: [upstreamError(kind)],
  deployments: { all: 2, eligible: 2, untried: 1 },
  retryBudgetLeft: true,
  deploymentRetries: undefined,
  overrides: { disableFallbacks: false },
  remainingMs: 600_000,
  ...over,
});

const alone = { all: 1, eligible: 1, untried: 0 };
const tried = { all: 2, eligible: 2, untried: 0 };
const failures = (kind: UpstreamErrorKind, times: number) => Array.from({ length: times }, () => upstreamError(kind));
const move = (at: Standing, settings: Partial<RecoverySettings> = {}, random = 0.5): Move =>
  nextMove(at, recovery(settings), () => random);

const giveUp: Move = { kind: 'give-up' };
const retryNow: Move = { kind: 'retry', afterMs: 0 };
const fallbackTo = (group: string): Move => ({ kind: 'fallback', group });
const toBackup = new Map([['chat', ['backup']]]);

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

describe('which group is the fallback', () => {
  const exhausted = (kind: UpstreamErrorKind, over: Partial<Standing> = {}) =>
    standing(kind, { failures: failures(kind, 3), deployments: tried, ...over });

  it.each<[string, Standing, Partial<RecoverySettings>, Move]>([
    ['the first of its list', exhausted('timeout'), { fallbacks: new Map([['chat', ['a', 'b']]]) }, fallbackTo('a')],
    [
      'the next one after that failed too',
      exhausted('timeout', { groups: ['chat', 'a'] }),
      { fallbacks: new Map([['chat', ['a', 'b']]]) },
      fallbackTo('b'),
    ],
    ['nobody without a list', exhausted('timeout'), { fallbacks: new Map([['other', ['a']]]) }, giveUp],
    [
      'never the group itself',
      exhausted('timeout'),
      { fallbacks: new Map([['chat', ['chat', 'a']]]) },
      fallbackTo('a'),
    ],
    [
      'default_fallbacks without an entry of its own',
      exhausted('timeout'),
      { defaultFallbacks: ['d'] },
      fallbackTo('d'),
    ],
    [
      'its own entry rather than default_fallbacks',
      exhausted('timeout'),
      { fallbacks: new Map([['chat', ['a']]]), defaultFallbacks: ['d'] },
      fallbackTo('a'),
    ],
    [
      'the entry under the name without its provider',
      exhausted('timeout', { groups: ['openai/gpt-4o'] }),
      { fallbacks: new Map([['gpt-4o', ['a']]]) },
      fallbackTo('a'),
    ],
    [
      'the exact entry rather than the one without the provider',
      exhausted('timeout', { groups: ['openai/gpt-4o'] }),
      {
        fallbacks: new Map([
          ['gpt-4o', ['a']],
          ['openai/gpt-4o', ['b']],
        ]),
      },
      fallbackTo('b'),
    ],
    [
      'the failed fallback’s own list first: a chain',
      exhausted('timeout', { groups: ['chat', 'a'] }),
      {
        fallbacks: new Map([
          ['chat', ['a', 'b']],
          ['a', ['c']],
        ]),
      },
      fallbackTo('c'),
    ],
    [
      'then the rest of the first list',
      exhausted('timeout', { groups: ['chat', 'a', 'c'] }),
      {
        fallbacks: new Map([
          ['chat', ['a', 'b']],
          ['a', ['c']],
        ]),
      },
      fallbackTo('b'),
    ],
    [
      'for a prompt that is too long, context_window_fallbacks',
      exhausted('context-window'),
      { fallbacks: toBackup, contextWindowFallbacks: new Map([['chat', ['long']]]) },
      fallbackTo('long'),
    ],
    [
      'nobody when context_window_fallbacks exist without an entry: the general list would fail the same way',
      exhausted('context-window'),
      { fallbacks: toBackup, defaultFallbacks: ['d'], contextWindowFallbacks: new Map([['other', ['long']]]) },
      giveUp,
    ],
    [
      'the general list when there are no context_window_fallbacks at all',
      exhausted('context-window'),
      { fallbacks: toBackup },
      fallbackTo('backup'),
    ],
    [
      'for a refused prompt, content_policy_fallbacks',
      exhausted('content-policy'),
      { fallbacks: toBackup, contentPolicyFallbacks: new Map([['chat', ['lenient']]]) },
      fallbackTo('lenient'),
    ],
    [
      'nobody when content_policy_fallbacks exist without an entry',
      exhausted('content-policy'),
      { fallbacks: toBackup, contentPolicyFallbacks: new Map([['other', ['lenient']]]) },
      giveUp,
    ],
    [
      'the special lists say nothing about other kinds',
      exhausted('timeout'),
      { fallbacks: toBackup, contextWindowFallbacks: new Map([['chat', ['long']]]) },
      fallbackTo('backup'),
    ],
    [
      'nobody beyond max_fallbacks',
      exhausted('timeout', { groups: ['chat', 'a'] }),
      { fallbacks: new Map([['chat', ['a', 'b']]]), maxFallbacks: 1 },
      giveUp,
    ],
    ['nobody with max_fallbacks 0', exhausted('timeout'), { fallbacks: toBackup, maxFallbacks: 0 }, giveUp],
    [
      'nobody with disable_fallbacks',
      exhausted('timeout', { overrides: { disableFallbacks: true, fallbacks: ['mine'] } }),
      { fallbacks: toBackup },
      giveUp,
    ],
    [
      'those of the request instead of the configured ones',
      exhausted('timeout', { overrides: { disableFallbacks: false, fallbacks: ['mine'] } }),
      { fallbacks: toBackup },
      fallbackTo('mine'),
    ],
    [
      'those of the request also for prompts that are too long',
      exhausted('context-window', { overrides: { disableFallbacks: false, fallbacks: ['mine'] } }),
      { contextWindowFallbacks: new Map([['chat', ['long']]]) },
      fallbackTo('mine'),
    ],
    [
      'nobody when the request’s own list is empty',
      exhausted('timeout', { overrides: { disableFallbacks: false, fallbacks: [] } }),
      { fallbacks: toBackup },
      giveUp,
    ],
  ])('%s', (_rule, at, settings, expected) => {
    expect(move(at, settings)).toEqual(expected);
  });

  it('a prompt that is too long goes to its list at once, with retries left', () => {
    const settings = { contextWindowFallbacks: new Map([['chat', ['long']]]), retriesByKind: { 'context-window': 3 } };
    expect(move(standing('context-window'), settings)).toEqual(fallbackTo('long'));
  });

  it('a bad request of the client goes to the fallbacks without a retry', () => {
    expect(move(standing('bad-request'), { fallbacks: toBackup })).toEqual(fallbackTo('backup'));
  });
});
