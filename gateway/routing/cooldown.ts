/** Cooldown: circuit breaking per deployment. A state, and pure transitions between states. */
import type { Deployment } from '../domain/deployment.ts';
import type { UpstreamErrorKind } from '../domain/errors.ts';
import type { CooldownSettings } from '../domain/recovery.ts';

export type Cooldown =
  | {
      readonly is: 'serving';
      /** Attempts and failures of the running minute. */
      readonly minute: number;
      readonly attempts: number;
      readonly failures: number;
      /** Failures since the last success. */
      readonly streak: number;
      /** When failures happened within the window of `allowed_fails`; oldest first, and no more than decide. */
      readonly failedAtMs: readonly number[];
    }
  | { readonly is: 'cooling'; readonly untilMs: number }
  /** One request is trying, since the time is over or nobody else is left; nobody else is sent there meanwhile. */
  | { readonly is: 'probing'; readonly sinceMs: number; readonly untilMs: number };

export type Outcome =
  | 'success'
  | {
      readonly kind: UpstreamErrorKind;
      readonly status: number;
      readonly retryAfterSeconds: number | undefined;
      /** The attempt was counted as a success when its stream began, and the stream broke later. */
      readonly afterSuccess?: boolean;
    };

export interface CooldownContext {
  readonly nowMs: number;
  readonly settings: CooldownSettings;
  /** The deployment's own `cooldown_time`. */
  readonly cooldownSeconds: number | undefined;
  /** Deployments of the group, and how many of the others are out of rotation. */
  readonly groupSize: number;
  readonly othersOut: number;
}

/** LiteLLM's thresholds: at least five attempts in the minute, more than half of them failed. */
const leastAttempts = 5;
const failureShare = 0.5;
/** A probe whose outcome never came (its process was killed) does not block the deployment for longer than this. */
const probeLostMs = 60_000;
/** A `Retry-After` beyond this is a quota's business and not a cooldown's; a wrong one must not remove a deployment. */
const longestRetryAfterSeconds = 3_600;

export const serving: Cooldown = { is: 'serving', minute: 0, attempts: 0, failures: 0, streak: 0, failedAtMs: [] };

/** Whether a request may be sent there now. */
export function mayServe(state: Cooldown, nowMs: number): boolean {
  switch (state.is) {
    case 'serving':
      return true;
    case 'cooling':
      return nowMs >= state.untilMs;
    case 'probing':
      return nowMs - state.sinceMs > probeLostMs;
  }
}

/** When it may serve again by itself; of one that is being tried nobody knows, so it comes after those that are not. */
export const isBackAtMs = (state: Cooldown): number => {
  switch (state.is) {
    case 'serving':
      return Number.NEGATIVE_INFINITY;
    case 'cooling':
      return state.untilMs;
    case 'probing':
      return Number.POSITIVE_INFINITY;
  }
};

/** At most one in ten attempts failed this minute, and the last one did not. */
export const isSound = (state: Cooldown, nowMs: number): boolean =>
  state.is === 'serving' &&
  state.streak === 0 &&
  (state.minute !== Math.floor(nowMs / 60_000) || state.failures <= state.attempts * 0.1);

/** The state while an attempt is under way: the first one after a cooldown becomes the probe. */
export const onAttempt = (state: Cooldown, nowMs: number): Cooldown =>
  state.is === 'serving' ? state : { is: 'probing', sinceMs: nowMs, untilMs: state.untilMs };

/** The state when an attempt ended without an outcome: a probe is given back, and the cooldown is what it was. */
export const onWithdrawal = (state: Cooldown): Cooldown =>
  state.is === 'probing' ? { is: 'cooling', untilMs: state.untilMs } : state;

