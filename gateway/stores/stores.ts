/** Everything that is kept in PostgreSQL, opened together and closed together. */
import type { BudgetWindow } from '../domain/budget-window.ts';
import type { AccessGroups } from '../domain/model-access.ts';
import type { Logger } from '../telemetry/log.ts';
import { ControlPlane } from './control-plane.ts';
import { IdentityStore } from './identity.ts';
import { KeyMirror } from './key-mirror.ts';
import { LogHeartbeat } from './log-heartbeat.ts';
import { openPool } from './postgres.ts';
import { PostgresBudgetSlices, putAccount } from './slices.ts';
import { SnapshotFile } from './snapshot.ts';
import { SpendWriter } from './spend.ts';

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
  readonly logger: Logger;
  readonly onSpendDropped: (count: number) => void;
}

type AccountRow = [id: string, maxMicros: number, window: BudgetWindow | undefined];

export interface Stores {
  readonly keys: IdentityStore | undefined;
  readonly management: ControlPlane | undefined;
  readonly mirror: KeyMirror | undefined;
  readonly spend: SpendWriter;
  /** Undefined without a database. */
  readonly budgets: PostgresBudgetSlices | undefined;
  readonly heartbeat: LogHeartbeat | undefined;
  readonly putAccount: ((...account: AccountRow) => Promise<void>) | undefined;
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
  const heartbeat =
    pool === undefined ? undefined : new LogHeartbeat(pool, warn('the database does not hear of this process'));
  const spend = new SpendWriter({
    pool,
    onDropped: (count, reason) => {
      options.onSpendDropped(count);
      logger.error({ count, reason }, 'spend events were given up');
    },
    onFlushFailed: warn('spend events could not be written; they wait'),
  });
  return {
    keys,
    management: pool === undefined || keys === undefined ? undefined : new ControlPlane(pool, keys),
    mirror,
    spend,
    budgets: pool === undefined ? undefined : new PostgresBudgetSlices(pool),
    heartbeat,
    putAccount: pool === undefined ? undefined : (...account) => putAccount(pool, ...account),
    close: async () => {
      heartbeat?.stop();
      mirror?.stop();
      await pool?.end();
    },
  };
}
