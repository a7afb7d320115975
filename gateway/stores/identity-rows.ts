/** The tables of identity: which column holds which field, and how values travel. */
import { type Kind, kinds, type Records } from '../domain/identity.ts';
import type { RowKind, Rows } from '../domain/management.ts';

type Form = 'text' | 'texts' | 'boolean' | 'integer' | 'json' | 'time';
type Column = readonly [column: string, form: Form];
/** Fields that every table has and that are not written by hand. */
const kept = {
  revision: ['revision', 'integer'],
  createdAtMs: ['created_at', 'time'],
  updatedAtMs: ['updated_at', 'time'],
} as const;

interface Table<K extends RowKind> {
  readonly table: string;
  /** Names a row. */
  readonly id: readonly (keyof Rows[K] & string)[];
  readonly columns: { readonly [F in Exclude<keyof Rows[K], keyof typeof kept | 'deleted'>]-?: Column };
  /** Whether a deleted row may be taken over by a new one with the same id. */
  readonly revives: boolean;
}

const described = {
  metadata: ['metadata', 'json'],
  extra: ['extra', 'json'],
  createdBy: ['created_by', 'text'],
} as const;
const bound = { budgetId: ['budget_id', 'text'], limits: ['limits', 'json'] } as const;

export const tables: { readonly [K in RowKind]: Table<K> } = {
  budget: {
    table: 'budget',
    id: ['budgetId'],
    revives: true,
    columns: { ...bound, createdBy: described.createdBy },
  },
  organization: {
    table: 'organization',
    id: ['organizationId'],
    revives: true,
    columns: {
      ...described,
      ...bound,
      organizationId: ['organization_id', 'text'],
      organizationAlias: ['organization_alias', 'text'],
      models: ['models', 'texts'],
      blocked: ['blocked', 'boolean'],
    },
  },
  user: {
    table: 'gateway_user',
    id: ['userId'],
    revives: true,
    columns: {
      ...described,
      ...bound,
      userId: ['user_id', 'text'],
      userAlias: ['user_alias', 'text'],
      userEmail: ['user_email', 'text'],
      userRole: ['user_role', 'text'],
      models: ['models', 'texts'],
      blocked: ['blocked', 'boolean'],
    },
  },
  team: {
    table: 'team',
    id: ['teamId'],
    revives: true,
    columns: {
      ...described,
      ...bound,
      teamId: ['team_id', 'text'],
      teamAlias: ['team_alias', 'text'],
      organizationId: ['organization_id', 'text'],
      models: ['models', 'texts'],
      blocked: ['blocked', 'boolean'],
      rules: ['rules', 'json'],
    },
  },
  member: {
    table: 'team_member',
    id: ['teamId', 'userId'],
    revives: true,
    columns: { ...bound, teamId: ['team_id', 'text'], userId: ['user_id', 'text'], role: ['role', 'text'] },
  },
  endUser: {
    table: 'end_user',
    id: ['endUserId'],
    revives: true,
    columns: {
      ...bound,
      extra: described.extra,
      createdBy: described.createdBy,
      endUserId: ['end_user_id', 'text'],
      alias: ['alias', 'text'],
      blocked: ['blocked', 'boolean'],
      rules: ['rules', 'json'],
    },
  },
  key: {
    table: 'api_key',
    id: ['keyHash'],
    // A secret that was ended stays so.
    revives: false,
    columns: {
      ...described,
      ...bound,
      keyHash: ['key_hash', 'text'],
      keyId: ['key_id', 'text'],
      keyName: ['key_name', 'text'],
      keyAlias: ['key_alias', 'text'],
      role: ['role', 'text'],
      models: ['models', 'texts'],
      blocked: ['blocked', 'boolean'],
      expiresAtMs: ['expires_at', 'time'],
      teamId: ['team_id', 'text'],
      userId: ['user_id', 'text'],
      organizationId: ['organization_id', 'text'],
      rules: ['rules', 'json'],
      supersededAtMs: ['superseded_at', 'time'],
      rotationCount: ['rotation_count', 'integer'],
    },
  },
  organizationMember: {
    table: 'organization_member',
    id: ['organizationId', 'userId'],
    revives: true,
    columns: {
      organizationId: ['organization_id', 'text'],
      userId: ['user_id', 'text'],
      userRole: ['user_role', 'text'],
      limits: ['limits', 'json'],
    },
  },
  model: {
    table: 'model_definition',
    id: ['modelId'],
    revives: true,
    columns: {
      modelId: ['model_id', 'text'],
      modelName: ['model_name', 'text'],
      params: ['params', 'json'],
      info: ['info', 'json'],
      createdBy: described.createdBy,
    },
  },
};

