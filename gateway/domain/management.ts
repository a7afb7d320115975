/** What the management API asks of the record of identity. The shapes of the rows, and the questions about them. */
import type { Records } from './identity.ts';
import type { Limits } from './limits.ts';
import type { LedgerPlace, PriceEntry, Repriced } from './repricing.ts';

type JsonRecord = Readonly<Record<string, unknown>>;

interface Dated {
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

interface Described extends Dated {
  readonly metadata: JsonRecord;
  /** LiteLLM's fields that are kept and not acted on. */
  readonly extra: JsonRecord;
  readonly createdBy?: string | undefined;
}

/** Rows as the record has them: what is mirrored in memory, and what only people ask for. */
export interface Rows {
  readonly budget: Records['budget'] & Dated & Pick<Described, 'createdBy'>;
  readonly organization: Records['organization'] & Described;
  readonly user: Records['user'] & Described & { readonly userEmail?: string | undefined };
  readonly team: Records['team'] & Described;
  readonly member: Records['member'] & Dated;
  readonly endUser: Records['endUser'] & Dated & Pick<Described, 'createdBy' | 'extra'>;
  readonly key: Records['key'] &
    Described & { readonly supersededAtMs?: number | undefined; readonly rotationCount: number };
  readonly organizationMember: Dated & {
    readonly revision: number;
    readonly deleted: boolean;
    readonly organizationId: string;
    readonly userId: string;
    readonly userRole: 'org_admin' | 'internal_user' | 'internal_user_viewer';
    readonly limits: Limits;
  };
  readonly model: Dated &
    Pick<Described, 'createdBy'> & {
      readonly revision: number;
      readonly deleted: boolean;
      readonly modelId: string;
      readonly modelName: string;
      readonly params: JsonRecord;
      readonly info: JsonRecord;
    };
}
export type RowKind = keyof Rows;

/** What the database itself fills in. */
type Kept = 'revision' | 'deleted' | 'createdAtMs' | 'updatedAtMs';
/** Values of a new row; what is absent gets its default. */
export type NewRow<K extends RowKind> = Partial<Omit<Rows[K], Kept>>;
/** Changes of a row: undefined clears a field, an absent one stays. */
export type RowChange<K extends RowKind> = { readonly [F in keyof Omit<Rows[K], Kept>]?: Rows[K][F] | undefined };

/** Fields whose value must be equal; a list means one of them, null none; undefined says nothing. */
export type RowFilter<K extends RowKind> = {
  readonly [F in keyof Rows[K]]?: Rows[K][F] | readonly Rows[K][F][] | null | undefined;
};

export interface Page {
  /** From 1. */
  readonly page: number;
  readonly size: number;
}

/** Money of an account, in millionths of a US dollar. */
export interface AccountState {
  /** In the window that runs now; 0 once it has passed. */
  readonly spentMicros: bigint;
  readonly windowEndMs: number | undefined;
}

/** Questions; every answer leaves deleted rows out. */
export interface IdentityReader {
  find<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K] | undefined>;
  /** Newest first. At most 1000. */
  list<K extends RowKind>(kind: K, filter: RowFilter<K>, page: Page, search?: RowSearch<K>): Promise<Rows[K][]>;
  count<K extends RowKind>(kind: K, filter: RowFilter<K>, search?: RowSearch<K>): Promise<number>;
  accounts(ids: readonly string[]): Promise<ReadonlyMap<string, AccountState>>;
  readonly reports: SpendReports;
}

/** A part of a text, wherever it stands. Its wildcards are text, too. */
export interface RowSearch<K extends RowKind> {
  readonly field: keyof Rows[K];
  readonly part: string;
}

/** Changes, all of them or none. Each is written into the audit log with the transaction. */
export interface IdentityWriter extends IdentityReader {
  /** Holds the row until the end of the transaction. */
  lock<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K] | undefined>;
  /** @returns undefined when the id, or an alias, is taken. A deleted row with this id is taken over, but no key's. */
  insert<K extends RowKind>(kind: K, values: NewRow<K>): Promise<Rows[K] | undefined>;
  /** @returns the rows that were changed. */
  update<K extends RowKind>(kind: K, filter: RowFilter<K>, change: RowChange<K>): Promise<Rows[K][]>;
  remove<K extends RowKind>(kind: K, filter: RowFilter<K>): Promise<Rows[K][]>;
  /** Sets limit and window of an account; what was spent stays. */
  putAccount(id: string, maxMicros: number | null, duration: string | undefined): Promise<void>;
  /** @param ids undefined = all accounts. */
  setSpent(ids: readonly string[] | undefined, micros: number): Promise<void>;
  /** Gives a batch of rows without a cost theirs, with sums and accounts. */
  reprice(price: PriceEntry, after: LedgerPlace | undefined): Promise<Repriced>;
}

