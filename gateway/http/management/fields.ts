/** Fields that several bodies share. */
import { z } from 'zod';
import { duration, limitFields } from '../../domain/limit-fields.ts';

const longestId = 256;
const mostNames = 1_000;
const mostAtOnce = 1_000;

/** Ids stand in accounts, paths and logs. A slash would let the members `a/b` + `c` and `a` + `b/c` be one. */
export const id = z
  .string()
  .min(1)
  .max(longestId)
  .regex(/^[^\s/|{}]+$/, 'must not hold spaces, slashes, bars or braces');
export const ids = z.array(id).min(1).max(mostAtOnce);
/** A key itself, or its hash. */
export const keyOrHash = z.string().min(1).max(longestId);
export const alias = z.string().trim().min(1).max(longestId);
export const models = z.array(z.string().min(1).max(longestId)).max(mostNames);
export const metadata = z.record(z.string(), z.unknown());
export const names = z.array(z.string().min(1).max(longestId)).max(100);
export const aliases = z
  .record(z.string().min(1), z.string().min(1))
  .refine((map) => Object.keys(map).length <= 100, 'at most 100');
export { duration, limitFields };

const number = (least: number, most: number) => z.coerce.number().int().min(least).max(most);
/** Every list comes in pages. */
export const paging = {
  page: number(1, 1_000_000).default(1),
  page_size: number(1, 1_000).default(100),
};
/** As `/key/list` names it. */
export const shortPaging = { page: paging.page, size: number(1, 100).default(10) };
export const flag = z
  .enum(['true', 'false', 'True', 'False'])
  .transform((text) => text.toLowerCase() === 'true')
  .optional();
export const day = z.iso.date('write a day, for example 2030-01-31');

export const pageOf = ({ page, page_size: size }: { page: number; page_size: number }) => ({ page, size });

/** What LiteLLM has for keys, teams or users, and this version keeps without acting on it. */
export const inertFields = [
  'agent_id',
  'allowed_passthrough_routes',
  'allowed_vector_store_indexes',
  'auto_rotate',
  'config',
  'enforced_params',
  'guardrails',
  'logging',
  'object_permission',
  'permissions',
  'policies',
  'project_id',
  'prompts',
  'rotation_interval',
  'router_settings',
  'rpm_limit_type',
  'send_invite_email',
  'tpm_limit_type',
] as const;
