import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import type { UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import {
  afterOutcome,
  type Cooldown,
  type CooldownContext,
  isSound,
  mayServe,
  type Outcome,
  onAttempt,
  serving,
  settingsFor,
} from '../../../gateway/routing/cooldown.ts';
import { cooldownSettings, exampleDeployment, statusOfKind } from '../examples.ts';

const start = 10 * 60_000;

type Failure = Exclude<Outcome, 'success'>;

const failure = (kind: UpstreamErrorKind, over: Partial<Failure> = {}): Failure => ({
  kind,
  status: statusOfKind[kind],
  retryAfterSeconds: undefined,
  ...over,
});

const context = (over: Partial<CooldownContext> = {}): CooldownContext => ({
  nowMs: start,
  settings: cooldownSettings(),
  cooldownSeconds: undefined,
  groupSize: 3,
  othersOut: 0,
  ...over,
});

const after = (outcomes: readonly Outcome[], over: Partial<CooldownContext> = {}, from: Cooldown = serving): Cooldown =>
  outcomes.reduce((state, outcome) => afterOutcome(state, outcome, context(over)), from);

const times = (count: number, outcome: Outcome): Outcome[] => Array.from({ length: count }, () => outcome);
const coolingFor = (seconds: number): Cooldown => ({ is: 'cooling', untilMs: start + seconds * 1000 });
const broken = failure('unavailable');

describe('what takes a deployment out without allowed_fails', () => {
  it.each<[string, Failure]>([
    ['a rate limit', failure('rate-limit')],
    ['a wrong key', failure('authentication')],
    ['a forbidden key', failure('authentication', { status: 403 })],
    ['a model that does not exist', failure('not-found')],
  ])('%s: at once', (_case, outcome) => {
    expect(after([outcome])).toEqual(coolingFor(30));
  });

  it.each<[string, Failure]>([
    ['a bad request', failure('bad-request')],
    ['an unprocessable request', failure('bad-request', { status: 422 })],
    ['a prompt that is too long', failure('context-window')],
    ['a refused prompt', failure('content-policy')],
  ])('%s: never, since it is the client’s', (_case, outcome) => {
    expect(after(times(50, outcome)).is).toBe('serving');
  });

  it('server errors and time-outs: more than half of at least five attempts in a minute', () => {
    expect(after(times(4, broken)).is).toBe('serving');
    expect(after(times(5, broken))).toEqual(coolingFor(30));
    expect(after([...times(3, 'success'), ...times(3, broken)]).is).toBe('serving');
    expect(after([...times(3, 'success'), ...times(4, broken)]).is).toBe('cooling');
    expect(after(times(5, failure('timeout'))).is).toBe('cooling');
  });

  it('five failures in a row take it out, however often it had succeeded before', () => {
    const before = after([...times(500, 'success' as const), ...times(4, broken)]);
    expect(before.is).toBe('serving');
    expect(after([broken], {}, before).is).toBe('cooling');
    expect(after(['success', broken], {}, before).is).toBe('serving');
  });

  it('the counts begin anew with each minute', () => {
    const before = after([...times(4, broken), 'success']);
    expect(after([broken], { nowMs: start + 60_000 }, before).is).toBe('serving');
  });

  it('streams that begin and then break count once, as failures: a deployment that breaks them all is taken out', () => {
    const brokenStream: Outcome[] = ['success', failure('unavailable', { afterSuccess: true })];
    expect(after(Array.from({ length: 5 }, () => brokenStream).flat()).is).toBe('cooling');
  });
});

describe('allowed_fails', () => {
  it.each([0, 1, 3, 1_500])('%d: one failure more takes it out, whatever the successes between', (allowedFails) => {
    const settings = cooldownSettings({ allowedFails });
    const enough = times(allowedFails, broken).flatMap((outcome) => ['success' as const, outcome]);
    expect(after(enough, { settings }).is).toBe('serving');
    expect(after([...enough, broken], { settings }).is).toBe('cooling');
  });

  it('of a kind counts instead of the general one; 0 means the first failure', () => {
    const settings = cooldownSettings({ allowedFails: 100, allowedFailsByKind: { timeout: 0, 'rate-limit': 2 } });
    expect(after([failure('timeout')], { settings }).is).toBe('cooling');
    expect(after(times(2, failure('rate-limit')), { settings }).is).toBe('serving');
    expect(after(times(3, failure('rate-limit')), { settings }).is).toBe('cooling');
    expect(after(times(100, broken), { settings }).is).toBe('serving');
  });

  it.each<[string, Deployment['tolerance'], number]>([
    ['nothing: the router’s', undefined, 2],
    ['a number: before the router’s policy', { allowedFails: 4 }, 4],
    ['a policy: before the router’s', { allowedFailsByKind: { unavailable: 0 } }, 0],
    ['a policy of other kinds: the router’s for this one', { allowedFailsByKind: { timeout: 0 } }, 2],
    ['both: the policy', { allowedFails: 4, allowedFailsByKind: { unavailable: 1 } }, 1],
  ])('of a deployment that states %s', (_, tolerance, tolerated) => {
    const ofRouter = cooldownSettings({ allowedFails: 9, allowedFailsByKind: { unavailable: 2 } });
    const settings = settingsFor(exampleDeployment('a', tolerance === undefined ? {} : { tolerance }), ofRouter);
    expect(after(times(tolerated, broken), { settings }).is).toBe('serving');
    expect(after(times(tolerated + 1, broken), { settings }).is).toBe('cooling');
  });

  it('no more failures are kept than decide, and none where nobody asks for a number', () => {
    const kept = (settings: Parameters<typeof cooldownSettings>[0]): number => {
      const state = after(times(50, failure('bad-request')), { settings: cooldownSettings(settings) });
      return state.is === 'serving' ? state.failedAtMs.length : Number.NaN;
    };
    expect(kept({})).toBe(0);
    expect(kept({ allowedFails: 10 })).toBe(11);
    expect(kept({ allowedFails: 10, allowedFailsByKind: { timeout: 20 } })).toBe(21);
  });

  it('failures older than the cooldown time are forgotten', () => {
    const settings = cooldownSettings({ allowedFails: 1 });
    const once = after([broken], { settings });
    expect(after([broken], { settings, nowMs: start + 30_001 }, once).is).toBe('serving');
    expect(after([broken], { settings, nowMs: start + 30_000 }, once).is).toBe('cooling');
  });
});

describe('how long it is out', () => {
  it.each<[string, Partial<Failure>, Partial<CooldownContext>, number]>([
    ['the settings’ cooldown_time', {}, {}, 30],
    ['the provider’s Retry-After before that', { retryAfterSeconds: 7 }, {}, 7],
    ['the deployment’s own cooldown_time before both', { retryAfterSeconds: 7 }, { cooldownSeconds: 3 }, 3],
    ['a Retry-After of 0 asks for nothing', { retryAfterSeconds: 0 }, {}, 30],
    ['a Retry-After beyond an hour is an hour', { retryAfterSeconds: 1e300 }, {}, 3_600],
  ])('%s', (_case, outcome, over, seconds) => {
    expect(after([failure('rate-limit', outcome)], over)).toEqual(coolingFor(seconds));
  });

  it.each<[string, Partial<CooldownContext>]>([
    ['cooldown_time 0 of the deployment', { cooldownSeconds: 0 }],
    ['cooldown_time 0 of the settings', { settings: cooldownSettings({ cooldownSeconds: 0 }) }],
    ['disable_cooldowns', { settings: cooldownSettings({ enabled: false }) }],
  ])('%s: never out', (_case, over) => {
    expect(after(times(20, failure('rate-limit')), over).is).toBe('serving');
  });
});

describe('at most half of a group is out, and never its last deployment', () => {
  it.each([
    [1, 0, false],
    [2, 0, true],
    [2, 1, false],
    [3, 0, true],
    [3, 1, false],
    [4, 1, true],
    [4, 2, false],
    [10, 4, true],
    [10, 5, false],
  ])('of %d with %d others out: %s', (groupSize, othersOut, out) => {
    expect(after([failure('rate-limit')], { groupSize, othersOut }).is === 'cooling').toBe(out);
  });
});

describe('the way back', () => {
  const cooling = coolingFor(30);
  const atEnd = start + 30_000;

  it('nobody is sent there before the time is over', () => {
    expect(mayServe(cooling, atEnd - 1)).toBe(false);
    expect(mayServe(cooling, atEnd)).toBe(true);
  });

  it('the first attempt is a probe, and nobody else is sent there meanwhile', () => {
    const probing = onAttempt(cooling, atEnd);
    expect(probing).toEqual({ is: 'probing', sinceMs: atEnd, untilMs: atEnd });
    expect(mayServe(probing, atEnd)).toBe(false);
    expect(mayServe(probing, atEnd + 60_000)).toBe(false);
  });

  it('a probe whose outcome never came does not block for longer than a minute', () => {
    expect(mayServe(onAttempt(cooling, atEnd), atEnd + 60_001)).toBe(true);
  });

  it('a probe that succeeds brings it back with a clean record', () => {
    const back = after(['success'], { nowMs: atEnd }, onAttempt(cooling, atEnd));
    expect(back).toMatchObject({ is: 'serving', attempts: 1, failures: 0, failedAtMs: [] });
  });

  it('a probe that fails starts a whole new cooldown, also for a kind that is tolerated otherwise', () => {
    const settings = cooldownSettings({ allowedFails: 100 });
    const again = after([broken], { nowMs: atEnd, settings }, onAttempt(cooling, atEnd));
    expect(again).toEqual({ is: 'cooling', untilMs: atEnd + 30_000 });
  });

  it('a probe that fails by the client’s own mistake brings it back: the deployment answered', () => {
    expect(after([failure('bad-request')], { nowMs: atEnd }, onAttempt(cooling, atEnd)).is).toBe('serving');
  });

  it('late outcomes of older requests neither end, shorten nor restart a cooldown that stands', () => {
    for (const outcome of ['success', broken, failure('rate-limit', { retryAfterSeconds: 1 })] as const) {
      expect(after([outcome], { nowMs: atEnd - 1 }, cooling)).toBe(cooling);
    }
  });

  it('a late failure after the cooldown does not open the deployment to everybody without a probe', () => {
    expect(after([broken], { nowMs: atEnd + 1 }, cooling)).toBe(cooling);
  });

  it('an attempt at a deployment that serves changes nothing', () => {
    expect(onAttempt(serving, start)).toBe(serving);
  });
});

it('whatever happens, a deployment comes back: no state keeps it out for longer than its cooldown and a lost probe', () => {
  const outcome = fc.oneof(
    fc.constant<Outcome>('success'),
    fc.record({
      kind: fc.constantFrom<UpstreamErrorKind>('timeout', 'unavailable', 'rate-limit', 'authentication', 'bad-request'),
      status: fc.constantFrom(400, 401, 408, 429, 500, 503),
      retryAfterSeconds: fc.option(fc.double({ min: 0, noNaN: true }), { nil: undefined }),
    }),
  );
  const step = fc.record({ outcome, passMs: fc.nat(100_000), attempt: fc.boolean(), othersOut: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let state = serving;
      let nowMs = start;
      for (const { outcome: told, passMs, attempt, othersOut } of steps) {
        nowMs += passMs;
        if (attempt && mayServe(state, nowMs)) state = onAttempt(state, nowMs);
        state = afterOutcome(state, told, context({ nowMs, othersOut }));
        if (state.is === 'serving') expect(state.failures).toBeLessThanOrEqual(state.attempts);
      }
      expect(mayServe(state, nowMs + 3_600_000)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

const seen = { is: 'serving', minute: 100, attempts: 0, failures: 0, streak: 0, failedAtMs: [] } as const;

it.each<[string, Cooldown, boolean]>([
  ['was never asked', serving, true],
  ['failed once in ten attempts, and answered since', { ...seen, attempts: 10, failures: 1 }, true],
  ['failed twice in ten attempts', { ...seen, attempts: 10, failures: 2 }, false],
  ['failed last', { ...seen, attempts: 1_000, failures: 1, streak: 1 }, false],
  ['failed last, in an earlier minute', { ...seen, minute: 99, attempts: 1_000, failures: 1, streak: 1 }, false],
  ['failed often in an earlier minute, and answered since', { ...seen, minute: 99, attempts: 9, failures: 8 }, true],
  ['is cooling', { is: 'cooling', untilMs: 0 }, false],
  ['is being probed', { is: 'probing', sinceMs: 0, untilMs: 0 }, false],
])('whether a retry beyond the budget may go to a deployment that %s', (_what, state, sound) => {
  expect(isSound(state, 100 * 60_000 + 1)).toBe(sound);
});