/** Who changes something, for the audit log. */
export interface Actor {
  /** For people: an alias, else a masked name. */
  readonly name: string;
  readonly keyHash: string;
  readonly userId: string | undefined;
}

/** An answer that is kept, so that the same request gets it again instead of doing its work twice. */
export interface Idempotency {
  readonly key: string;
  /** Of route and body. */
  readonly requestHash: string;
  /** Seals what is kept: it may hold a new key. */
  readonly seal: (answer: string) => Buffer;
  readonly open: (sealed: Buffer) => string;
}

/** Every method throws StoreUnavailable when the database cannot be asked; then nothing was changed. */
export interface Management {
  read<T>(work: (reader: IdentityReader) => Promise<T>): Promise<T>;
  /**
   * The one way to change anything: one transaction with its audit rows; it acts here when the promise resolves, and in
   * other processes within seconds.
   * @throws NotWriter when this region may not take it, and then nothing was changed; OutcomeUnknown when it may stand or
   * not; IdempotencyConflict.
   */
  write(
    actor: Actor,
    work: (writer: IdentityWriter) => Promise<object>,
    idempotency?: Idempotency,
  ): Promise<{ readonly answer: unknown; readonly replayed: boolean }>;
}

/** The database refused a change: a name that must be unique is taken, or something it refers to is not there. */
export class RecordConflict extends Error {
  /** The rule that was broken. */
  readonly constraint: string;
  constructor(constraint: string, cause: unknown) {
    super(`the change breaks ${constraint}`, { cause });
    this.name = 'RecordConflict';
    this.constraint = constraint;
  }
}

/** The same Idempotency-Key came with another request. */
export class IdempotencyConflict extends Error {
  constructor() {
    super('this Idempotency-Key was used for another request');
    this.name = 'IdempotencyConflict';
  }
}

/** Whose spend; absent = everybody's. */
export interface SpendFilter {
  readonly requestId?: string | undefined;
  /** Every secret that a key has had. */
  readonly keyHashes?: readonly string[] | undefined;
  readonly userId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly endUser?: string | undefined;
  /** `2030-01-31`, UTC, both included. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface SpendLine {
  readonly day: string;
  readonly group: string;
  readonly keyHash: string;
  readonly model: string;
  readonly costMicros: bigint;
  readonly requests: bigint;
  readonly promptTokens: bigint;
  readonly completionTokens: bigint;
}

export interface SpendSum {
  readonly group: string;
  readonly costMicros: bigint;
  readonly requests: bigint;
}

export interface AuditRow {
  readonly seq: bigint;
  readonly at: string;
  readonly actor: string;
  readonly actorKey: string;
  readonly actorUser: string | null;
  readonly action: string;
  readonly objectKind: string;
  readonly objectId: string;
  readonly change: Readonly<Record<string, readonly [unknown, unknown]>>;
}

export type SpendGroup = 'team' | 'customer' | 'api_key' | 'internal_user';

export interface SpendReports {
  /** Rows of the ledger, newest first, as LiteLLM names their columns. */
  entries(filter: SpendFilter, page: Page): Promise<JsonRecord[]>;
  /** Sums per day, group, key and model; at most 10,000 lines, newest day first. */
  daily(filter: SpendFilter, group: SpendGroup): Promise<SpendLine[]>;
  /** Largest first. */
  top(filter: SpendFilter, group: SpendGroup | 'tag', limit: number): Promise<SpendSum[]>;
  audit(
    filter: { readonly objectId?: string | undefined; readonly action?: string | undefined },
    page: Page,
  ): Promise<{
    readonly rows: readonly AuditRow[];
    readonly total: number;
  }>;
  /** The first row of the audit log that is not as it was written; undefined = all are. */
  firstForgedAudit(): Promise<bigint | undefined>;
}
