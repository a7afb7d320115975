/** What a body says about a key, and what it means for the row. */
import { z } from 'zod';
import { windowOf } from '../../domain/budget-window.ts';
import type { Rules } from '../../domain/identity.ts';
import { applyLimitFields } from '../../domain/limit-fields.ts';
import type { Limits } from '../../domain/limits.ts';
import { keyTypes, routesOfKeyType } from '../../domain/routes.ts';
import { alias, aliases, duration, id, limitFields, metadata, models, names } from './fields.ts';
import { changed, limitsIn } from './objects.ts';

/** For new keys and for changes alike. Null clears a field. */
export const keyFields = {
  key_alias: alias.nullish(),
  models: models.nullish().describe('model groups, patterns such as openai/*, access groups; empty = all of the team'),
  duration: z
    .union([duration, z.literal('-1')])
    .nullish()
    .describe('how long the key is valid: 30s, 15m, 24h, 30d, 1mo; null = for ever'),
  ...limitFields,
  budget_id: id.nullish(),
  spend: z.number().min(0).optional().describe('US dollars; only an administrator sets it'),
  user_id: id.nullish(),
  team_id: id.nullish(),
  organization_id: id.nullish(),
  metadata: metadata.nullish(),
  aliases: aliases.nullish(),
  allowed_cache_controls: names.nullish(),
  allowed_routes: names.nullish(),
  allowed_model_region: z.string().max(20).nullish(),
  key_type: z.enum(keyTypes).optional(),
  blocked: z.boolean().optional(),
  tags: names.nullish(),
  disable_fallbacks: z.boolean().optional(),
} as const;

const keyFieldsObject = z.object(keyFields);
export type KeyFields = z.output<typeof keyFieldsObject>;

/** A value of one's own must not be one that somebody could guess. */
export const ownKey = z
  .string()
  .startsWith('sk-', 'must start with sk-')
  .min(20, 'is too short to be safe: at least 20 characters')
  .max(256)
  .regex(/^[\x21-\x7e]+$/, 'must be of visible ASCII characters')
  .refine((key) => new Set(key).size >= 8, 'is too simple: use at least 8 different characters');

export function rulesFrom(body: KeyFields, current: Rules): Rules {
  const routes = body.key_type === undefined ? undefined : routesOfKeyType[body.key_type];
  const stated: Rules = {
    aliases: changed(body.aliases, current.aliases),
    allowedRoutes:
      body.allowed_routes === undefined
        ? (routes?.slice() ?? current.allowedRoutes)
        : changed(body.allowed_routes, undefined),
    allowedCacheControls: changed(body.allowed_cache_controls, current.allowedCacheControls),
    tags: changed(body.tags ?? tagsOf(body.metadata), current.tags),
    disableFallbacks: body.disable_fallbacks ?? disablesFallbacks(body.metadata) ?? current.disableFallbacks,
    allowedModelRegion: changed(body.allowed_model_region, current.allowedModelRegion),
    // The metadata is replaced as a whole, and what it allowed goes with it.
    mayMock: body.metadata === undefined ? current.mayMock : allowsMocks(body.metadata),
  };
  return stated;
}

const allowsMocks = (stated: KeyFields['metadata']): true | undefined =>
  stated?.['allow_client_mock_response'] === true ? true : undefined;

/** LiteLLM reads these from the metadata, too. */
const disablesFallbacks = (stated: KeyFields['metadata']): boolean | undefined =>
  typeof stated?.['disable_fallbacks'] === 'boolean' ? stated['disable_fallbacks'] : undefined;

function tagsOf(stated: KeyFields['metadata']): string[] | undefined {
  const tags = stated?.['tags'];
  return Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') ? tags : undefined;
}

export const limitsFrom = (body: KeyFields, current: Limits): Limits => applyLimitFields(current, limitsIn(body));

/** Undefined = never. */
export function expiryFrom(
  stated: KeyFields['duration'],
  current: number | undefined,
  nowMs: number,
): number | undefined {
  if (stated === undefined) return current;
  if (stated === null || stated === '-1') return undefined;
  return nowMs + lengthMs(stated, nowMs);
}

/** As long as it says from now on, and not to the end of the day or the month: that is for budgets. */
export function lengthMs(stated: string, nowMs: number): number {
  const window = windowOf(stated, nowMs);
  if (window === undefined) return 0;
  const [, count = '0', unit = ''] = /^(\d+)(\w+)$/.exec(stated.trim()) ?? [];
  if (unit === 'mo') {
    const now = new Date(nowMs);
    return now.setUTCMonth(now.getUTCMonth() + Number(count)) - nowMs;
  }
  return Number(count) * ({ s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }[unit] ?? 0) * 1000;
}
