/** What is backed up, how often, for how long and where to: the table of the specification, as configuration. */

import type { Platform } from './platform.ts';
import type { AddonName } from './spec.ts';

const hour = 3_600;
const day = 24 * hour;

export interface BackupKind {
  /** Seconds from one to the next; 0 = continuous. */
  readonly everySeconds: number;
  /** How old the newest may be before somebody is told: one that failed is tried again first. */
  readonly overdueSeconds: number;
  /** Undefined = for ever. */
  readonly retentionDays: number | undefined;
  /** `cross-region` = a copy lies in another region than the original. */
  readonly place: 'cross-region' | 'same-region' | 'git' | 'vault-backup';
  /** What makes it. */
  readonly by: string;
  /** Without it nothing of ours makes this kind; absent = every platform has it. */
  readonly addon?: AddonName;
  /** Why a platform may do without it. */
  readonly dispensable?: string;
}

export const backups = {
  'postgresql-full': {
    everySeconds: day,
    overdueSeconds: 26 * hour,
    retentionDays: 30,
    place: 'cross-region',
    by: 'AWS Backup, and the CronJob database-backup',
  },
  'postgresql-wal': {
    everySeconds: 0,
    overdueSeconds: 900,
    retentionDays: 7,
    place: 'cross-region',
    by: 'RDS, replicated automated backups',
  },
  'vault-snapshot': {
    everySeconds: hour,
    overdueSeconds: 2 * hour,
    retentionDays: 7,
    place: 'cross-region',
    by: 'the CronJob vault-snapshot',
    addon: 'vault',
  },
  'redis-rdb': {
    everySeconds: hour,
    overdueSeconds: 3 * hour,
    retentionDays: 1,
    place: 'same-region',
    by: 'snapshots of the cache, if you switch them on',
    dispensable: 'all that the cache holds is derived, and none of it is money',
  },
  configuration: {
    everySeconds: day,
    overdueSeconds: 26 * hour,
    retentionDays: undefined,
    place: 'git',
    by: 'git on every change, and the CronJob configuration-backup',
    addon: 'backup',
  },
  'secrets-metadata': {
    everySeconds: day,
    overdueSeconds: 26 * hour,
    retentionDays: 30,
    place: 'vault-backup',
    by: 'the Vault snapshot, kept longer once a day',
    addon: 'vault',
  },
} as const satisfies Readonly<Record<string, BackupKind>>;

export type BackupName = keyof typeof backups;

export const backupNames: readonly BackupName[] = [
  'postgresql-full',
  'postgresql-wal',
  'vault-snapshot',
  'redis-rdb',
  'configuration',
  'secrets-metadata',
];

/** Kinds that something of this platform makes. */
export const backupsOf = ({ cluster }: Pick<Platform, 'cluster'>): readonly BackupName[] =>
  backupNames.filter((name) => {
    const { addon }: BackupKind = backups[name];
    return addon === undefined || cluster.addons.includes(addon);
  });

/** Pure: what is wrong with the newest of a kind; undefined = nothing. */
export function backupFault(name: BackupName, ageSeconds: number | undefined): string | undefined {
  const { overdueSeconds, dispensable }: BackupKind = backups[name];
  if (ageSeconds === undefined) return dispensable === undefined ? `there is no ${name}` : undefined;
  return ageSeconds > overdueSeconds
    ? `the newest ${name} is ${Math.round(ageSeconds / 60)} minutes old, at most ${overdueSeconds / 60} are good`
    : undefined;
}
