/** `/spend/*`, `/global/spend/*`: what was spent, by whom and for what. */
import { z } from 'zod';
import { hashKey } from '../../domain/keys.ts';
import { toDollars } from '../../domain/limit-fields.ts';
import type { IdentityReader, SpendFilter, SpendLine } from '../../domain/management.ts';
import { administers, forbidden, invalid, type Principal, seesAll } from './actor.ts';
import { day, flag, id, keyOrHash, pageOf, paging } from './fields.ts';
import { keyAnswers } from './key-answers.ts';
import { defineRoute } from './route.ts';
import { userAnswers } from './user-routes.ts';

const period = { start_date: day.optional(), end_date: day.optional() };
/** What a person looks at; more comes page by page. */
const top = { limit: z.coerce.number().int().min(1).max(1_000).default(100) };

/** Every secret that a key has had: rows of the ledger have the one that was used. */
async function secretsOf(key: string, principal: Principal, reader: IdentityReader): Promise<string[]> {
  const keyHash = key.startsWith('sk-') ? hashKey(key) : key;
  const row = await reader.find('key', { keyHash });
  const own = await reader.find('key', { keyHash: principal.caller.keyHash });
  const isOwn = keyHash === principal.caller.keyHash || (row !== undefined && own?.keyId === row.keyId);
  const mine = row?.userId !== undefined && row.userId === principal.userId && row.teamId === undefined;
  const leads = row !== undefined && (await administers(principal, row, reader));
  if (!isOwn && !mine && !leads && !seesAll(principal)) throw forbidden('Looking at the spend of another key');
  if (row === undefined) return [keyHash];
  return (await reader.list('key', { keyId: row.keyId }, { page: 1, size: 1_000 })).map((one) => one.keyHash);
}

interface Wanted {
  readonly api_key?: string | undefined;
  readonly user_id?: string | undefined;
  readonly team_id?: string | undefined;
  readonly end_user?: string | undefined;
  readonly request_id?: string | undefined;
  readonly start_date?: string | undefined;
  readonly end_date?: string | undefined;
}

/** @throws Refusal 403 when somebody asks for the spend of others. */
async function filterFor(principal: Principal, wanted: Wanted, reader: IdentityReader): Promise<SpendFilter> {
  const keyHashes = wanted.api_key === undefined ? undefined : await secretsOf(wanted.api_key, principal, reader);
  const filter: SpendFilter = {
    requestId: wanted.request_id,
    keyHashes,
    teamId: wanted.team_id,
    userId: wanted.user_id,
    endUser: wanted.end_user,
    from: wanted.start_date,
    to: wanted.end_date,
  };
  if (seesAll(principal) || keyHashes !== undefined) return filter;
  if (wanted.team_id !== undefined && (await administers(principal, { teamId: wanted.team_id }, reader))) return filter;
  if (principal.userId === undefined) {
    // A key without a user has spent what it has spent itself.
    if (wanted.user_id !== undefined || wanted.team_id !== undefined) throw forbidden('Looking at the spend of others');
    return { ...filter, keyHashes: await secretsOf(principal.caller.keyHash, principal, reader) };
  }
  if (wanted.user_id !== undefined && wanted.user_id !== principal.userId)
    throw forbidden('Looking at the spend of others');
  return { ...filter, userId: principal.userId };
}

const logs = defineRoute({
  method: 'GET',
  paths: ['/spend/logs'],
  tag: 'spend',
  summary: 'Requests with their cost, newest first; with dates the sums of each day',
  needs: 'any-key',
  query: z.strictObject({
    request_id: z.string().max(256).optional(),
    api_key: keyOrHash.optional(),
    user_id: id.optional(),
    team_id: id.optional(),
    end_user: z.string().max(256).optional(),
    ...period,
    summarize: flag,
    ...paging,
  }),
  read: async (reader, { query, principal }) => {
    const filter = await filterFor(principal, query, reader);
    const dated = query.start_date !== undefined && query.end_date !== undefined;
    if (dated && query.summarize !== false && query.request_id === undefined) {
      return toDays(await reader.reports.daily(filter, 'internal_user'));
    }
    const rows = await reader.reports.entries(filter, pageOf(query));
    return rows.map(({ cost_micros: micros, ...row }) => ({
      ...row,
      // Null = not priced yet, which is not 0.
      spend: typeof micros === 'bigint' ? toDollars(micros) : null,
    }));
  },
});

function toDays(lines: readonly SpendLine[]): object[] {
  const days = new Map<string, { micros: bigint; users: Map<string, bigint>; models: Map<string, bigint> }>();
  for (const line of lines) {
    const one = days.get(line.day) ?? { micros: 0n, users: new Map(), models: new Map() };
    one.micros += line.costMicros;
    one.users.set(line.group, (one.users.get(line.group) ?? 0n) + line.costMicros);
    one.models.set(line.model, (one.models.get(line.model) ?? 0n) + line.costMicros);
    days.set(line.day, one);
  }
  const dollars = (map: ReadonlyMap<string, bigint>) =>
    Object.fromEntries([...map].map(([name, micros]) => [name, toDollars(micros)]));
  return [...days].map(([startTime, one]) => ({
    startTime,
    spend: toDollars(one.micros),
    users: dollars(one.users),
    models: dollars(one.models),
  }));
}

