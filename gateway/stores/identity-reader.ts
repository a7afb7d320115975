/** Questions of the management API, inside one transaction. */
import type { AccountState, IdentityReader, Page, RowFilter, RowKind, RowSearch, Rows } from '../domain/management.ts';
import { castOf, columnOf, fromJson, tables, toParameter } from './identity-rows.ts';
import type { PoolClient } from './postgres.ts';
import { PostgresReports } from './spend-reports.ts';

const largestPage = 1_000;

export class PostgresReader implements IdentityReader {
  protected readonly client: PoolClient;
  readonly reports: PostgresReports;

  constructor(client: PoolClient) {
    this.client = client;
    this.reports = new PostgresReports(client);
  }

  async find<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K] | undefined> {
    const [row] = await this.list(kind, filter, { page: 1, size: 1 });
    return row;
  }

  async list<K extends RowKind>(kind: K, filter: RowFilter<K>, page: Page, search?: RowSearch<K>): Promise<Rows[K][]> {
    const values: unknown[] = [];
    const where = whereOf(kind, filter, values, search);
    const size = Math.min(page.size, largestPage);
    values.push(size, (page.page - 1) * size);
    return this.select(
      kind,
      `SELECT to_jsonb(x) AS row FROM ${tables[kind].table} x WHERE ${where}
       ORDER BY created_at DESC, ${orderOf(kind)} LIMIT $${values.length - 1} OFFSET $${values.length}`,
      values,
    );
  }

  async count<K extends RowKind>(kind: K, filter: RowFilter<K>, search?: RowSearch<K>): Promise<number> {
    const values: unknown[] = [];
    const where = whereOf(kind, filter, values, search);
    const { rows } = await this.client.query<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${tables[kind].table} x WHERE ${where}`,
      values,
    );
    return Number(rows[0]?.n ?? 0);
  }

  async accounts(ids: readonly string[]): Promise<ReadonlyMap<string, AccountState>> {
    const { rows } = await this.client.query<{ id: string; spent: bigint; window_end: Date | null }>(
      `SELECT id, CASE WHEN window_end <= clock_timestamp() THEN 0 ELSE spent_micros END AS spent,
              window_end_after(window_end, window_length, clock_timestamp()) AS window_end
         FROM account WHERE id = ANY($1)`,
      [[...ids]],
    );
    return new Map(
      rows.map((row) => [row.id, { spentMicros: row.spent, windowEndMs: row.window_end?.getTime() }] as const),
    );
  }

  protected async select<K extends RowKind>(kind: K, text: string, values: readonly unknown[]): Promise<Rows[K][]> {
    const { rows } = await this.client.query<{ row: Record<string, unknown> }>(text, [...values]);
    return rows.map(({ row }) => fromJson(kind, row));
  }
}

const orderOf = (kind: RowKind): string => tables[kind].id.map((field: string) => columnOf(kind, field)[0]).join(', ');

/** Appends to `values`. Deleted rows never fit. */
export function whereOf<K extends RowKind>(
  kind: K,
  filter: RowFilter<K>,
  values: unknown[],
  search?: RowSearch<K>,
): string {
  const conditions = ['deleted_at IS NULL'];
  for (const [field, value] of Object.entries(filter)) {
    if (value === undefined) continue;
    const [column, form] = columnOf(kind, field);
    if (Array.isArray(value)) {
      values.push(value.map((one) => toParameter(form, one)));
      conditions.push(`${column} = ANY($${values.length}::${castOf[form]}[])`);
    } else if (value === null) {
      conditions.push(`${column} IS NULL`);
    } else {
      values.push(toParameter(form, value));
      conditions.push(`${column} = $${values.length}::${castOf[form]}`);
    }
  }
  if (search !== undefined) {
    // Wildcards in what somebody types are text: a pattern of theirs could keep the server busy.
    values.push(`%${search.part.replace(/[\\%_]/g, (wildcard) => `\\${wildcard}`)}%`);
    conditions.push(`${columnOf(kind, String(search.field))[0]} ILIKE $${values.length}`);
  }
  return conditions.join(' AND ');
}
