/** What was spent, and what was changed: questions to the ledger and to the audit log. Every answer is bounded. */
import type {
  AuditRow,
  Page,
  SpendFilter,
  SpendGroup,
  SpendLine,
  SpendReports,
  SpendSum,
} from '../domain/management.ts';
import type { PoolClient } from './postgres.ts';

const longestReport = 10_000;

const columnOfGroup: Readonly<Record<SpendGroup, string>> = {
  team: 'team_id',
  customer: 'end_user',
  api_key: 'key_hash',
  internal_user: 'user_id',
};

export class PostgresReports implements SpendReports {
  readonly #client: PoolClient;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  async entries(filter: SpendFilter, page: Page): Promise<Record<string, unknown>[]> {
    const values: unknown[] = [];
    const where = whereOf(filter, values, 'ledger');
    values.push(page.size, (page.page - 1) * page.size);
    const { rows } = await this.#client.query<Record<string, unknown>>(
      `SELECT id AS request_id, call_id, operation AS call_type, key_hash AS api_key, cost_micros,
              coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) AS total_tokens, prompt_tokens,
              completion_tokens, at AS "startTime", at + duration_ms * interval '1 millisecond' AS "endTime",
              model, deployment_id AS model_id, model_group, provider AS custom_llm_provider, user_id AS "user",
              metadata, cache_hit, tags AS request_tags, team_id, organization_id, end_user, ending, status, estimated
         FROM spend_entry WHERE ${where} ORDER BY at DESC, id LIMIT $${values.length - 1} OFFSET $${values.length}`,
      values,
    );
    return rows;
  }

  async daily(filter: SpendFilter, group: SpendGroup): Promise<SpendLine[]> {
    const values: unknown[] = [];
    const where = whereOf(filter, values, 'days');
    const { rows } = await this.#client.query<{
      day: string;
      name: string;
      key_hash: string;
      model: string;
      cost: string;
      requests: string;
      prompt: string;
      completion: string;
    }>(
      `SELECT to_char(day, 'YYYY-MM-DD') AS day, ${columnOfGroup[group]} AS name, key_hash, model,
              sum(cost_micros) AS cost, sum(requests) AS requests, sum(prompt_tokens) AS prompt,
              sum(completion_tokens) AS completion
         FROM spend_daily WHERE ${where} GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, 2, 3, 4 LIMIT ${longestReport}`,
      values,
    );
    return rows.map((row) => ({
      day: row.day,
      group: row.name,
      keyHash: row.key_hash,
      model: row.model,
      costMicros: BigInt(row.cost),
      requests: BigInt(row.requests),
      promptTokens: BigInt(row.prompt),
      completionTokens: BigInt(row.completion),
    }));
  }

  async top(filter: SpendFilter, group: SpendGroup | 'tag', limit: number): Promise<SpendSum[]> {
    const values: unknown[] = [];
    const ofTags = group === 'tag';
    const where = whereOf(filter, values, ofTags ? 'ledger' : 'days');
    values.push(limit);
    const { rows } = await this.#client.query<{ name: string; cost: string | null; requests: string }>(
      ofTags
        ? `SELECT tag AS name, sum(cost_micros) AS cost, count(*) AS requests FROM spend_entry, unnest(tags) AS tag
            WHERE ${where} GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 LIMIT $${values.length}`
        : `SELECT ${columnOfGroup[group]} AS name, sum(cost_micros) AS cost, sum(requests) AS requests FROM spend_daily
            WHERE ${where} AND ${columnOfGroup[group]} <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $${values.length}`,
      values,
    );
    return rows.map((row) => ({
      group: row.name,
      costMicros: BigInt(row.cost ?? 0),
      requests: BigInt(row.requests),
    }));
  }

  async audit(
    { objectId, action }: { readonly objectId?: string | undefined; readonly action?: string | undefined },
    page: Page,
  ): Promise<{ rows: AuditRow[]; total: number }> {
    const conditions = '($1::text IS NULL OR object_id = $1) AND ($2::text IS NULL OR action = $2)';
    const wanted = [objectId ?? null, action ?? null];
    const { rows } = await this.#client.query<{
      seq: bigint;
      at: Date;
      actor: string;
      actor_key: string;
      actor_user: string | null;
      action: string;
      object_kind: string;
      object_id: string;
      change: AuditRow['change'];
    }>(`SELECT * FROM audit_log WHERE ${conditions} ORDER BY seq DESC LIMIT $3 OFFSET $4`, [
      ...wanted,
      page.size,
      (page.page - 1) * page.size,
    ]);
    const counted = await this.#client.query<{ n: bigint }>(
      `SELECT count(*) AS n FROM audit_log WHERE ${conditions}`,
      wanted,
    );
    return {
      total: Number(counted.rows[0]?.n ?? 0),
      rows: rows.map((row) => ({
        seq: row.seq,
        at: row.at.toISOString(),
        actor: row.actor,
        actorKey: row.actor_key,
        actorUser: row.actor_user,
        action: row.action,
        objectKind: row.object_kind,
        objectId: row.object_id,
        change: row.change,
      })),
    };
  }

  async firstForgedAudit(): Promise<bigint | undefined> {
    const { rows } = await this.#client.query<{ seq: bigint | null }>('SELECT verify_audit() AS seq');
    return rows[0]?.seq ?? undefined;
  }
}

/** Appends to `values`. The sums per day have no request ids. */
function whereOf(filter: SpendFilter, values: unknown[], table: 'ledger' | 'days'): string {
  const conditions: string[] = ['true'];
  const add = (condition: (parameter: string) => string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  if (table === 'ledger') add((id) => `(id::text = ${id} OR call_id = ${id})`, filter.requestId);
  add((hashes) => `key_hash = ANY(${hashes}::text[])`, filter.keyHashes);
  add((id) => `user_id = ${id}`, filter.userId);
  add((id) => `team_id = ${id}`, filter.teamId);
  add((id) => `end_user = ${id}`, filter.endUser);
  add((day) => `day >= ${day}::date`, filter.from);
  add((day) => `day <= ${day}::date`, filter.to);
  return conditions.join(' AND ');
}
