/** Everything that is kept in PostgreSQL, opened together and closed together. */
import type { BudgetWindow } from '../domain/budget-window.ts';
import type { AccessGroups } from '../domain/model-access.ts';
import type { Logger } from '../telemetry/log.ts';
import { ConfigVersions } from './config-versions.ts';
import { ControlPlane } from './control-plane.ts';
import { IdentityStore } from './identity.ts';
import { KeyMirror } from './key-mirror.ts';
import { LeaderLease } from './leader-lease.ts';
import { ModelDefinitions } from './model-definitions.ts';
import { openPool, type Pool } from './postgres.ts';
import { ProcessRegistry } from './process-registry.ts';
import { SchemaWatch } from './schema-watch.ts';
import { PostgresBudgetSlices, putAccount } from './slices.ts';
import { SnapshotFile } from './snapshot.ts';
import { PostgresSpendLedger } from './spend.ts';
import { SpendHousekeeping } from './spend-housekeeping.ts';
import { onlyRegion } from './write-transaction.ts';

export interface StoresOptions {
  /** Undefined = there is no database. */
  readonly databaseUrl: string | undefined;
  readonly poolSize: number;
  /** Where the snapshot of known keys lies, and what signs it. */
  readonly dataDirectory: string;
  readonly saltKey: string | undefined;
  readonly writesSnapshot: boolean;
  /** Names that stand for model groups in lists of models. */
  readonly accessGroups: AccessGroups;
  /** False: no rows of single requests, only accounts and sums. */
  readonly keepSpendRows: boolean;
  readonly spendRetentionDays: number | undefined;
  /** Name of this region; undefined = it is the only one. */
  readonly region?: string | undefined;
  readonly logger: Logger;
}

type AccountRow = [id: string, maxMicros: number, window: BudgetWindow | undefined];

/** What processes that share a database share of their configuration. */
export interface ClusterStores {
  readonly versions: ConfigVersions;
  readonly models: ModelDefinitions;
  readonly processes: ProcessRegistry;
  lease(name: string, seconds: number): LeaderLease;
}

/** What of the options may change while the stores are open. */
export type ChangingOptions = Pick<StoresOptions, 'poolSize' | 'accessGroups' | 'keepSpendRows' | 'spendRetentionDays'>;

export interface Stores {
  /** Undefined without a database. */
  readonly pool: Pool | undefined;
  readonly keys: IdentityStore | undefined;
  readonly management: ControlPlane | undefined;
  readonly mirror: KeyMirror | undefined;
  /** Whether the schema is still one that this gateway knows. */
  readonly schema: SchemaWatch | undefined;
  /** Undefined without a database. */
  readonly budgets: PostgresBudgetSlices | undefined;
  readonly putAccount: ((...account: AccountRow) => Promise<void>) | undefined;
  readonly ledger: PostgresSpendLedger | undefined;
  readonly housekeeping: SpendHousekeeping | undefined;
  readonly cluster: ClusterStores | undefined;
  /** Goes on under another configuration. */
  follow(options: ChangingOptions): void;
  /** Ends the polling and the connections. */
  close(): Promise<void>;
}

export function openStores(options: StoresOptions): Stores {
  const { databaseUrl, logger } = options;
  const warn = (what: string) => (error: Error) => logger.warn({ err: error }, what);
  const pool =
    databaseUrl === undefined
      ? undefined
      : openPool({ url: databaseUrl, poolSize: options.poolSize, onError: warn('a database connection broke') });
  const keys = pool === undefined ? undefined : new IdentityStore(pool, options.accessGroups);
  const snapshot = new SnapshotFile(options.dataDirectory, options.saltKey);
  const mirror =
    keys === undefined
      ? undefined
      : new KeyMirror({ store: keys, snapshot, writesSnapshot: options.writesSnapshot, logger });
  const schema =
    pool === undefined
      ? undefined
      : new SchemaWatch({
          pool,
          onTooOld: (fault) => logger.error({ err: fault }, 'this gateway is too old for the database'),
          onFailed: warn('whether the schema is known could not be read; it is tried again'),
        });
  const ledger =
    pool === undefined
      ? undefined
      : new PostgresSpendLedger({
          pool,
          keepRows: options.keepSpendRows,
          ...(options.region === undefined ? {} : { region: options.region }),
        });
  const housekeeping =
    pool === undefined
      ? undefined
      : new SpendHousekeeping({
          pool,
          retentionDays: options.spendRetentionDays,
          region: options.region ?? onlyRegion.region,
          onSkipped: (because) => {
            if (because === undefined) logger.info('the ledger of this database is kept from now on');
            else logger.info({ because }, 'the ledger of this database is not kept here');
          },
          onDone: (done) => {
            if (done.abandonedLogs > 0) logger.warn(done, 'spend logs that nobody sends any more were given up');
            else logger.debug(done, 'the ledger was kept');
          },
          onFailed: warn('the ledger could not be kept; it is tried again'),
        });
  return {
    pool,
    keys,
    management: pool === undefined || keys === undefined ? undefined : new ControlPlane(pool, keys),
    mirror,
    schema,
    budgets: pool === undefined ? undefined : new PostgresBudgetSlices(pool),
    putAccount: pool === undefined ? undefined : (...account) => putAccount(pool, ...account),
    ledger,
    housekeeping,
    cluster:
      pool === undefined
        ? undefined
        : {
            versions: new ConfigVersions(pool, options.saltKey),
            models: new ModelDefinitions(pool),
            processes: new ProcessRegistry(pool),
            lease: (name, seconds) => new LeaderLease(pool, name, seconds),
          },
    follow: ({ poolSize, accessGroups, keepSpendRows, spendRetentionDays }) => {
      // The pool reads it whenever a connection is asked for; those beyond it end when they are idle.
      if (pool !== undefined) pool.options.max = poolSize;
      keys?.memory.useGroups(accessGroups);
      if (ledger !== undefined) ledger.keepRows = keepSpendRows;
      if (housekeeping !== undefined) housekeeping.retentionDays = spendRetentionDays;
    },
    close: async () => {
      housekeeping?.stop();
      await mirror?.stop();
      schema?.stop();
      await pool?.end();
    },
  };
}
