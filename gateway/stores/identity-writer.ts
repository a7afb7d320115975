/** Changes of the management API, inside one transaction; each leaves its line in the audit log. */
import { windowOf } from '../domain/budget-window.ts';
import type { Actor, IdentityWriter, NewRow, RowChange, RowFilter, RowKind, Rows } from '../domain/management.ts';
import type { LedgerPlace, PriceEntry, Repriced } from '../domain/repricing.ts';
import { PostgresReader, whereOf } from './identity-reader.ts';
import { castOf, columnOf, tables, toParameter } from './identity-rows.ts';
import type { PoolClient } from './postgres.ts';
import { repriceBatch } from './repricing.ts';

interface AuditLine {
  readonly action: string;
  readonly kind: string;
  readonly id: string;
  readonly change: Readonly<Record<string, readonly [unknown, unknown]>>;
}

/** Fields whose values are nobody's business: that they changed is told, and not to what. */
const untold: ReadonlySet<string> = new Set(['metadata', 'extra', 'params']);
/** Fields that change with every write and say nothing. */
const unsaid: ReadonlySet<string> = new Set(['revision', 'updatedAtMs', 'createdAtMs', 'deleted']);

export class PostgresWriter extends PostgresReader implements IdentityWriter {
  readonly #actor: Actor;
  readonly #onChanged: (kind: RowKind, row: object) => void;
  readonly #audit: AuditLine[] = [];

  constructor(client: PoolClient, actor: Actor, onChanged: (kind: RowKind, row: object) => void) {
    super(client);
    this.#actor = actor;
    this.#onChanged = onChanged;
  }

