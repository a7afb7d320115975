/** What the books that restore need of the world. */
import type { BackupName } from '../../lib/platform/backups.ts';

export interface Backup {
  /** As the world names it: a snapshot's id, an object's key, a point in time. */
  readonly id: string;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly ageSeconds: number;
}

/** What can be restored from: the table's kinds and, beside the service's own copy, the dump that the same row makes. */
export type RestorableKind = BackupName | 'postgresql-dump';

export type RestoreWay = 'snapshot' | 'point-in-time' | 'dump';

export interface RestoreRequest {
  readonly region: string;
  readonly way: RestoreWay;
  /** Of `Backup`. */
  readonly backup: string;
  /** ISO 8601, for `point-in-time`; undefined = the latest that can be had. */
  readonly at: string | undefined;
  /** Name of the new database. Never one that exists. */
  readonly as: string;
}

export interface BackupWorld {
  /** The newest of a kind that can be used from this region; undefined = none. */
  newestBackup(kind: RestorableKind, region: string, signal: AbortSignal): Promise<Backup | undefined>;
  /** A dump by its `id`; undefined = there is none. A world without this has the newest alone. */
  dumpNamed?(id: string, signal: AbortSignal): Promise<Backup | undefined>;
  readonly restores: Restores;
}

/** What keeps a way of restoring from working, and what a person can do about it. */
export interface Obstacle {
  readonly because: string;
  readonly fix: string;
}

/** Databases that were made from backups, by name. They stand beside what is in use until something is pointed at them. */
export interface Restores {
  /** How this world can restore. */
  readonly ways: readonly RestoreWay[];
  /** What keeps this place from a way that the world knows; undefined = nothing. Absent = nothing ever does. */
  obstacle?(way: RestoreWay, region: string, signal: AbortSignal): Promise<Obstacle | undefined>;
  /** `empty` = it stands, and what it is made for is not in it. */
  view(region: string, name: string, signal: AbortSignal): Promise<'absent' | 'creating' | 'empty' | 'ready'>;
  /** Harmless when repeated. @param progress what it is at, for who waits. */
  begin(request: RestoreRequest, token: string, signal: AbortSignal, progress: (note: string) => void): Promise<void>;
  remove(region: string, name: string, signal: AbortSignal): Promise<void>;
  /** Opens it and reads what a gateway needs. Rejects when it cannot be read. */
  read(region: string, name: string, signal: AbortSignal): Promise<RestoredContents>;
}

export interface RestoredContents {
  readonly schemaVersion: string;
  readonly keys: number;
  readonly spendRows: number;
  /** ISO 8601; undefined = it holds none. */
  readonly newestSpendAt: string | undefined;
}
