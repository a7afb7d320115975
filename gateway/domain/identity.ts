/** Keys and what they belong to, as a gateway keeps them in memory: enough to answer a request, and no more. */
import { z } from 'zod';
import { limitsSchema } from './limits.ts';

/** Roles of users, as LiteLLM names them. Whoever administers a team or an organization is that besides, as its member. */
export const userRoles = ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer'] as const;
export type UserRole = (typeof userRoles)[number];

/** What applies to the requests of a key or a team. */
export const rulesSchema = z.object({
  /** Names that stand for model groups. */
  aliases: z.record(z.string(), z.string()).optional(),
  /** Paths, patterns that end in `*`, or LiteLLM's names for groups of routes; absent or empty = all. */
  allowedRoutes: z.array(z.string()).optional(),
  /** Values of the body's `cache` that may be used; absent = all. */
  allowedCacheControls: z.array(z.string()).optional(),
  tags: z.array(z.string()).optional(),
  disableFallbacks: z.boolean().optional(),
  allowedModelRegion: z.string().optional(),
  /** LiteLLM's `allow_client_mock_response` of the metadata. */
  mayMock: z.boolean().optional(),
});
export type Rules = z.output<typeof rulesSchema>;

const versioned = {
  /** Of its row; only grows. */
  revision: z.int().min(0),
  deleted: z.boolean(),
};

export const recordSchemas = {
  budget: z.object({ ...versioned, budgetId: z.string(), limits: limitsSchema }),
  organization: z.object({
    ...versioned,
    organizationId: z.string(),
    organizationAlias: z.string().optional(),
    /** Model groups; empty = all. */
    models: z.array(z.string()),
    blocked: z.boolean(),
    budgetId: z.string().optional(),
    limits: limitsSchema,
  }),
  user: z.object({
    ...versioned,
    userId: z.string(),
    userAlias: z.string().optional(),
    userRole: z.enum(userRoles),
    models: z.array(z.string()),
    blocked: z.boolean(),
    budgetId: z.string().optional(),
    limits: limitsSchema,
  }),
  team: z.object({
    ...versioned,
    teamId: z.string(),
    teamAlias: z.string().optional(),
    organizationId: z.string().optional(),
    models: z.array(z.string()),
    blocked: z.boolean(),
    budgetId: z.string().optional(),
    limits: limitsSchema,
    rules: rulesSchema,
  }),
  member: z.object({
    ...versioned,
    teamId: z.string(),
    userId: z.string(),
    role: z.enum(['admin', 'user']),
    budgetId: z.string().optional(),
    limits: limitsSchema,
  }),
  endUser: z.object({
    ...versioned,
    endUserId: z.string(),
    alias: z.string().optional(),
    blocked: z.boolean(),
    budgetId: z.string().optional(),
    limits: limitsSchema,
    rules: rulesSchema,
  }),
  key: z.object({
    ...versioned,
    /** SHA-256 of the key, hex: LiteLLM's `token`. */
    keyHash: z.string(),
    /** Survives a rotation: the hash of the key's first secret. */
    keyId: z.string(),
    /** Masked form for people. */
    keyName: z.string(),
    keyAlias: z.string().optional(),
    role: z.enum(['admin', 'caller']),
    models: z.array(z.string()),
    blocked: z.boolean(),
    /** Wall clock, milliseconds; absent = never. */
    expiresAtMs: z.number().optional(),
    teamId: z.string().optional(),
    userId: z.string().optional(),
    organizationId: z.string().optional(),
    budgetId: z.string().optional(),
    limits: limitsSchema,
    rules: rulesSchema,
  }),
} as const;

/** Kinds of objects that gateways mirror; those that others refer to come first. */
export const kinds = ['budget', 'organization', 'user', 'team', 'member', 'endUser', 'key'] as const;
export type Kind = (typeof kinds)[number];
export type Records = { readonly [K in Kind]: Readonly<z.output<(typeof recordSchemas)[K]>> };
export type KeyRecord = Records['key'];

/** Names an object among those of its kind. */
export const idOf: { readonly [K in Kind]: (record: Records[K]) => string } = {
  budget: ({ budgetId }) => budgetId,
  organization: ({ organizationId }) => organizationId,
  user: ({ userId }) => userId,
  team: ({ teamId }) => teamId,
  member: ({ teamId, userId }) => memberId(teamId, userId),
  endUser: ({ endUserId }) => endUserId,
  key: ({ keyHash }) => keyHash,
};

/** Ids hold no such character: it would let one member be taken for another. */
export const memberId = (teamId: string, userId: string): string => `${teamId}/${userId}`;