  async lock<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K] | undefined> {
    const [row] = await this.#locked(kind, filter);
    return row;
  }

  /** In one order, whoever asks: two that want the same rows wait for each other and do not lock each other out. */
  #locked<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K][]> {
    const values: unknown[] = [];
    const where = whereOf(kind, filter, values);
    return this.select(
      kind,
      `SELECT to_jsonb(x) AS row FROM ${tables[kind].table} x WHERE ${where} ORDER BY ${idColumns(kind)} FOR NO KEY UPDATE`,
      values,
    );
  }

  async insert<K extends RowKind>(kind: K, values: NewRow<K>): Promise<Rows[K] | undefined> {
    const { table, revives, columns } = tables[kind];
    const stated = Object.entries(values).filter(([, value]) => value !== undefined);
    const names = stated.map(([field]) => columnOf(kind, field)[0]);
    const parameters = stated.map(([field, value]) => toParameter(columnOf(kind, field)[1], value));
    const placeholders = stated.map(([field], index) => `$${index + 1}::${castOf[columnOf(kind, field)[1]]}`);
    // Everything that the new row does not state must be as if the old one had never been.
    const fresh = Object.keys(columns)
      .map((field) => columnOf(kind, field)[0])
      .map((column) => `${column} = ${names.includes(column) ? `excluded.${column}` : 'DEFAULT'}`);
    const onConflict = revives
      ? `ON CONFLICT (${idColumns(kind)}) DO UPDATE SET ${fresh.join(', ')}, deleted_at = NULL,
           created_at = clock_timestamp() WHERE ${table}.deleted_at IS NOT NULL`
      : 'ON CONFLICT DO NOTHING';
    const [row] = await this.select(
      kind,
      `INSERT INTO ${table} (${names.join(', ')}) VALUES (${placeholders.join(', ')}) ${onConflict}
       RETURNING to_jsonb(${table}) AS row`,
      parameters,
    );
    if (row !== undefined) this.#note('created', kind, {}, row);
    return row;
  }

  async update<K extends RowKind>(kind: K, filter: RowFilter<K>, change: RowChange<K>): Promise<Rows[K][]> {
    const before = await this.#locked(kind, filter);
    const stated = Object.entries(change);
    if (before.length === 0 || stated.length === 0) return before;
    const values: unknown[] = [];
    const assignments = stated.map(([field, value]) => {
      const [column, form] = columnOf(kind, field);
      values.push(toParameter(form, value));
      return `${column} = $${values.length}::${castOf[form]}`;
    });
    const after = await this.#change(kind, before, assignments.join(', '), values);
    for (const row of after) this.#note('updated', kind, twin(kind, before, row), row);
    return after;
  }

  async remove<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K][]> {
    const before = await this.#locked(kind, filter);
    if (before.length === 0) return [];
    // An alias is free again for somebody else.
    const freed = kind === 'key' ? ', key_alias = NULL' : '';
    const after = await this.#change(kind, before, `deleted_at = clock_timestamp()${freed}`, []);
    for (const row of after) this.#note('deleted', kind, twin(kind, before, row), row);
    return after;
  }

  #change<K extends RowKind>(kind: K, rows: readonly Rows[K][], set: string, values: unknown[]): Promise<Rows[K][]> {
    const { table, id } = tables[kind];
    const conditions = id.map((field) => {
      const [column, form] = columnOf(kind, field);
      values.push(rows.map((row) => toParameter(form, row[field])));
      return { column, parameter: `$${values.length}::${castOf[form]}[]` };
    });
    const columns = conditions.map(({ column }) => column).join(', ');
    const parameters = conditions.map(({ parameter }) => parameter).join(', ');
    return this.select(
      kind,
      `UPDATE ${table} SET ${set} WHERE (${columns}) IN (SELECT * FROM unnest(${parameters}))
       RETURNING to_jsonb(${table}) AS row`,
      values,
    );
  }

  #note<K extends RowKind>(action: string, kind: K, before: object, after: Rows[K]): void {
    this.#onChanged(kind, after);
    const change = action === 'deleted' ? {} : difference(before, after);
    if (action === 'updated' && Object.keys(change).length === 0) return;
    const id = tables[kind].id.map((field) => String(after[field])).join('/');
    this.#audit.push({ action, kind, id, change });
  }

  async putAccount(id: string, maxMicros: number | null, duration: string | undefined): Promise<void> {
    const window = duration === undefined ? undefined : windowOf(duration, Date.now());
    await this.client.query('SELECT put_account($1, $2, $3::interval, $4)', [
      id,
      maxMicros,
      window?.length ?? null,
      window === undefined ? null : new Date(window.endsAtMs),
    ]);
  }

  async setSpent(ids: readonly string[] | undefined, micros: number): Promise<void> {
    const some = ids === undefined ? 'true' : 'id = ANY($2)';
    // In the order in which everybody locks accounts.
    await this.client.query(
      `WITH locked AS (SELECT id FROM account WHERE ${some} ORDER BY id FOR NO KEY UPDATE)
       UPDATE account SET spent_micros = $1 WHERE id IN (SELECT id FROM locked)`,
      ids === undefined ? [micros] : [micros, [...ids]],
    );
    this.#audit.push({
      action: 'spend set',
      kind: 'account',
      id: ids === undefined ? '*' : ids.join(','),
      change: { spentMicros: [null, micros] },
    });
  }

  async reprice(price: PriceEntry, after: LedgerPlace | undefined): Promise<Repriced> {
    const batch = await repriceBatch(this.client, price, after);
    if (batch.priced > 0) {
      this.#audit.push({
        action: 'spend repriced',
        kind: 'ledger',
        id: '*',
        change: { entries: [null, batch.priced], micros: [null, String(batch.micros)] },
      });
    }
    return batch;
  }

  /** Last of all, since the head of the chain is locked from here to the commit. */
  async finish(): Promise<void> {
    const { name, keyHash, userId } = this.#actor;
    for (const { action, kind, id, change } of this.#audit) {
      await this.client.query('SELECT append_audit($1, $2, $3, $4, $5, $6, $7::jsonb)', [
        name,
        keyHash,
        userId ?? null,
        action,
        kind,
        id,
        JSON.stringify(change),
      ]);
    }
  }
}

const idColumns = (kind: RowKind): string =>
  tables[kind].id.map((field: string) => columnOf(kind, field)[0]).join(', ');

const twin = <K extends RowKind>(kind: K, rows: readonly Rows[K][], of: Rows[K]): object =>
  rows.find((row) => tables[kind].id.every((field) => row[field] === of[field])) ?? {};

/** Fields that differ, each with what it was and what it is. */
function difference(before: object, after: object): AuditLine['change'] {
  const change: Record<string, readonly [unknown, unknown]> = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is]: [unknown, unknown] = [Reflect.get(before, field), Reflect.get(after, field)];
    if (unsaid.has(field) || JSON.stringify(was) === JSON.stringify(is)) continue;
    change[field] = untold.has(field) ? ['(not told)', '(not told)'] : [was ?? null, is ?? null];
  }
  return change;
}