const keys = defineRoute({
  method: 'GET',
  paths: ['/spend/keys'],
  tag: 'spend',
  summary: 'Keys by what they have spent, largest first',
  needs: 'viewer',
  query: z.strictObject({ ...period, ...top }),
  read: async (reader, { query, principal }) => {
    const sums = await reader.reports.top(await filterFor(principal, query, reader), 'api_key', query.limit);
    const rows = await reader.list('key', { keyHash: sums.map((sum) => sum.group) }, { page: 1, size: 1_000 });
    const answers = new Map((await keyAnswers(rows, reader)).map((answer) => [answer.token, answer]));
    return sums.map((sum) => ({
      ...answers.get(sum.group),
      token: sum.group,
      spend: toDollars(sum.costMicros),
      requests: Number(sum.requests),
    }));
  },
});

const users = defineRoute({
  method: 'GET',
  paths: ['/spend/users'],
  tag: 'spend',
  summary: 'Users by what they have spent, largest first',
  needs: 'viewer',
  query: z.strictObject({ user_id: id.optional(), ...period, ...top }),
  read: async (reader, { query, principal }) => {
    const sums = await reader.reports.top(await filterFor(principal, query, reader), 'internal_user', query.limit);
    const rows = await reader.list('user', { userId: sums.map((sum) => sum.group) }, { page: 1, size: 1_000 });
    const answers = new Map((await userAnswers(rows, reader)).map((answer) => [answer.user_id, answer]));
    return sums.map((sum) => ({
      ...answers.get(sum.group),
      user_id: sum.group,
      spend: toDollars(sum.costMicros),
      requests: Number(sum.requests),
    }));
  },
});

const simpleTop = (path: string, group: 'team' | 'tag', summary: string) =>
  defineRoute({
    method: 'GET',
    paths: [path],
    tag: 'spend',
    summary,
    needs: 'viewer',
    query: z.strictObject({ ...period, ...top }),
    read: async (reader, { query, principal }) => {
      const sums = await reader.reports.top(await filterFor(principal, query, reader), group, query.limit);
      return sums.map((sum) =>
        group === 'tag'
          ? {
              individual_request_tag: sum.group,
              log_count: Number(sum.requests),
              total_spend: toDollars(sum.costMicros),
            }
          : { team_id: sum.group, total_spend: toDollars(sum.costMicros), requests: Number(sum.requests) },
      );
    },
  });

const groupNames = { team: 'teams', customer: 'customers', api_key: 'api_keys', internal_user: 'users' } as const;

const report = defineRoute({
  method: 'GET',
  paths: ['/global/spend/report'],
  tag: 'spend',
  summary: 'Spend per day and team, customer, key or user',
  needs: 'viewer',
  query: z.strictObject({
    start_date: day,
    end_date: day,
    group_by: z.enum(['team', 'customer', 'api_key', 'internal_user']).default('team'),
    api_key: keyOrHash.optional(),
    internal_user_id: id.optional(),
    team_id: id.optional(),
    customer_id: z.string().max(256).optional(),
  }),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Looking at the spend of all');
    if (query.end_date < query.start_date) throw invalid('end_date', 'end_date: must not be before start_date');
    const wanted = { ...query, user_id: query.internal_user_id, end_user: query.customer_id };
    const lines = await reader.reports.daily(await filterFor(principal, wanted, reader), query.group_by);
    const teams =
      query.group_by === 'team'
        ? await reader.list('team', { teamId: [...new Set(lines.map((line) => line.group))] }, { page: 1, size: 1_000 })
        : [];
    const nameOf = new Map(teams.map((team) => [team.teamId, team.teamAlias ?? team.teamId]));
    return toReport(lines, groupNames[query.group_by], (group) => nameOf.get(group) ?? group);
  },
});

function toReport(lines: readonly SpendLine[], groupName: string, nameOf: (group: string) => string): object[] {
  const days = Map.groupBy(lines, (line) => line.day);
  return [...days].map(([one, ofDay]) => ({
    group_by_day: one,
    [groupName]: [...Map.groupBy(ofDay, (line) => line.group)].map(([group, ofGroup]) => ({
      [`${groupName.slice(0, -1)}_name`]: nameOf(group),
      id: group,
      total_spend: toDollars(ofGroup.reduce((sum, line) => sum + line.costMicros, 0n)),
      metadata: ofGroup.map((line) => ({
        model: line.model,
        spend: toDollars(line.costMicros),
        total_tokens: Number(line.promptTokens + line.completionTokens),
        requests: Number(line.requests),
        api_key: line.keyHash,
      })),
    })),
  }));
}

const reset = defineRoute({
  method: 'POST',
  paths: ['/global/spend/reset'],
  tag: 'spend',
  summary: 'Start every running window at 0. The ledger keeps every row',
  needs: 'admin',
  body: z.strictObject({}),
  write: async (writer) => {
    await writer.setSpent(undefined, 0);
    return { message: 'Spend for all API Keys and Teams reset successfully', status: 'success' };
  },
});

const reprice = defineRoute({
  method: 'POST',
  paths: ['/spend/reprice'],
  tag: 'spend',
  summary: 'Give up to 1000 requests whose cost was unknown the prices that are known now; go on with `next`',
  needs: 'admin',
  body: z.strictObject({ after: z.strictObject({ day, id: z.uuid() }).optional() }),
  write: async (writer, { body, options }) => {
    const { seen, priced, micros, next } = await writer.reprice(options.priceEntry, body.after);
    return { seen, priced, spend: toDollars(micros), next: next ?? null };
  },
});

export const spendRoutes = [
  logs,
  keys,
  users,
  simpleTop('/spend/teams', 'team', 'Teams by what they have spent, largest first'),
  simpleTop('/spend/tags', 'tag', 'Tags by what their requests have cost, largest first'),
  report,
  reset,
  reprice,
] as const;
