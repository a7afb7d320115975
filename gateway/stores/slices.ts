/** Slices of budgets out of PostgreSQL. One statement a call and no session state, so PgBouncer may stand in between. */
import {
  type BudgetClaim,
  type BudgetReply,
  type BudgetSlices,
  LogClosed,
  type ShownSlices,
} from '../domain/slices.ts';
import { codeOf, type Pool } from './postgres.ts';

interface ReplyRow {
  account_id: string;
  granted: bigint;
  free: bigint;
  spent: bigint;
  max: bigint | null;
  window_ms: bigint | null;
}

const grant = `SELECT account_id, granted, free, spent, max, window_ms
  FROM grant_slices($1::uuid, $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])`;

/** A request may wait for this call, so it must fail soon. */
const timeoutMs = 2_000;
/** Deadlock and serialization: whoever is chosen to give way asks again. */
const worthRepeating: ReadonlySet<string> = new Set(['40P01', '40001']);
const mostAttempts = 3;
/** Raised by the functions when the log is closed. */
const logClosed = 'HF010';

export class PostgresBudgetSlices implements BudgetSlices, ShownSlices {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async grant(logId: string, claims: readonly BudgetClaim[]): Promise<BudgetReply[]> {
    const column = <Name extends keyof BudgetClaim>(name: Name) => claims.map((claim) => claim[name]);
    const values = [
      logId,
      column('account'),
      column('granted'),
      column('returned'),
      column('want'),
      column('ticket'),
      column('slack'),
    ];
    for (let attempt = 1; ; attempt++) {
      try {
        const query = { text: grant, values, query_timeout: timeoutMs };
        const { rows } = await this.#pool.query<ReplyRow>(query);
        return rows.map((row) => ({
          account: row.account_id,
          granted: Number(row.granted),
          free: Number(row.free),
          spent: Number(row.spent),
          max: row.max === null ? undefined : Number(row.max),
          windowMs: row.window_ms === null ? undefined : Number(row.window_ms),
        }));
      } catch (error) {
        if (codeOf(error) === logClosed) throw new LogClosed(error);
        if (attempt === mostAttempts || !worthRepeating.has(codeOf(error))) throw error;
      }
    }
  }

  async shown(logId: string, accounts: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const text = 'SELECT account_id, granted_micros FROM slice WHERE log_id = $1 AND account_id = ANY($2)';
    const query = { text, values: [logId, accounts], query_timeout: timeoutMs };
    const { rows } = await this.#pool.query<{ account_id: string; granted_micros: bigint }>(query);
    return new Map(rows.map(({ account_id, granted_micros }) => [account_id, Number(granted_micros)]));
  }
}

/** Sets an account's limit and window; what was spent stays. */
export async function putAccount(
  pool: Pool,
  id: string,
  maxMicros: number,
  window: { readonly length: string; readonly endsAtMs: number } | undefined,
): Promise<void> {
  await pool.query('SELECT put_account($1, $2, $3::interval, $4)', [
    id,
    maxMicros,
    window?.length ?? null,
    window === undefined ? null : new Date(window.endsAtMs),
  ]);
}