/** @throws for a field that the kind does not have: column names never come from outside. */
export function columnOf(kind: RowKind, field: string): Column {
  const columns: Readonly<Record<string, Column>> = { ...tables[kind].columns, ...kept };
  const column = Object.hasOwn(columns, field) ? columns[field] : undefined;
  if (column === undefined) throw new Error(`${kind} has no field ${field}`);
  return column;
}

/** As pg sends it. Undefined is NULL. */
export function toParameter(form: Form, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (form === 'json') return JSON.stringify(value);
  if (form === 'time') return new Date(Number(value));
  return value;
}

/** The cast that makes a parameter's type known. */
export const castOf: Readonly<Record<Form, string>> = {
  text: 'text',
  texts: 'text[]',
  boolean: 'boolean',
  integer: 'integer',
  json: 'jsonb',
  time: 'timestamptz',
};

/** From a row as `to_jsonb` prints it. NULL is an absent field. @throws for a row of another kind. */
export function fromJson<K extends RowKind>(kind: K, json: Readonly<Record<string, unknown>>): Rows[K] {
  const row: Record<string, unknown> = { deleted: json['deleted_at'] !== null };
  for (const [field, [column, form]] of fieldsOf(kind)) {
    const value = json[column];
    if (value === null || value === undefined) continue;
    row[field] = form === 'time' && typeof value === 'string' ? Date.parse(value) : value;
  }
  if (!isRow(kind, row)) throw new Error(`the database sent a row that is no ${kind}`);
  return row;
}

/** What names the row and its version is looked at; for the rest the schema of the database vouches. */
export const isRow = <K extends RowKind>(
  kind: K,
  row: Record<string, unknown>,
): row is Rows[K] & Record<string, unknown> =>
  typeof row['revision'] === 'number' && tables[kind].id.every((field: string) => typeof row[field] === 'string');

const fieldsByKind = new Map<RowKind, readonly (readonly [string, Column])[]>();

function fieldsOf(kind: RowKind): readonly (readonly [string, Column])[] {
  let fields = fieldsByKind.get(kind);
  if (fields === undefined) {
    fields = Object.entries<Column>({ ...tables[kind].columns, ...kept });
    fieldsByKind.set(kind, fields);
  }
  return fields;
}

/** Columns that memory has no use for, and that may be long. */
const details: ReadonlySet<string> = new Set([
  'metadata',
  'extra',
  'createdBy',
  'createdAtMs',
  'updatedAtMs',
  'userEmail',
  'supersededAtMs',
  'rotationCount',
]);
/** A row as a mirror keeps it. */
export const withoutDetails = (row: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).filter(([field]) => !details.has(field)));
/** The same of a row in JSON. */
const leftOut = `- '{metadata,extra,created_by,created_at,updated_at,user_email,superseded_at,rotation_count}'::text[]`;

/** What of a row a mirror keeps. */
export const toRecord = <K extends Kind>(kind: K, json: Readonly<Record<string, unknown>>): Records[K] =>
  fromJson(kind, json);

/** Rows of one kind as JSON. */
export const selectOf = (kind: Kind, where: string): string =>
  `SELECT '${kind}' AS kind, to_jsonb(x) ${leftOut} AS row, x.updated_at FROM ${tables[kind].table} x ${where}`;

/** All kinds in one question. */
export const selectChanged = (where: string): string => kinds.map((kind) => selectOf(kind, where)).join(' UNION ALL ');

/** A key and all that it refers to. $1 = its hash. */
export const selectWithBelongings = `WITH
  k AS (SELECT * FROM api_key WHERE key_hash = $1),
  t AS (SELECT t.* FROM team t JOIN k USING (team_id)),
  m AS (SELECT m.* FROM team_member m JOIN k ON m.team_id = k.team_id AND m.user_id = k.user_id),
  u AS (SELECT u.* FROM gateway_user u JOIN k USING (user_id)),
  o AS (SELECT o.* FROM organization o WHERE organization_id IN
         (SELECT organization_id FROM k UNION SELECT organization_id FROM t)),
  b AS (SELECT b.* FROM budget b WHERE budget_id IN
         (SELECT budget_id FROM k UNION SELECT budget_id FROM t UNION SELECT budget_id FROM m UNION
          SELECT budget_id FROM u UNION SELECT budget_id FROM o))
  ${(
    [
      ['budget', 'b'],
      ['organization', 'o'],
      ['user', 'u'],
      ['team', 't'],
      ['member', 'm'],
      ['key', 'k'],
    ] as const
  )
    .map(([kind, alias]) => `SELECT '${kind}' AS kind, to_jsonb(${alias}) ${leftOut} AS row FROM ${alias}`)
    .join(' UNION ALL ')}`;
