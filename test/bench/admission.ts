/**
 * `node test/bench/admission.ts`: CPU nanoseconds of admitting and settling a request whose slices suffice, by the
 * number of levels that bind its caller. No store is asked.
 */
import { SlicedAdmission } from '../../gateway/admission/sliced-admission.ts';
import { accountId, levels, type Scope } from '../../gateway/domain/entitlements.ts';
import type { Caller, ModelRequest } from '../../gateway/domain/request.ts';
import type { BudgetClaim } from '../../gateway/domain/slices.ts';

const requests = 2_000_000;
const repeats = 5;
const plenty = 1e15;

const admission = new SlicedAdmission({
  settings: {
    budgetExceededStatus: 429,
    budgetUnavailable: 'refuse',
    unpricedModels: 'allow',
    capOutputToBudget: false,
    shareMinimumOne: false,
    expectedReplicas: 1,
    rateWindowMs: 60_000,
    slotExpiryMs: 15_000,
  },
  budgets: {
    grant: async (_log, claims: readonly BudgetClaim[]) =>
      claims.map(({ account }) => ({
        account,
        granted: plenty,
        free: plenty,
        spent: 0,
        max: plenty,
        windowMs: undefined,
      })),
  },
  limits: undefined,
  siblings: { logId: '', live: 1, rank: 0 },
  globalScope: undefined,
  endUserScope: () => undefined,
  now: () => performance.now(),
  wallNow: Date.now,
  onSoftBudget: () => undefined,
  onRefused: () => undefined,
  onError: (error) => {
    throw error;
  },
});

const request: ModelRequest = {
  id: '',
  callId: '',
  operation: 'chat',
  model: 'chat',
  stream: false,
  body: {},
  bytes: Buffer.alloc(0),
  contentType: 'application/json',
  overrides: { disableFallbacks: false },
  tags: [],
  startedAtMs: 0,
};
const estimate = { micros: 1_000, tokens: 100 };
const { signal } = new AbortController();

const scopesOf = (count: number, limited: boolean): Scope[] =>
  Array.from({ length: count }, (_, index) => {
    const level = levels[index % levels.length] ?? 'key';
    const account = accountId(level, `${count}-${index}-${limited}`);
    return {
      level,
      name: account,
      account,
      budgets: [{ id: account, maxMicros: plenty }],
      limits: limited ? { requestsPerMinute: plenty, tokensPerMinute: plenty, parallelRequests: plenty } : {},
      models: new Map(),
    };
  });

for (const [count, limited] of [
  [0, false],
  [4, false],
  [8, false],
  [4, true],
  [8, true],
] as const) {
  const caller: Caller = { keyHash: '', role: 'caller', models: [], scopes: scopesOf(count, limited) };
  const admit = () => admission.admit(request, caller, 'chat', () => estimate, signal);
  (await admit()).settle(0, 0);
  const samples: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const before = process.cpuUsage();
    for (let index = 0; index < requests; index++) {
      const reservation = admit();
      if (reservation instanceof Promise) throw new Error('the slices do not suffice');
      reservation.settle(900, 90);
    }
    const { user, system } = process.cpuUsage(before);
    samples.push(((user + system) * 1_000) / requests);
  }
  const sorted = samples.toSorted((a, b) => a - b);
  const name = `${count} levels, ${limited ? 'a budget and three limits each' : count === 0 ? 'nothing' : 'a budget each'}`;
  process.stdout.write(`${name.padEnd(44)} ${sorted[Math.floor(repeats / 2)]?.toFixed(0).padStart(5)} ns CPU\n`);
}
