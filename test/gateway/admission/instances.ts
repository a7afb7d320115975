/** Gateway processes as far as admission goes: several of them over one real database and one real Redis. */
import { randomUUIDv7 } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { type AdmissionSettings, SlicedAdmission } from '../../../gateway/admission/sliced-admission.ts';
import type { Estimate, Reservation } from '../../../gateway/domain/admission.ts';
import type { Allowance, Level, RateLimits, Scope } from '../../../gateway/domain/entitlements.ts';
import { accountId } from '../../../gateway/domain/entitlements.ts';
import { Refusal } from '../../../gateway/domain/errors.ts';
import type { Caller } from '../../../gateway/domain/request.ts';
import type { BudgetSlices, LimitSlices, Siblings } from '../../../gateway/domain/slices.ts';
import { SpendLogHeartbeat } from '../../../gateway/outbox/heartbeat.ts';
import { RedisLimitSlices } from '../../../gateway/stores/limits.ts';
import { openPool, type Pool } from '../../../gateway/stores/postgres.ts';
import { PostgresBudgetSlices } from '../../../gateway/stores/slices.ts';
import { PostgresSpendLedger } from '../../../gateway/stores/spend.ts';
import { exampleRequest } from '../examples.ts';

const ignore = (): void => undefined;

export const settings: AdmissionSettings = {
  budgetExceededStatus: 429,
  budgetUnavailable: 'refuse',
  unpricedModels: 'allow',
  capOutputToBudget: false,
  shareMinimumOne: false,
  expectedReplicas: 1,
  rateWindowMs: 60_000,
  slotExpiryMs: 15_000,
};

/** Of vitest's test context: tests that run at the same time must say whose end it is. */
export type AtEnd = (end: () => void) => void;

export interface InstanceOptions {
  readonly databaseUrl?: string;
  readonly redisUrl?: string | undefined;
  readonly settings?: Partial<AdmissionSettings>;
  /** Instead of the real ones. */
  readonly budgets?: BudgetSlices;
  readonly limits?: LimitSlices;
  readonly siblings?: Siblings;
  readonly globalScope?: Scope;
  readonly endUserScope?: (id: string) => Scope | undefined | Promise<Scope | undefined>;
  readonly now?: () => number;
  readonly wallNow?: () => number;
}

export interface Instance {
  readonly admission: SlicedAdmission;
  readonly siblings: Siblings;
  readonly softAlerts: { readonly account: string; readonly spent: number; readonly soft: number }[];
  readonly refusals: string[];
  readonly limits: RedisLimitSlices | undefined;
  /** Asks for a request of this size; a refusal is the answer, everything else is thrown. */
  ask(scopes: readonly Scope[], estimate?: Partial<Estimate>, options?: AskOptions): Promise<Reservation | Refusal>;
  /** Ends without having given anything back, as a killed process does. */
  kill(): void;
}

export interface AskOptions {
  readonly group?: string;
  readonly endUser?: string;
  readonly admin?: boolean;
  readonly signal?: AbortSignal;
}

/** As the outbox has it, with another log after one that was closed. */
function heartbeatOf(pool: Pool): SpendLogHeartbeat {
  let logId: string = randomUUIDv7();
  return new SpendLogHeartbeat({
    ledger: new PostgresSpendLedger({ pool, keepRows: true }),
    logId: () => logId,
    listen:
      () =>
      ({ closed }) => {
        if (closed) logId = randomUUIDv7();
      },
    onFailed: ignore,
    now: () => performance.now(),
    wallNow: Date.now,
  });
}

