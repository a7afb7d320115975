/**
 * Whether this gateway still understands the schema. Migrations expand first and contract a release later, so the version
 * before goes on working; one that is older yet must not read columns that mean something else by now.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, isUnavailable, type Pool } from './postgres.ts';

/** Raised together with `schema_requirement.generation` by each migration that older gateways cannot live with. */
export const schemaGeneration = 1;

/** The database belongs to newer gateways; the message says what to do. */
export class GatewayTooOld extends Error {
  constructor(needed: number, because: string) {
    super(
      `The database was migrated beyond this gateway: it needs gateways of schema generation ${needed} or newer, and this one is of generation ${schemaGeneration} (${because}). Start the version that the database was migrated for`,
    );
    this.name = 'GatewayTooOld';
  }
}

export interface SchemaWatchOptions {
  readonly pool: Pool;
  /** Told once when a migration leaves this running gateway behind. */
  readonly onTooOld: (fault: GatewayTooOld) => void;
  /** A later look failed; it is repeated. */
  readonly onFailed: (error: Error) => void;
}

const lookEveryMs = 5_000;
const lookTimeoutMs = 2_000;
const undefinedTable = '42P01';
const question = `SELECT generation, because, (SELECT name FROM migration ORDER BY id DESC LIMIT 1) AS newest
  FROM schema_requirement`;

interface Found {
  readonly generation: number;
  readonly because: string;
  readonly newest: string | null;
}

export class SchemaWatch {
  readonly #options: SchemaWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #fault: GatewayTooOld | undefined;
  #newest: string | undefined;

  constructor(options: SchemaWatchOptions) {
    this.#options = options;
  }

  /** Undefined = all is well, as far as anybody could be asked. */
  get fault(): string | undefined {
    return this.#fault?.message;
  }

  /** Name of the newest migration of the database, as it was last seen; undefined = not seen yet, or none. */
  get newest(): string | undefined {
    return this.#newest;
  }

  /**
   * @param patienceMs is waited at most; a later answer counts as that of any later look.
   * @throws GatewayTooOld. A database that is away says nothing; the next look may.
   */
  async start(patienceMs: number): Promise<void> {
    const patience = new AbortController();
    const look = this.#look();
    const found = await Promise.race([
      look.then((fault) => ({ fault })),
      sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
    if (found === undefined) void this.#round(look);
    this.#fault = found?.fault;
    if (this.#fault !== undefined) throw this.#fault;
    this.#timer = setInterval(() => void this.#round(this.#look()), lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects. */
  async #round(look: Promise<GatewayTooOld | undefined>): Promise<void> {
    const before = this.#fault;
    try {
      this.#fault = await look;
      if (this.#fault !== undefined && before === undefined) this.#options.onTooOld(this.#fault);
    } catch (error) {
      this.#options.onFailed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #look(): Promise<GatewayTooOld | undefined> {
    try {
      const query = { text: question, query_timeout: lookTimeoutMs };
      const { rows } = await this.#options.pool.query<Found>(query);
      const [row] = rows;
      this.#newest = row?.newest ?? undefined;
      return row === undefined || row.generation <= schemaGeneration
        ? undefined
        : new GatewayTooOld(row.generation, row.because);
    } catch (error) {
      // Not migrated so far: then nothing was taken away either.
      if (codeOf(error) === undefinedTable) return undefined;
      // Others tell of a database that is away.
      if (isUnavailable(error)) return this.#fault;
      throw error;
    }
  }
}
