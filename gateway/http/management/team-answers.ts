/** Teams and their members as clients read them. */
import { accountId } from '../../domain/entitlements.ts';
import { memberId } from '../../domain/identity.ts';
import type { IdentityReader, Rows } from '../../domain/management.ts';
import { boundAnswers, describedAnswer } from './holders.ts';
import { moneyOf } from './objects.ts';

/** A team of more members is listed in pages by `/user/list`. */
export const mostMembers = 1_000;

export async function teamAnswers(rows: readonly Rows['team'][], reader: IdentityReader) {
  const teamIds = rows.map((row) => row.teamId);
  const members =
    rows.length === 0 ? [] : await reader.list('member', { teamId: teamIds }, { page: 1, size: mostMembers });
  return boundAnswers(
    'team',
    rows,
    ({ teamId }) => teamId,
    (row) => ({
      team_id: row.teamId,
      team_alias: row.teamAlias ?? null,
      organization_id: row.organizationId ?? null,
      model_aliases: row.rules.aliases ?? {},
      tags: row.rules.tags ?? null,
      members_with_roles: members
        .filter(({ teamId }) => teamId === row.teamId)
        .map(({ userId, role }) => ({ user_id: userId, role })),
      ...describedAnswer(row),
    }),
    reader,
  );
}

export async function membershipAnswers(rows: readonly Rows['member'][], reader: IdentityReader) {
  const accounts = await reader.accounts(rows.map((row) => accountId('member', memberId(row.teamId, row.userId))));
  return rows.map((row) => {
    const money = moneyOf('member', memberId(row.teamId, row.userId), row, accounts);
    return {
      team_id: row.teamId,
      user_id: row.userId,
      role: row.role,
      budget_id: row.budgetId ?? null,
      spend: money.spend,
      budget_reset_at: money.budget_reset_at,
      max_budget_in_team: money.max_budget,
      tpm_limit: money.tpm_limit,
      rpm_limit: money.rpm_limit,
      litellm_budget_table: { max_budget: money.max_budget, budget_duration: money.budget_duration },
    };
  });
}