/** @param atEnd ends it with the test. */
export async function startInstance(options: InstanceOptions, atEnd: AtEnd = onTestFinished): Promise<Instance> {
  const { databaseUrl, redisUrl } = options;
  const used: AdmissionSettings = { ...settings, ...options.settings };
  const pool = databaseUrl === undefined ? undefined : openPool({ url: databaseUrl, poolSize: 4, onError: ignore });
  const heartbeat = pool === undefined ? undefined : heartbeatOf(pool);
  const limits =
    redisUrl === undefined
      ? undefined
      : new RedisLimitSlices({
          redis: redisUrl,
          processId: randomUUIDv7(),
          slotExpiryMs: used.slotExpiryMs,
          onError: ignore,
        });
  await Promise.all([heartbeat?.start(), limits?.start()]);
  const siblings = options.siblings ?? heartbeat ?? { logId: randomUUIDv7(), live: 1, rank: 0 };
  const softAlerts: Instance['softAlerts'] = [];
  const refusals: string[] = [];
  const admission = new SlicedAdmission({
    settings: used,
    budgets: options.budgets ?? (pool === undefined ? undefined : new PostgresBudgetSlices(pool)),
    limits: options.limits ?? limits,
    siblings,
    globalScope: options.globalScope,
    endUserScope: options.endUserScope ?? (() => undefined),
    now: options.now ?? (() => performance.now()),
    wallNow: options.wallNow ?? Date.now,
    onSoftBudget: (account, spent, soft) => softAlerts.push({ account, spent, soft }),
    onRefused: (reason) => refusals.push(reason),
    onError: ignore,
  });
  admission.start();
  let ended = false;
  const kill = (): void => {
    if (ended) return;
    ended = true;
    admission.stop();
    limits?.close();
    void Promise.resolve(heartbeat?.stop()).then(() => pool?.end());
  };
  atEnd(kill);
  return {
    admission,
    siblings,
    softAlerts,
    refusals,
    limits,
    ask: async (scopes, estimate, asked = {}) => {
      const request = exampleRequest(undefined, asked.endUser === undefined ? {} : { endUser: asked.endUser });
      const caller: Caller = { keyHash: 'hash', role: asked.admin === true ? 'admin' : 'caller', models: [], scopes };
      try {
        const signal = asked.signal ?? new AbortController().signal;
        return await admission.admit(
          request,
          caller,
          asked.group ?? 'chat',
          () => ({ micros: 0, tokens: 0, ...estimate }),
          signal,
        );
      } catch (error) {
        if (error instanceof Refusal) return error;
        throw error;
      }
    },
    kill,
  };
}

export const isAdmitted = (answer: Reservation | Refusal): answer is Reservation => !(answer instanceof Refusal);

export interface ScopeOptions extends Partial<Allowance> {
  readonly name?: string;
  readonly maxMicros?: number;
  readonly softMicros?: number;
  readonly models?: Readonly<Record<string, Partial<Allowance>>>;
}

/** A level with at most one budget, and limits. */
export function scope(level: Level, id: string, options: ScopeOptions = {}): Scope {
  const account = accountId(level, id);
  const { maxMicros, softMicros } = options;
  const own =
    maxMicros === undefined ? [] : [{ id: account, maxMicros, ...(softMicros === undefined ? {} : { softMicros }) }];
  return {
    level,
    name: options.name ?? id,
    account,
    budgets: options.budgets ?? own,
    limits: options.limits ?? {},
    models: new Map(
      Object.entries(options.models ?? {}).map(([model, allowance]) => [
        model,
        { budgets: allowance.budgets ?? [], limits: allowance.limits ?? {} },
      ]),
    ),
  };
}

export const limited = (id: string, limits: RateLimits): Scope => scope('key', id, { limits });

/** What the outbox does: costs reach the ledger, in order. */
export class Ledger {
  readonly #pool: Pool;
  readonly #log: () => string;
  #position = 1;

  constructor(databaseUrl: string, { siblings }: Instance) {
    this.#pool = openPool({ url: databaseUrl, poolSize: 1, onError: ignore });
    this.#log = () => siblings.logId;
    onTestFinished(() => this.#pool.end());
  }

  async book(costMicros: number, accounts: readonly string[]): Promise<void> {
    const event = {
      day: new Date().toISOString().slice(0, 10),
      id: randomUUIDv7(),
      at: Date.now(),
      cost: costMicros,
      ending: 'finished',
      accounts,
      key: 'hash',
    };
    const values = [this.#log(), this.#position++, JSON.stringify([event])];
    await this.#pool.query('SELECT ship_events($1, $2, $3)', values);
  }

  async close(): Promise<boolean> {
    const { rows } = await this.#pool.query<{ closed: boolean }>('SELECT close_log($1, $2) AS closed', [
      this.#log(),
      this.#position - 1,
    ]);
    return rows[0]?.closed === true;
  }
}
