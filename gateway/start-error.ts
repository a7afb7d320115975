/** Why a gateway cannot start, in words for the person who started it. */
import { OutboxUnavailable } from './open-outbox.ts';
import { type Settings, SettingsError } from './settings.ts';
import { NothingKnown } from './stores/key-mirror.ts';
import { describeUrl } from './stores/postgres.ts';
import { GatewayTooOld } from './stores/schema-watch.ts';

/** The gateway cannot start; the message says why and what to do. */
export class StartError extends Error {
  /** 2 for what the user wrote (config, variables), 1 for the world (port, database). */
  readonly exitCode: 1 | 2;
  constructor(message: string, exitCode: 1 | 2, cause?: unknown) {
    super(message, { cause });
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}

/** In words for the person who started it. */
export function explain(error: unknown, settings: Settings, databaseUrl: string | undefined): Error {
  if (error instanceof OutboxUnavailable) return new StartError(error.message, 1, error);
  if (error instanceof NothingKnown) {
    return new StartError(
      `PostgreSQL at ${describeUrl(databaseUrl ?? '')} cannot be reached (${reasonOf(error.cause)}), and there is no snapshot of an earlier run in ${settings.dataDirectory} to serve from. Check DATABASE_URL and that the server runs`,
      1,
      error,
    );
  }
  if (error instanceof GatewayTooOld)
    return new StartError(`${describeUrl(databaseUrl ?? '')}: ${error.message}`, 1, error);
  const code = codeOf(error);
  if (code === 'EADDRINUSE') {
    return new StartError(
      `Port ${settings.port} is taken by another process. Choose another with --port, or end that process`,
      1,
      error,
    );
  }
  if (code === 'EACCES') {
    return new StartError(
      `Port ${settings.port} may not be used by this user. Choose one above 1023 with --port`,
      1,
      error,
    );
  }
  if (code === '42P01') {
    return new StartError(
      `The database ${describeUrl(databaseUrl ?? '')} has no tables yet. Run: holdfast migrate`,
      1,
      error,
    );
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** What a supervisor or a person is told: known errors in one sentence, unknown ones with their stack. */
export function describeStartError(error: unknown): { message: string; exitCode: number } {
  if (error instanceof StartError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof SettingsError) return { message: error.message, exitCode: 2 };
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error), exitCode: 1 };
}

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';

/** pg reports several refused addresses as one AggregateError without a message of its own. */
const reasonOf = (cause: unknown): string => {
  if (
    cause instanceof Error &&
    'cause' in cause &&
    cause.cause instanceof Error &&
    cause.message === 'the database cannot be reached'
  ) {
    return reasonOf(cause.cause);
  }
  const code = codeOf(cause);
  return code === 'unknown' ? (cause instanceof Error ? cause.message : String(cause)) : code;
};
