/** `/audit`: every change, who made it, and whether the log is as it was written. */
import { z } from 'zod';
import { forbidden, seesAll } from './actor.ts';
import { paging } from './fields.ts';
import { defineRoute } from './route.ts';

const list = defineRoute({
  method: 'GET',
  paths: ['/audit'],
  tag: 'audit',
  summary: 'Changes, newest first',
  needs: 'viewer',
  query: z.strictObject({
    ...paging,
    object_id: z.string().max(600).optional(),
    action: z.enum(['created', 'updated', 'deleted', 'spend set']).optional(),
  }),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Looking at the audit log');
    const page = { page: query.page, size: query.page_size };
    const { rows, total } = await reader.reports.audit({ objectId: query.object_id, action: query.action }, page);
    return {
      audit_logs: rows.map((row) => ({
        id: String(row.seq),
        updated_at: row.at,
        changed_by: row.actorUser ?? row.actor,
        changed_by_api_key: row.actorKey,
        action: row.action,
        table_name: row.objectKind,
        object_id: row.objectId,
        before_value: side(row.change, 0),
        updated_values: side(row.change, 1),
      })),
      total,
      page: query.page,
      page_size: query.page_size,
      total_pages: Math.ceil(total / query.page_size),
    };
  },
});

const side = (change: Readonly<Record<string, readonly [unknown, unknown]>>, index: 0 | 1): object =>
  Object.fromEntries(Object.entries(change).map(([field, values]) => [field, values[index]]));

const verify = defineRoute({
  method: 'GET',
  paths: ['/audit/verify'],
  tag: 'audit',
  summary: 'Whether the chain of the log is whole',
  needs: 'viewer',
  read: async (reader, { principal }) => {
    if (!seesAll(principal)) throw forbidden('Checking the audit log');
    const forged = await reader.reports.firstForgedAudit();
    return { intact: forged === undefined, first_wrong_id: forged === undefined ? null : String(forged) };
  },
});

export const auditRoutes = [list, verify] as const;
