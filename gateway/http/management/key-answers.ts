/** Keys as clients read them: LiteLLM's names, dollars, never a secret. */
import { accountId } from '../../domain/entitlements.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { budgetsOf, isoOf, moneyOf, toBudgetTable } from './objects.ts';

export async function keyAnswers(rows: readonly Rows['key'][], reader: IdentityReader) {
  const accounts = await reader.accounts(rows.map((row) => accountId('key', row.keyId)));
  const budgets = await budgetsOf(rows, reader);
  return rows.map((row) => ({
    token: row.keyHash,
    key_name: row.keyName,
    key_alias: row.keyAlias ?? null,
    key_id: row.keyId,
    ...moneyOf('key', row.keyId, row, accounts),
    expires: isoOf(row.expiresAtMs),
    models: row.models,
    aliases: row.rules.aliases ?? {},
    config: row.extra['config'] ?? {},
    permissions: row.extra['permissions'] ?? {},
    user_id: row.userId ?? null,
    team_id: row.teamId ?? null,
    organization_id: row.organizationId ?? null,
    metadata: row.metadata,
    tags: row.rules.tags ?? null,
    blocked: row.blocked,
    allowed_cache_controls: row.rules.allowedCacheControls ?? [],
    allowed_routes: row.rules.allowedRoutes ?? [],
    allowed_model_region: row.rules.allowedModelRegion ?? null,
    rotation_count: row.rotationCount,
    created_by: row.createdBy ?? null,
    created_at: isoOf(row.createdAtMs),
    updated_at: isoOf(row.updatedAtMs),
    litellm_budget_table: toBudgetTable(row.budgetId === undefined ? undefined : budgets.get(row.budgetId)),
  }));
}
