/** Everything that can keep a launcher from starting a server. */
export type LauncherFault =
  /** Another living process owns this data folder. */
  | 'DataFolderInUse'
  /** The folder holds something that is not a database cluster of this PostgreSQL version. */
  | 'DataFolderUnusable'
  /** Something else listens on the port. */
  | 'PortTaken'
  /** No server program for this operating system, or it could not be fetched. */
  | 'BinariesMissing'
  /** The password given is not the one that the data folder was made with. */
  | 'WrongPassword'
  /** The server ended, or did not answer in time. */
  | 'StartFailed'
  /** The caller's signal ended the start. */
  | 'Aborted'
  /** The option asks for something that the launcher refuses, for example an address that is not loopback. */
  | 'BadOption';

/** A server could not be started. The message says what is wrong and what mends it; nothing is left running. */
export class LauncherError extends Error {
  readonly code: LauncherFault;
  constructor(code: LauncherFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LauncherError';
    this.code = code;
  }
}