export function afterOutcome(state: Cooldown, outcome: Outcome, context: CooldownContext): Cooldown {
  // The late outcome of an older request must not end, shorten or restart a cooldown that stands; and once its time is
  // over, a late failure must not put the deployment back into rotation without a probe.
  if (state.is === 'cooling' && (context.nowMs < state.untilMs || outcome !== 'success')) return state;
  const counted = count(state, outcome, context);
  if (outcome === 'success') return counted;
  const asked = Math.min(outcome.retryAfterSeconds ?? 0, longestRetryAfterSeconds);
  const cooldownSeconds = context.cooldownSeconds ?? (asked > 0 ? asked : context.settings.cooldownSeconds);
  if (!context.settings.enabled || cooldownSeconds === 0 || !concernsDeployment(outcome)) return counted;
  if (!mayEject(context)) return counted;
  const cools = state.is === 'probing' || isTooMuch(counted, outcome, context);
  return cools ? { is: 'cooling', untilMs: context.nowMs + cooldownSeconds * 1000 } : counted;
}

/** A number that the entry of a deployment states goes before what the router says of any kind of failure. */
export function settingsFor(
  { tolerance }: Pick<Deployment, 'tolerance'>,
  settings: CooldownSettings,
): CooldownSettings {
  if (tolerance === undefined) return settings;
  const { allowedFails = settings.allowedFails, allowedFailsByKind } = tolerance;
  const ofRouter = tolerance.allowedFails === undefined ? settings.allowedFailsByKind : {};
  return { ...settings, allowedFails, allowedFailsByKind: { ...ofRouter, ...allowedFailsByKind } };
}

type Serving = Extract<Cooldown, { is: 'serving' }>;

function count(state: Cooldown, outcome: Outcome, context: CooldownContext): Serving {
  const { nowMs } = context;
  const failed = outcome !== 'success';
  const attempts = failed && outcome.afterSuccess === true ? 0 : 1;
  const minute = Math.floor(nowMs / 60_000);
  const same = state.is === 'serving' && state.minute === minute;
  const failedAtMs = state.is === 'serving' ? state.failedAtMs : [];
  return {
    is: 'serving',
    minute,
    attempts: Math.max((same ? state.attempts : 0) + attempts, failed ? 1 : 0),
    failures: (same ? state.failures : 0) + (failed ? 1 : 0),
    streak: failed ? (state.is === 'serving' ? state.streak : 0) + 1 : 0,
    failedAtMs: failed ? withFailure(failedAtMs, context) : failedAtMs,
  };
}

/** Kept only where `allowed_fails` asks for them, and no more than one beyond the largest number allowed. */
function withFailure(failedAtMs: readonly number[], context: CooldownContext): readonly number[] {
  const { allowedFails = -1, allowedFailsByKind } = context.settings;
  const most = Math.max(allowedFails, ...Object.values(allowedFailsByKind));
  if (most < 0) return failedAtMs;
  const since = context.nowMs - allowedWindowMs(context);
  const recent = failedAtMs.filter((at) => at >= since);
  return [...recent.slice(Math.max(0, recent.length - most)), context.nowMs];
}

/** LiteLLM counts failures for as long as a cooldown takes. */
const allowedWindowMs = ({ cooldownSeconds, settings }: CooldownContext): number =>
  Math.max(1, cooldownSeconds ?? settings.cooldownSeconds) * 1000;

/** A client's own mistake (400, 422, ...) says nothing about the deployment. */
const concernsDeployment = (outcome: Exclude<Outcome, 'success'>): boolean =>
  outcome.status >= 500 || outcome.kind === 'timeout' || [401, 403, 404, 408, 429].includes(outcome.status);

/** At most half of a group is out at a time, and never its last deployment. */
const mayEject = (context: CooldownContext): boolean =>
  context.groupSize > 1 && context.othersOut + 1 <= Math.max(1, Math.floor(context.groupSize / 2));

function isTooMuch(state: Serving, outcome: Exclude<Outcome, 'success'>, context: CooldownContext): boolean {
  const { settings, nowMs } = context;
  const allowed = settings.allowedFailsByKind[outcome.kind] ?? settings.allowedFails;
  if (allowed !== undefined) {
    return state.failedAtMs.filter((at) => nowMs - at <= allowedWindowMs(context)).length > allowed;
  }
  if (outcome.status < 500 && outcome.kind !== 'timeout') return true;
  // The share alone would let a deployment that just died fail as often as it had succeeded this minute.
  if (state.streak >= leastAttempts) return true;
  return state.attempts >= leastAttempts && state.failures / state.attempts > failureShare;
}
