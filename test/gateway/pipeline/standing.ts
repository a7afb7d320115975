/** Where a request stands after a failure, and the moves that may follow. */
import type { UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import type { RecoverySettings } from '../../../gateway/domain/recovery.ts';
import { type Move, nextMove, type Standing } from '../../../gateway/pipeline/next-move.ts';
import { recovery, upstreamError } from '../examples.ts';

/** One failed attempt, a sibling that has not been tried, and plenty of time. */
export const standing = (kind: UpstreamErrorKind, over: Partial<Standing> = {}): Standing => ({
  groups: ['chat'],
  isSpent: (name) => (over.groups ?? ['chat']).includes(name),
  taken: new Set(),
  failures: [upstreamError(kind)],
  deployments: { all: 2, eligible: 2, untried: 1 },
  retryBudgetLeft: true,
  deploymentRetries: undefined,
  overrides: { disableFallbacks: false },
  remainingMs: 600_000,
  ...over,
});

export const alone = { all: 1, eligible: 1, untried: 0 };
export const tried = { all: 2, eligible: 2, untried: 0 };
export const failures = (kind: UpstreamErrorKind, times: number) =>
  Array.from({ length: times }, () => upstreamError(kind));
export const move = (at: Standing, settings: Partial<RecoverySettings> = {}, random = 0.5): Move =>
  nextMove(at, recovery(settings), () => random);

export const giveUp: Move = { kind: 'give-up' };
export const retryNow: Move = { kind: 'retry', afterMs: 0 };
export const fallbackTo = (group: string): Move => ({ kind: 'fallback', to: { model: group } });
export const toBackup = new Map([['chat', ['backup']]]);
